"""What a container shares and what it has of its own, as docker's flags and HostConfig say it.

``pid``, ``ipc``, ``uts``, ``cgroup`` and ``user`` are docker's modes: empty or ``private`` for its own, ``host`` for
the machine's, ``container:ID`` for another container's.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from minirt.errors import InvalidSpec
from minirt.model.isolation import SHM_SIZE, Device

__all__ = ["CONTAINER", "Isolation", "check_sysctl", "parse_device", "parse_mode"]

CONTAINER = "container:"
_MODES = {
    "pid": ("", "host"),
    "ipc": ("", "private", "shareable", "none", "host"),
    "uts": ("", "host"),
    "cgroupns": ("", "private", "host"),
    "userns": ("", "private", "host"),
}
_REFUSALS = {
    "pid": "--pid: invalid PID mode",
    "ipc": "invalid IPC mode",
    "uts": "--uts: invalid UTS mode",
    "cgroupns": "--cgroupns: invalid CGROUP mode",
    "userns": "--userns: invalid USER mode",
}
_SYSCTLS = (
    "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax", "kernel.shmmni",
    "kernel.shm_rmid_forced",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Isolation:
    """``shm_size`` in bytes; ``groups`` as written (looked up at each start); ``masked``: False for
    systempaths=unconfined; ``cgroup_parent`` is the control group that holds the container's, empty for minirt's own.
    """

    pid: str = ""
    ipc: str = "private"
    uts: str = ""
    cgroup: str = "private"
    user: str = ""
    domainname: str = ""
    shm_size: int = SHM_SIZE
    devices: tuple[Device, ...] = ()
    sysctls: Mapping[str, str] = field(default_factory=dict)
    groups: tuple[str, ...] = ()
    oom_score_adj: int = 0
    cgroup_parent: str = ""
    masked: bool = True
    annotations: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Isolation:
        """What ``dataclasses.asdict`` made. Raises ``TypeError``, ``KeyError``."""
        lists = {name: tuple(value) for name, value in data.items() if isinstance(value, list)}
        return cls(**{**data, **lists, "devices": tuple(Device(**entry) for entry in data.get("devices", ()))})


def parse_mode(kind: str, text: str) -> str:
    """Checks ``--pid``, ``--ipc``, ``--uts``, ``--cgroupns`` and ``--userns``. Raises :class:`InvalidSpec`."""
    known = _MODES[kind]
    joins = kind in ("pid", "ipc")
    if text in known or (joins and text.startswith(CONTAINER) and text != CONTAINER):
        return text
    words = ", ".join([mode for mode in known if mode] + ["container:NAME"] * joins)
    what = f"{_REFUSALS[kind]}: {text}" if kind == "ipc" else _REFUSALS[kind]
    raise InvalidSpec(what, hint=f"--{kind} takes {words}.")


def parse_device(text: str) -> Device:
    """``/dev/fuse``, ``/dev/sda:/dev/xvda``, ``/dev/sda:/dev/xvda:r``. Raises :class:`InvalidSpec`."""
    parts = text.split(":")
    if len(parts) > 3 or not all(parts):
        raise InvalidSpec(f"invalid device specification: {text}", hint="Write /dev/NAME, or /dev/NAME:/dev/OTHER:rwm.")
    path, target, access = parts[0], parts[0], "rwm"
    if len(parts) == 2:
        if _is_access(parts[1]):
            access = parts[1]
        else:
            target = parts[1]
    elif len(parts) == 3:
        target, access = parts[1:]
        if not _is_access(access):
            raise InvalidSpec(f"bad mode specified: {access}", hint="The third part is made of r, w and m.")
    if not path.startswith("/"):
        raise InvalidSpec(f"{path} is not an absolute path", hint="Devices are files in /dev.")
    if not target.startswith("/"):
        raise InvalidSpec(f"{target} is not an absolute path", hint="Paths in the container start with /.")
    return Device(os.path.normpath(path), os.path.normpath(target), access)


def _is_access(text: str) -> bool:
    return bool(text) and set(text) <= set("rwm") and len(set(text)) == len(text)


def check_sysctl(text: str) -> tuple[str, str]:
    """``net.ipv4.ip_forward=1``: only what belongs to a container's own namespaces. Raises :class:`InvalidSpec`."""
    name, equals, value = text.partition("=")
    own = name in _SYSCTLS or name.startswith(("net.", "fs.mqueue."))
    if not equals or not own or "/" in name or ".." in name:
        raise InvalidSpec(
            f"sysctl '{text}' is not allowed",
            cause="other settings are the machine's, not a container's",
            hint="net.*, fs.mqueue.*, kernel.shm*, kernel.msg* and kernel.sem may be set: NAME=VALUE.",
        )
    return name, value
