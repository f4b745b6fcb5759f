"""Control groups: limits, freezing and counting for all processes of a container (cgroups(7)).

Version 1 mounts each controller at a place of its own; version 2 is one tree, in which an ordinary user may own a
part that systemd delegated to him. Both are hidden behind :class:`Group`: one directory a hierarchy.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from minirt.linux import device_filter
from minirt.model.spec import Resources

__all__ = ["CONTROLLERS", "Group", "Tree", "Usage", "cgroup_version", "find_tree", "needed", "own_cgroup"]

_MOUNT = "/sys/fs/cgroup"
CONTROLLERS = ("memory", "cpu", "cpuset", "pids", "blkio", "devices")
_FIRST_VERSION = ("memory", "cpu", "cpuacct", "cpuset", "pids", "freezer", "blkio", "devices")
# Made only for containers that ask for something of theirs: each directory costs time at every start.
_SELDOM = ("blkio", "devices")
_SECOND_NAMES = {"blkio": "io"}
_PERIOD = 100_000  # microseconds, the kernel's default and docker's
_PATIENCE = 2.0  # seconds to wait for a freezer
_MANY = 1 << 62  # what version 1 says for "no limit" is above this


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
        there = _read(f"{self.places['']}/cgroup.controllers").split()
        return tuple(name for name in CONTROLLERS if _SECOND_NAMES.get(name, name) in there)

    @property
    def devices(self) -> bool:
        """Whether its groups can be kept from devices: by files in version 1, by programs of ours in version 2."""
        return "devices" in self.places if self.version == 1 else device_filter.available()


@dataclass(frozen=True, slots=True)
class Usage:
    """``cpu`` in nanoseconds, ``memory`` and ``memory_limit`` in bytes (0: no limit), ``pids`` as a count.

    ``cache`` is the part of ``memory`` that the kernel would give back at once; ``blocks`` are bytes read from and
    written to disks, None where the group does not count them.
    """

    cpu: int = 0
    memory: int = 0
    memory_limit: int = 0
    pids: int = 0
    cache: int = 0
    blocks: tuple[int, int] | None = None


def cgroup_version() -> int:
    """2 where there is one tree, 1 where there are several, 0 without any."""
    if os.path.exists(f"{_MOUNT}/cgroup.controllers"):
        return 2
    return 1 if os.path.isdir(f"{_MOUNT}/memory") or os.path.isdir(f"{_MOUNT}/pids") else 0


def own_cgroup() -> str:
    """Where this process is in the tree of version 2, such as ``/user.slice/…``; empty without one."""
    for line in _read("/proc/self/cgroup").splitlines():
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


def needed(resources: Resources) -> dict[str, str]:
    """Which controller each limit that is set needs: docker's flag -> controller."""
    wanted = {
        "--memory": ("memory", resources.memory),
        "--memory-swap": ("memory", resources.memory_swap),
        "--memory-reservation": ("memory", resources.memory_reservation),
        "--cpus": ("cpu", resources.nano_cpus),
        "--cpu-shares": ("cpu", resources.cpu_shares),
        "--cpu-period": ("cpu", resources.cpu_period),
        "--cpu-quota": ("cpu", max(resources.cpu_quota, 0)),
        "--cpuset-cpus": ("cpuset", resources.cpuset_cpus),
        "--cpuset-mems": ("cpuset", resources.cpuset_mems),
        **{f"--device-{one.kind.replace('_', '-')}": ("blkio", one.rate) for one in resources.throttles},
        "--pids-limit": ("pids", max(resources.pids_limit, 0)),
    }
    return {flag: controller for flag, (controller, value) in wanted.items() if value}


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
        files = _first_files(resources) if self.tree.version == 1 else _second_files(resources)
        late: list[tuple[str, str]] = []
        for controller, name, value in files:
            path = f"{self.directories[controller if self.tree.version == 1 else '']}/{name}"
            try:
                _write(path, value)
            except OSError:
                late.append((path, value))
        # Memory with and without swap bound each other, so their order depends on which way they go.
        for path, value in late:
            _write(path, value)

    def restrict_devices(self, denied: Sequence[str], allowed: Sequence[str] = ()) -> None:
        """Take away access: rules such as ``c 1:3 w``; with ``allowed``, all but that first."""
        if self.tree.version == 2:
            if denied or allowed:
                device_filter.attach(self.directories[""], denied, allowed)
            return
        if allowed:
            _write(f"{self.directories['devices']}/devices.deny", "a")
        for name, rules in (("allow", allowed), ("deny", denied)):
            for rule in rules:
                _write(f"{self.directories['devices']}/devices.{name}", rule)

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
            _write(f"{directory}/{name}", value)
            if done in _read(watch):
                return True
            time.sleep(0.001)
        return False

    @property
    def frozen(self) -> bool:
        """Whether its processes are held, or about to be."""
        if self.tree.version == 2:
            return _read(f"{self.directories['']}/cgroup.freeze").strip() == "1"
        return _read(f"{self.directories.get('freezer')}/freezer.state").strip() not in ("", "THAWED")

    def usage(self) -> Usage:
        """What it uses now; what cannot be read is 0."""
        if self.tree.version == 2:
            own = self.directories[""]
            cpu = _field(_read(f"{own}/cpu.stat"), "usage_usec") * 1000
            names = ("memory.current", "memory.max", "pids.current")
            memory, limit, pids = (_number(f"{own}/{name}") for name in names)
            cache = _field(_read(f"{own}/memory.stat"), "inactive_file")
            blocks = (
                _blocks(_read(f"{own}/io.stat"), "rbytes=", "wbytes=") if os.path.exists(f"{own}/io.stat") else None
            )
            return Usage(cpu, memory, limit, pids or len(_read(f"{own}/cgroup.procs").split()), cache, blocks)
        places = self.directories
        counted = f"{places.get('blkio')}/blkio.throttle.io_service_bytes"
        limit = _number(f"{places.get('memory')}/memory.limit_in_bytes")
        return Usage(
            _number(f"{places.get('cpuacct')}/cpuacct.usage"),
            _number(f"{places.get('memory')}/memory.usage_in_bytes"),
            0 if limit > _MANY else limit,
            _number(f"{places.get('pids')}/pids.current"),
            _field(_read(f"{places.get('memory')}/memory.stat"), "total_inactive_file"),
            _blocks(_read(counted), "Read ", "Write ") if os.path.exists(counted) else None,
        )

    def oom_kills(self) -> int:
        """How many of its processes the kernel killed because the group's memory was full."""
        if self.tree.version == 2:
            return _field(_read(f"{self.directories['']}/memory.events"), "oom_kill")
        return _field(_read(f"{self.directories.get('memory')}/memory.oom_control"), "oom_kill")

    def members(self) -> list[int]:
        """The machine's ids of its processes."""
        for directory in self.directories.values():
            return [int(pid) for pid in _read(f"{directory}/cgroup.procs").split()]
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


