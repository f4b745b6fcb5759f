"""What a container uses right now: counted by its control group where it has one, else added up over its processes."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, replace
from pathlib import Path

from minirt.containers import limits
from minirt.containers.processes import members
from minirt.containers.records import ContainerRecord
from minirt.containers.state import State
from minirt.linux.cgroup_usage import Usage
from minirt.linux.machine import Machine

__all__ = ["Reading", "read_usage", "system_time"]

_TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Reading:
    """``used`` in :class:`Usage`'s units; ``networks``: interface to the eight counters that docker names.

    ``blocks`` are bytes read from and written to disks. ``counted``: by a control group, which
    misses nothing that has ended.
    """

    used: Usage
    networks: dict[str, dict[str, int]]
    blocks: tuple[int, int]
    counted: bool


def read_usage(record: ContainerRecord, state: State, machine: Machine) -> Reading:
    """One reading of a container that runs; what cannot be read is 0."""
    pids = members(state)
    used = limits.usage(record, machine)
    added = _added(pids)
    blocks = (sum(_io(pid, "read_bytes") for pid in pids), sum(_io(pid, "write_bytes") for pid in pids))
    networks = {} if record.network == "host" else _networks(state.pid)
    if used is None:
        return Reading(added, networks, blocks, False)
    group = limits.group_of(record, machine)
    # Commands of `exec` may be outside of the group (limits.joined_group); a group that cannot count one thing (no
    # controller for it) says nothing, where the processes themselves do.
    outside = _added(sorted(set(pids) - set(group.members() if group is not None else ())))
    return Reading(
        replace(
            used,
            memory=used.memory + outside.memory if used.memory else added.memory,
            cpu=used.cpu + outside.cpu if used.cpu else added.cpu,
            pids=used.pids + outside.pids if used.pids else added.pids,
        ),
        networks, used.blocks or blocks, True,
    )  # fmt: skip


def system_time() -> int:
    """Nanoseconds of all processors since boot, as docker counts them."""
    with open("/proc/stat", encoding="ascii") as text:
        return sum(int(word) for word in text.readline().split()[1:9]) * _TICK


def _added(pids: list[int]) -> Usage:
    cpu = memory = threads = 0
    for pid in pids:
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
            cpu += (int(fields[11]) + int(fields[12])) * _TICK
            threads += int(fields[17])
        memory += _memory(pid)
    return Usage(cpu, memory, 0, threads)


def _memory(pid: int) -> int:
    """Pages that several processes share are split between them, so that the sum is right."""
    for name, field in (("smaps_rollup", "Pss:"), ("status", "VmRSS:")):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/{name}").read_text(errors="replace").splitlines():
                if line.startswith(field):
                    return int(line.split()[1]) * 1024
    return 0


def _io(pid: int, field: str) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/io").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1])
    return 0


def _networks(pid: int) -> dict[str, dict[str, int]]:
    found = {}
    names = ("rx_bytes", "rx_packets", "rx_errors", "rx_dropped", "tx_bytes", "tx_packets", "tx_errors", "tx_dropped")
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/net/dev").read_text().splitlines()[2:]:
            name, _, rest = line.partition(":")
            numbers = [int(word) for word in rest.split()]
            if name.strip() != "lo":
                found[name.strip()] = dict(zip(names, (*numbers[:4], *numbers[8:12]), strict=True))
    return found
