"""Which of the machine's files a traced container can reach, where the kernel has Landlock to hold it to them.

PRoot translates paths; it forbids nothing. So the container's first process gives up every file but those on a list:
its root directory, what is bound into it, the kernel's own file systems. What is bound read-only cannot be written.
PRoot itself stays outside of the list.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from minirt.errors import Unsupported
from minirt.linux import landlock
from minirt.model.spec import BindMount, SandboxSpec
from minirt.sandbox.owners import Place

__all__ = ["Borders", "check_read_only", "note_reach", "read_only_places", "rules_for"]

_NOTE = "reach.json"
# The kernel's, and where PRoot 5.1 lays the loader that starts every program (later ones: the scratch directory).
_READABLE = ("/sys", "/tmp")


class Places(Protocol):
    """The part of :class:`minirt.sandbox.guest.Guest` that counts here."""

    root: str
    scratch: str
    read_only: set[str]

    def writable(self) -> list[str]: ...


def check_read_only(spec: SandboxSpec, read_only: Iterable[str], writable: Iterable[str]) -> None:
    """Raises :class:`Unsupported` for what asks to be read-only and cannot be kept so."""
    places = list(writable)
    for place in read_only:
        wish = _wish(spec, place)
        if landlock.version() < landlock.WANTED:
            raise Unsupported(
                f"{wish} is not possible on this machine",
                cause="containers are traced here, not isolated by namespaces, and nothing keeps them from writing: "
                "that would need Landlock, in Linux 6.2 or later",
                hint="leave it out, or mount a copy",
            )
        above = next((other for other in places if _is_below(place, other)), None)
        if above is not None:
            raise Unsupported(
                f"{wish} is not possible on this machine",
                cause=f"it lies in {above}, which this container may write, and without namespaces one place cannot be "
                "both",
                hint="mount a copy, or the larger directory read-only too",
            )


def _wish(spec: SandboxSpec, place: str) -> str:
    for mount in spec.mounts:
        if isinstance(mount, BindMount) and mount.source == place and mount.read_only:
            return f"a read-only mount ({mount.target})"
    return "--read-only"


def _is_below(place: str, other: str) -> bool:
    return _contains(os.path.realpath(other), os.path.realpath(place))


def note_reach(places: Places) -> None:
    """Keep the list beside the container's files, for programs that join it later."""
    reach = {"writable": places.writable(), "readable": sorted(places.read_only)}
    Path(places.scratch, _NOTE).write_text(json.dumps(reach), encoding="utf-8")


def rules_for(scratch: str) -> int | None:
    """The container's list as a descriptor for :mod:`minirt.sandbox.first`, if the kernel can keep it."""
    if landlock.version() < landlock.WANTED:
        return None
    noted = _noted(scratch)
    return landlock.ruleset(landlock.Reach(tuple(noted["writable"]), (*noted["readable"], *_READABLE)), (0, 1, 2))


def read_only_places(scratch: str) -> tuple[str, ...]:
    """Places of the machine that the container may only read."""
    return tuple(_noted(scratch)["readable"])


def _noted(scratch: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = json.loads(Path(scratch, _NOTE).read_text(encoding="utf-8"))
    return found


@dataclass(frozen=True, slots=True)
class Borders:
    """Whose a path of the machine is, for one container: all paths are free of links."""

    root: str
    writable: tuple[str, ...]
    readable: tuple[str, ...]

    @classmethod
    def of(cls, root: str, scratch: str) -> Borders:
        noted = _noted(scratch)
        return cls(
            os.path.realpath(root),
            tuple(os.path.realpath(place) for place in noted["writable"]),
            tuple(os.path.realpath(place) for place in noted["readable"]),
        )

    def place_of(self, path: str) -> Place:
        guarded = any(_contains(place, path) for place in self.readable)
        if guarded and not any(_contains(place, path) for place in self.writable):
            return Place.READ_ONLY
        return Place.OWN if _contains(self.root, path) else Place.FOREIGN


def _contains(place: str, path: str) -> bool:
    return path == place or path.startswith(place.rstrip("/") + "/")
