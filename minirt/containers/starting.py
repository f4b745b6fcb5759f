"""From a record to the sandbox's spec: everything that is looked up anew at each start."""

from __future__ import annotations

import base64
from dataclasses import replace

from minirt.containers.networking import NetworkPlan
from minirt.containers.records import ContainerRecord, MountPoint
from minirt.linux.caps import CAPABILITIES
from minirt.model.spec import (
    DEFAULT_CAPABILITIES,
    BindMount,
    IdMapping,
    Lifetime,
    Mount,
    Process,
    RootFilesystem,
    SandboxSpec,
    TmpfsMount,
)
from minirt.snapshots import Union
from minirt.snapshots.users import lookup_groups, lookup_user

__all__ = ["Window", "make_process", "make_spec"]

Window = tuple[int, int]
"""The size of a terminal in characters: rows, columns."""


def make_spec(
    record: ContainerRecord,
    lifetime: Lifetime,
    root: RootFilesystem,
    union: Union,
    id_maps: tuple[tuple[IdMapping, ...], tuple[IdMapping, ...]],
    plan: NetworkPlan,
    window: Window | None = None,
) -> SandboxSpec:
    """Raises :class:`InvalidSpec` for a user that the image does not have."""
    return SandboxSpec(
        id=record.id,
        root=root,
        process=make_process(record, union, window),
        hostname=record.hostname,
        mounts=tuple(_mount(point) for point in record.mounts),
        network=plan.network,
        lifetime=lifetime,
        # They belong to the container, not to its image.
        files={
            "/etc/hosts": plan.hosts,
            "/etc/hostname": f"{record.hostname}\n",
            "/etc/resolv.conf": plan.resolv_conf,
        },
        read_only=record.read_only,
        privileged=record.privileged,
        uid_map=id_maps[0],
        gid_map=id_maps[1],
    )


def make_process(record: ContainerRecord, union: Union, window: Window | None = None) -> Process:
    """The container's program with its whole environment (HOME and HOSTNAME are docker's additions)."""
    rows, columns = window or (0, 0)
    account = lookup_user(record.user, union)
    wanted = record.settings.isolation.groups
    further = lookup_groups(wanted, union) if wanted else ()
    user = replace(account.user, groups=tuple(dict.fromkeys((*account.user.groups, *further))))
    env = dict(entry.partition("=")[::2] for entry in record.env)
    env = {"PATH": env.pop("PATH", ""), "HOSTNAME": record.hostname, **env}
    if record.terminal:
        env.setdefault("TERM", "xterm")
    env.setdefault("HOME", account.home)
    return Process(
        argv=record.argv,
        env=env,
        cwd=record.cwd,
        user=user,
        terminal=record.terminal,
        stdin_open=record.stdin_open,
        rows=rows,
        columns=columns,
        capabilities=_capabilities(record),
        rlimits=record.settings.rlimits,
        no_new_privileges=record.settings.no_new_privileges,
        seccomp=record.settings.seccomp,
        seccomp_program=_seccomp_program(record),
    )


def _seccomp_program(record: ContainerRecord) -> str:
    if not record.settings.seccomp_profile:
        return ""
    from minirt.linux.seccomp_profile import compile_profile  # few containers have one
    from minirt.model.seccomp import parse_profile

    program = compile_profile(parse_profile(record.settings.seccomp_profile), _capabilities(record))
    return base64.b64encode(program).decode()


def _capabilities(record: ContainerRecord) -> tuple[str, ...]:
    """Docker's rule: ``ALL`` counts first, then what is named; what this machine's root lacks is not in ALL."""
    added = [_capability(name) for name in record.cap_add]
    dropped = [_capability(name) for name in record.cap_drop]
    if "ALL" in added:
        kept = dict.fromkeys(name for name in CAPABILITIES if name not in dropped)
    elif "ALL" in dropped:
        kept = {}
    else:
        kept = dict.fromkeys(name for name in DEFAULT_CAPABILITIES if name not in dropped)
    kept.update(dict.fromkeys(name for name in added if name != "ALL"))
    return tuple(kept)


def _capability(name: str) -> str:
    upper = name.upper()
    return upper if upper.startswith("CAP_") or upper == "ALL" else f"CAP_{upper}"


def _mount(point: MountPoint) -> Mount:
    if point.kind == "tmpfs" or point.memory:
        options = point.options if point.read_write else (*point.options, "ro")
        return TmpfsMount(point.destination, point.size, point.mode, options)
    return BindMount(
        point.source,
        point.destination,
        not point.read_write,
        point.recursive,
        propagation=point.propagation,
        writable_below=point.writable_below,
    )