_THROTTLES = {
    "read_bps": ("blkio.throttle.read_bps_device", "rbps"),
    "write_bps": ("blkio.throttle.write_bps_device", "wbps"),
    "read_iops": ("blkio.throttle.read_iops_device", "riops"),
    "write_iops": ("blkio.throttle.write_iops_device", "wiops"),
}


def _device_number(path: str) -> str:
    number = os.stat(path).st_rdev
    return f"{os.major(number)}:{os.minor(number)}"


def _cpu_time(resources: Resources) -> tuple[int, int] | None:
    """Quota and period in microseconds (quota -1: no limit); None when nothing is asked for."""
    if resources.nano_cpus:
        return resources.nano_cpus * _PERIOD // 1_000_000_000, _PERIOD
    if resources.cpu_period or resources.cpu_quota:
        return resources.cpu_quota or -1, resources.cpu_period or _PERIOD
    return None


def _first_files(resources: Resources) -> Iterator[tuple[str, str, str]]:
    if resources.memory:
        yield "memory", "memory.limit_in_bytes", str(resources.memory)
        yield "memory", "memory.memsw.limit_in_bytes", str(resources.memory_and_swap)
    if resources.memory_reservation:
        yield "memory", "memory.soft_limit_in_bytes", str(resources.memory_reservation)
    if resources.memory_swappiness >= 0:
        yield "memory", "memory.swappiness", str(resources.memory_swappiness)
    if resources.oom_kill_disable:
        yield "memory", "memory.oom_control", "1"
    if (times := _cpu_time(resources)) is not None:
        yield "cpu", "cpu.cfs_period_us", str(times[1])
        yield "cpu", "cpu.cfs_quota_us", str(times[0])
    if resources.cpu_shares:
        yield "cpu", "cpu.shares", str(resources.cpu_shares)
    if resources.cpuset_cpus:
        yield "cpuset", "cpuset.cpus", resources.cpuset_cpus
    if resources.cpuset_mems:
        yield "cpuset", "cpuset.mems", resources.cpuset_mems
    for one in resources.throttles:
        yield "blkio", _THROTTLES[one.kind][0], f"{_device_number(one.path)} {one.rate}"
    if resources.pids_limit:
        yield "pids", "pids.max", str(resources.pids_limit) if resources.pids_limit > 0 else "max"


