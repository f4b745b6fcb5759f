"""Control groups: limits, freezing and counting for all processes of a container (cgroups(7)).

Version 1 mounts each controller at a place of its own; version 2 is one tree, in which an ordinary user may own a
part that systemd delegated to him. Both are hidden behind :class:`Group`: one directory a hierarchy.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise

from minirt.linux import device_filter
from minirt.linux.cgroup_files import field, read, write
from minirt.linux.cgroup_limits import limit_files
from minirt.linux.cgroup_tree import SECOND_NAMES, Tree
from minirt.linux.cgroup_usage import Usage, read_usage
from minirt.model.spec import Resources

__all__ = ["Group"]

# Made only for containers that ask for something of theirs: each directory costs time at every start.
_SELDOM = ("blkio", "devices")
_PATIENCE = 2.0  # seconds to wait for a freezer


class Group:
    """The group ``name`` (such as ``minirt/<id>``) in every hierarchy of ``tree``. All methods raise ``OSError``."""

    def __init__(self, tree: Tree, name: str) -> None:
        self.tree = tree
        self.directories = {controller: f"{place}/{name}" for controller, place in tree.places.items()}
        self.name = name

    @property
    def exists(self) -> bool:
        return any(os.path.isdir(directory) for directory in self.directories.values())

    def create(self, seldom: tuple[str, ...] = ()) -> None:
        """Make it, and those above it; quiet when it is there. ``seldom`` names controllers few containers need."""
        for controller, directory in self.directories.items():
            if controller in _SELDOM and controller not in seldom:
                continue
            parents = list(self._levels(controller))
            for parent, child in pairwise(parents):
                if self.tree.version == 2:
                    _enable(parent, self.tree.controllers)
                with contextlib.suppress(FileExistsError):
                    os.mkdir(child)
                if controller == "cpuset":
                    _inherit(parent, child)
            assert directory == parents[-1]

    def _levels(self, controller: str) -> Iterator[str]:
        path = self.tree.places[controller]
        yield path
        for part in self.name.split("/"):
            path = f"{path}/{part}"
            yield path

    def doors(self) -> list[int]:
        """Descriptors to write process ids to; opened now, they also serve from within another mount namespace."""
        places = self.directories.items()
        present = [place for name, place in places if name not in _SELDOM or os.path.isdir(place)]
        return [os.open(f"{place}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC) for place in present]

    def add(self, pid: int) -> None:
        """Put a process into it; what that process starts later is in it, too."""
        for door in self.doors():
            try:
                os.write(door, str(pid).encode())
            finally:
                os.close(door)

    def limit(self, resources: Resources) -> None:
        """Set the limits that are not zero."""
        files = limit_files(self.tree.version, resources)
        late: list[tuple[str, str]] = []
        for controller, name, value in files:
            path = f"{self.directories[controller if self.tree.version == 1 else '']}/{name}"
            try:
                write(path, value)
            except OSError:
                late.append((path, value))
        # Memory with and without swap bound each other, so their order depends on which way they go.
        for path, value in late:
            write(path, value)

    def restrict_devices(self, denied: Sequence[str], allowed: Sequence[str] = ()) -> None:
        """Take away access: rules such as ``c 1:3 w``; with ``allowed``, all but that first."""
        if self.tree.version == 2:
            if denied or allowed:
                device_filter.attach(self.directories[""], denied, allowed)
            return
        if allowed:
            write(f"{self.directories['devices']}/devices.deny", "a")
        for name, rules in (("allow", allowed), ("deny", denied)):
            for rule in rules:
                write(f"{self.directories['devices']}/devices.{name}", rule)

    def kill(self) -> None:
        """Kill every process in it."""
        for pid in self.members():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def freeze(self, frozen: bool) -> bool:
        """Stop or continue all processes at once; False where this tree cannot."""
        if self.tree.version == 2:
            directory, name, value, done = self.directories[""], "cgroup.freeze", "01"[frozen], f"frozen {frozen:d}"
            watch = f"{directory}/cgroup.events"
        elif "freezer" in self.directories:
            directory, name, value = self.directories["freezer"], "freezer.state", ("THAWED", "FROZEN")[frozen]
            watch, done = f"{directory}/{name}", value
        else:
            return False
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            write(f"{directory}/{name}", value)
            if done in read(watch):
                return True
            time.sleep(0.001)
        return False

    @property
    def frozen(self) -> bool:
        """Whether its processes are held, or about to be."""
        if self.tree.version == 2:
            return read(f"{self.directories['']}/cgroup.freeze").strip() == "1"
        return read(f"{self.directories.get('freezer')}/freezer.state").strip() not in ("", "THAWED")

    def usage(self) -> Usage:
        """What it uses now; what cannot be read is 0."""
        return read_usage(self.tree.version, self.directories)

    def oom_kills(self) -> int:
        """How many of its processes the kernel killed because the group's memory was full."""
        if self.tree.version == 2:
            return field(read(f"{self.directories['']}/memory.events"), "oom_kill")
        return field(read(f"{self.directories.get('memory')}/memory.oom_control"), "oom_kill")

    def members(self) -> list[int]:
        """The machine's ids of its processes."""
        for directory in self.directories.values():
            return [int(pid) for pid in read(f"{directory}/cgroup.procs").split()]
        return []

    def remove(self, patience: float = 0.0) -> bool:
        """Take it away; False while something still runs in it (``patience`` in seconds)."""
        deadline = time.monotonic() + patience
        while True:
            left = False
            for directory in self.directories.values():
                try:
                    os.rmdir(directory)
                except FileNotFoundError:
                    continue
                except OSError:
                    left = True
            if not left or time.monotonic() >= deadline:
                return not left
            time.sleep(0.002)


def _enable(directory: str, controllers: tuple[str, ...]) -> None:
    there = read(f"{directory}/cgroup.subtree_control").split()
    for name in (SECOND_NAMES.get(name, name) for name in controllers):
        if name not in there:
            write(f"{directory}/cgroup.subtree_control", f"+{name}")


def _inherit(parent: str, child: str) -> None:
    """A fresh cpuset of version 1 allows nothing, and takes no process until it does."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        if not read(f"{child}/{name}").strip():
            write(f"{child}/{name}", read(f"{parent}/{name}").strip())
