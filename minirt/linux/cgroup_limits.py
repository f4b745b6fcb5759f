"""Limits as files of control groups: what to write where, in each of the two versions (cgroups(7))."""

from __future__ import annotations

import os
from collections.abc import Iterator

from minirt.model.spec import Resources

__all__ = ["limit_files", "needed"]

_PERIOD = 100_000  # microseconds, the kernel's default and docker's
_THROTTLES = {
    "read_bps": ("blkio.throttle.read_bps_device", "rbps"),
    "write_bps": ("blkio.throttle.write_bps_device", "wbps"),
    "read_iops": ("blkio.throttle.read_iops_device", "riops"),
    "write_iops": ("blkio.throttle.write_iops_device", "wiops"),
}


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


def limit_files(version: int, resources: Resources) -> Iterator[tuple[str, str, str]]:
    """Controller, file and value of each limit that is set."""
    return _first_files(resources) if version == 1 else _second_files(resources)


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