def _second_files(resources: Resources) -> Iterator[tuple[str, str, str]]:
    if resources.memory:
        yield "memory", "memory.max", str(resources.memory)
        swap = resources.memory_and_swap
        yield "memory", "memory.swap.max", "max" if swap < 0 else str(swap - resources.memory)
    if resources.memory_reservation:
        yield "memory", "memory.low", str(resources.memory_reservation)
    if (times := _cpu_time(resources)) is not None:
        yield "cpu", "cpu.max", f"{'max' if times[0] < 0 else times[0]} {times[1]}"
    if resources.cpu_shares:
        # Shares 2 … 262144 are weights 1 … 10000 (runc's formula).
        yield "cpu", "cpu.weight", str(1 + (resources.cpu_shares - 2) * 9999 // 262142)
    if resources.cpuset_cpus:
        yield "cpuset", "cpuset.cpus", resources.cpuset_cpus
    if resources.cpuset_mems:
        yield "cpuset", "cpuset.mems", resources.cpuset_mems
    for one in resources.throttles:
        yield "blkio", "io.max", f"{_device_number(one.path)} {_THROTTLES[one.kind][1]}={one.rate}"
    if resources.pids_limit:
        yield "pids", "pids.max", str(resources.pids_limit) if resources.pids_limit > 0 else "max"


def _enable(directory: str, controllers: tuple[str, ...]) -> None:
    there = _read(f"{directory}/cgroup.subtree_control").split()
    for name in (_SECOND_NAMES.get(name, name) for name in controllers):
        if name not in there:
            _write(f"{directory}/cgroup.subtree_control", f"+{name}")


def _inherit(parent: str, child: str) -> None:
    """A fresh cpuset of version 1 allows nothing, and takes no process until it does."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        if not _read(f"{child}/{name}").strip():
            _write(f"{child}/{name}", _read(f"{parent}/{name}").strip())


def _read(path: str) -> str:
    # Bytes, not text: a monitor reads a dozen of these before its container starts.
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def _write(path: str, value: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, value.encode())
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from None
    finally:
        os.close(fd)


def _number(path: str) -> int:
    text = _read(path).strip()
    return int(text) if text.isdigit() else 0


def _field(text: str, name: str) -> int:
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} ")), 0)


def _blocks(text: str, read: str, write: str) -> tuple[int, int]:
    """Bytes read and written, summed over devices."""
    found = (sum(int(number) for number in re.findall(f"{mark}(\\d+)", text)) for mark in (read, write))
    return next(found), next(found)
