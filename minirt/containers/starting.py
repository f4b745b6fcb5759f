"""From a record to the sandbox's spec: everything that is looked up anew at each start."""

from __future__ import annotations

from pathlib import Path

from minirt.containers.records import ContainerRecord, MountPoint
from minirt.errors import UsageError
from minirt.model.spec import (
    DEFAULT_CAPABILITIES,
    BindMount,
    HostNetwork,
    IdMapping,
    Lifetime,
    LoopbackNetwork,
    Mount,
    Network,
    Process,
    RootFilesystem,
    SandboxSpec,
    TmpfsMount,
)
from minirt.snapshots import Union
from minirt.snapshots.users import lookup_user

__all__ = ["Window", "make_process", "make_spec", "network_of"]

Window = tuple[int, int]
"""The size of a terminal in characters: rows, columns."""


def make_spec(
    record: ContainerRecord,
    lifetime: Lifetime,
    root: RootFilesystem,
    union: Union,
    id_maps: tuple[tuple[IdMapping, ...], tuple[IdMapping, ...]],
    window: Window | None = None,
) -> SandboxSpec:
    """Raises :class:`InvalidSpec` for a user that the image does not have."""
    return SandboxSpec(
        id=record.id,
        root=root,
        process=make_process(record, union, window),
        hostname=record.hostname,
        mounts=tuple(_mount(point) for point in record.mounts),
        network=network_of(record.network),
        lifetime=lifetime,
        files=_files(record),
        read_only=record.read_only,
        privileged=record.privileged,
        uid_map=id_maps[0],
        gid_map=id_maps[1],
    )


def make_process(record: ContainerRecord, union: Union, window: Window | None = None) -> Process:
    """The container's program with its whole environment (HOME and HOSTNAME are docker's additions)."""
    rows, columns = window or (0, 0)
    account = lookup_user(record.user, union)
    env = dict(entry.partition("=")[::2] for entry in record.env)
    env = {"PATH": env.pop("PATH", ""), "HOSTNAME": record.hostname, **env}
    if record.terminal:
        env.setdefault("TERM", "xterm")
    env.setdefault("HOME", account.home)
    return Process(
        argv=record.argv,
        env=env,
        cwd=record.cwd,
        user=account.user,
        terminal=record.terminal,
        stdin_open=record.stdin_open,
        rows=rows,
        columns=columns,
        capabilities=_capabilities(record),
    )


def _capabilities(record: ContainerRecord) -> tuple[str, ...]:
    kept = dict.fromkeys(DEFAULT_CAPABILITIES)
    for name in record.cap_drop:
        if name.upper() == "ALL":
            kept.clear()
        kept.pop(_capability(name), None)
    kept.update(dict.fromkeys(_capability(name) for name in record.cap_add))
    return tuple(kept)


def _capability(name: str) -> str:
    upper = name.upper()
    return upper if upper.startswith("CAP_") or upper == "ALL" else f"CAP_{upper}"


def network_of(name: str) -> Network:
    """``none`` or ``host``. Raises :class:`UsageError` for a network that is not there."""
    if name == "none":
        return LoopbackNetwork()
    if name in ("host", "default", ""):
        return HostNetwork()
    raise UsageError(
        f"network {name} not found",
        cause="containers have `host` (the machine's network) or `none` (only loopback) so far",
        hint="Leave --network out, or write --network none.",
    )


def _mount(point: MountPoint) -> Mount:
    if point.kind == "tmpfs":
        return TmpfsMount(point.destination, point.size, point.mode, point.options)
    return BindMount(point.source, point.destination, not point.read_write, propagation=point.propagation)


def _files(record: ContainerRecord) -> dict[str, str]:
    """/etc/hosts, /etc/hostname and /etc/resolv.conf belong to the container, not to its image."""
    lines = ["127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback", f"127.0.1.1\t{record.hostname}"]
    for entry in record.extra_hosts:
        name, _, address = entry.partition(":")
        lines.append(f"{address}\t{name}")
    return {
        "/etc/hosts": "\n".join(lines) + "\n",
        "/etc/hostname": f"{record.hostname}\n",
        "/etc/resolv.conf": _resolv_conf() if record.network != "none" else "",
    }


def _resolv_conf() -> str:
    try:
        return Path("/etc/resolv.conf").read_text(errors="replace")
    except OSError:
        return ""
