"""What control groups count (cgroups(7))."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from minirt.linux.cgroup_files import blocks, field, number, read

__all__ = ["Usage", "read_usage"]

_MANY = 1 << 62  # what version 1 says for "no limit" is above this


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


def read_usage(version: int, directories: Mapping[str, str]) -> Usage:
    """What the group with these directories uses now; what cannot be read is 0."""
    return _second(directories[""]) if version == 2 else _first(directories)


def _second(own: str) -> Usage:
    cpu = field(read(f"{own}/cpu.stat"), "usage_usec") * 1000
    names = ("memory.current", "memory.max", "pids.current")
    memory, limit, pids = (number(f"{own}/{name}") for name in names)
    cache = field(read(f"{own}/memory.stat"), "inactive_file")
    moved = blocks(read(f"{own}/io.stat"), "rbytes=", "wbytes=") if os.path.exists(f"{own}/io.stat") else None
    return Usage(cpu, memory, limit, pids or len(read(f"{own}/cgroup.procs").split()), cache, moved)


def _first(places: Mapping[str, str]) -> Usage:
    counted = f"{places.get('blkio')}/blkio.throttle.io_service_bytes"
    limit = number(f"{places.get('memory')}/memory.limit_in_bytes")
    return Usage(
        number(f"{places.get('cpuacct')}/cpuacct.usage"),
        number(f"{places.get('memory')}/memory.usage_in_bytes"),
        0 if limit > _MANY else limit,
        number(f"{places.get('pids')}/pids.current"),
        field(read(f"{places.get('memory')}/memory.stat"), "total_inactive_file"),
        blocks(read(counted), "Read ", "Write ") if os.path.exists(counted) else None,
    )
