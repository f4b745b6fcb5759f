"""Where control groups can be made: version 1 mounts each controller at a place of its own, version 2 is one tree."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from minirt.linux import device_filter
from minirt.linux.cgroup_files import read

__all__ = ["CONTROLLERS", "SECOND_NAMES", "Tree", "cgroup_version", "find_tree", "own_cgroup"]

_MOUNT = "/sys/fs/cgroup"
CONTROLLERS = ("memory", "cpu", "cpuset", "pids", "blkio", "devices")
_FIRST_VERSION = ("memory", "cpu", "cpuacct", "cpuset", "pids", "freezer", "blkio", "devices")
SECOND_NAMES = {"blkio": "io"}
"""What version 2 calls some of :data:`CONTROLLERS`."""


@dataclass(frozen=True, slots=True)
class Tree:
    """Where groups can be made: controller -> directory. In version 2 it is one directory, under the name ``""``."""

    version: int
    places: Mapping[str, str]

    @property
    def controllers(self) -> tuple[str, ...]:
        """Those of :data:`CONTROLLERS` that can limit something here."""
        if self.version == 1:
            return tuple(name for name in CONTROLLERS if name in self.places)
        there = read(f"{self.places['']}/cgroup.controllers").split()
        return tuple(name for name in CONTROLLERS if SECOND_NAMES.get(name, name) in there)

    @property
    def devices(self) -> bool:
        """Whether its groups can be kept from devices: by files in version 1, by programs of ours in version 2."""
        return "devices" in self.places if self.version == 1 else device_filter.available()


def cgroup_version() -> int:
    """2 where there is one tree, 1 where there are several, 0 without any."""
    if os.path.exists(f"{_MOUNT}/cgroup.controllers"):
        return 2
    return 1 if os.path.isdir(f"{_MOUNT}/memory") or os.path.isdir(f"{_MOUNT}/pids") else 0


def own_cgroup() -> str:
    """Where this process is in the tree of version 2, such as ``/user.slice/…``; empty without one."""
    for line in read("/proc/self/cgroup").splitlines():
        if line.startswith("0::"):
            return line[3:].strip()
    return ""


def find_tree() -> Tree | None:
    """The places this process may write to; None without any. Whether they serve is found out by trying."""
    version = cgroup_version()
    if version == 1:
        places = {name: f"{_MOUNT}/{name}" for name in _FIRST_VERSION if os.access(f"{_MOUNT}/{name}", os.W_OK)}
        return Tree(1, places) if places else None
    if version == 2:
        # Not asked by user id: a monitor in an ordinary user's namespace is 0 there, and root of nothing outside.
        base = _MOUNT if os.access(f"{_MOUNT}/cgroup.procs", os.W_OK) else _delegated()
        return None if base is None else Tree(2, {"": base})
    return None


def _delegated() -> str | None:
    """The topmost group around this process that its user owns: processes may be moved only below a common one."""
    found, path = None, _MOUNT + own_cgroup()
    while path.startswith(f"{_MOUNT}/") and os.access(f"{path}/cgroup.procs", os.W_OK):
        found, path = path, os.path.dirname(path)
    return found
