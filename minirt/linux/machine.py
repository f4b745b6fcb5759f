"""What a machine allows, in plain words (``docker info`` shows it)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from minirt.errors import Unsupported
from minirt.linux.caps import mask_of, permitted
from minirt.model.spec import IdMapping

__all__ = ["Answer", "Machine", "machine_from_json", "machine_to_json"]


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether something works; if not, why, and what would change it."""

    ok: bool
    why: str = ""
    cure: str = ""


@dataclass(frozen=True, slots=True)
class Machine:
    """What was found by trying.

    ``root``: containers use the machine's root and need no user namespace. Otherwise ``uid_map`` and ``gid_map``
    are the maps of the namespace that all containers get. ``controllers`` are those of the control groups that can
    limit something here (memory, cpu, cpuset, pids). ``snapshotter`` is ``overlay`` or ``copy``,
    ``isolation`` is ``namespaces``, ``proot`` or ``none``.
    """

    kernel: str
    root: bool
    overlay: Answer
    user_namespaces: Answer
    subordinate_ids: Answer
    namespaces: Answer
    cgroups: Answer
    cgroup_version: int
    controllers: tuple[str, ...]
    seccomp: Answer
    ptrace: Answer
    proot: Answer
    landlock: Answer
    uid_map: tuple[IdMapping, ...]
    gid_map: tuple[IdMapping, ...]
    snapshotter: str
    isolation: str

    def check_choice(self) -> None:
        """Raises :class:`Unsupported` if the snapshotter or isolation that was asked for cannot be had here."""
        if self.isolation == "namespaces" and not self.namespaces.ok:
            raise _refused("isolation by namespaces", self.namespaces)
        if self.isolation == "proot" and not self.proot.ok:
            raise _refused("isolation by proot", self.proot)
        if self.snapshotter == "overlay" and (self.isolation != "namespaces" or not self.overlay.ok):
            raise _refused("the overlay snapshotter", self.overlay if self.namespaces.ok else self.namespaces)

    def check_isolation(self) -> None:
        """Raises :class:`Unsupported` where nothing can keep a container apart, with what would change it."""
        if self.isolation != "none":
            return
        tracer = self.ptrace if not self.ptrace.ok else self.proot
        raise Unsupported(
            "no container can run on this machine",
            cause=f"no namespaces are allowed ({self.namespaces.why}), and proot, which can do without, is of no use"
            f" ({tracer.why})",
            hint=" or ".join(dict.fromkeys(cure for cure in (tracer.cure, self.namespaces.cure) if cure)),
        )

    @property
    def single_id(self) -> bool:
        """Whether a container has one id only, so that files of other owners cannot be made as they are."""
        return not self.root and sum(entry.count for entry in self.uid_map) == 1

    @property
    def one_owner(self) -> bool:
        """Whether all files belong to one id here, so that owners are noted beside them."""
        if self.isolation == "namespaces":
            return self.single_id
        # Root of a confined container may still give files away, though it may not mount.
        return not self.root and not permitted() & mask_of(["CAP_CHOWN"])

    def answers(self) -> Mapping[str, Answer]:
        """Every question by its name."""
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in named.items() if isinstance(value, Answer)}


def _refused(what: str, answer: Answer) -> Unsupported:
    why = answer.why or "it needs isolation by namespaces"
    return Unsupported(f"{what} is not possible on this machine", cause=why, hint=answer.cure)


def machine_to_json(machine: Machine) -> dict[str, Any]:
    return asdict(machine)


def machine_from_json(data: Mapping[str, Any]) -> Machine:
    """Raises ``TypeError``, ``KeyError`` or ``AttributeError`` with what another version wrote."""
    values = dict(data)
    for name, value in data.items():
        if isinstance(value, Mapping):
            values[name] = Answer(**value)
    values["controllers"] = tuple(data["controllers"])
    for name in ("uid_map", "gid_map"):
        values[name] = tuple(IdMapping(**entry) for entry in data[name])
    return Machine(**values)
