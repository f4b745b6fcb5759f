"""Control groups: which version the machine has, and putting a container into a group of its own.

Version 1 mounts each controller at a place of its own; version 2 is one tree (cgroups(7)).
"""

from __future__ import annotations

import os

__all__ = ["cgroup_version", "own_cgroup", "writable"]

_MOUNT = "/sys/fs/cgroup"


def cgroup_version() -> int:
    """2 where there is one tree, 1 where there are several, 0 without any."""
    if os.path.exists(f"{_MOUNT}/cgroup.controllers"):
        return 2
    return 1 if os.path.isdir(f"{_MOUNT}/memory") or os.path.isdir(f"{_MOUNT}/pids") else 0


def own_cgroup() -> str:
    """Where this process is in the tree of version 2, such as ``/user.slice/…``; empty without one."""
    try:
        with open("/proc/self/cgroup", encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("0::"):
                    return line[3:].strip()
    except OSError:
        pass
    return ""


def writable() -> bool:
    """Whether groups can be made below this process's own: as root, or where systemd delegated a tree."""
    version = cgroup_version()
    if version == 2:
        return os.access(f"{_MOUNT}{own_cgroup()}", os.W_OK) and os.access(
            f"{_MOUNT}{own_cgroup()}/cgroup.procs", os.W_OK
        )
    return version == 1 and all(os.access(f"{_MOUNT}/{name}", os.W_OK) for name in ("memory", "pids"))
