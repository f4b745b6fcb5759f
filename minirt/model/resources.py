"""What a container may use: the limits of its control group (docker's HostConfig, runtime-spec "Linux Resources")."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Resources", "Throttle"]


@dataclass(frozen=True, slots=True)
class Throttle:
    """``kind`` is read_bps, write_bps (bytes a second), read_iops, write_iops (operations a second)."""

    kind: str
    path: str
    rate: int


@dataclass(frozen=True, slots=True)
class Resources:
    """Limits for all processes of a container together; 0 is no limit, as in docker's HostConfig.

    Bytes for memory; ``memory_swap`` is memory and swap together (-1: no limit); ``nano_cpus`` in billionths of a
    processor, or ``cpu_quota`` of every ``cpu_period`` (microseconds); ``cpu_shares`` against other groups (1024 is
    usual); ``cpuset_cpus`` such as ``0-1``; ``memory_swappiness`` 0 to 100, -1 to leave it.
    """

    memory: int = 0
    memory_swap: int = 0
    memory_reservation: int = 0
    memory_swappiness: int = -1
    oom_kill_disable: bool = False
    nano_cpus: int = 0
    cpu_period: int = 0
    cpu_quota: int = 0
    cpu_shares: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    blkio_weight: int = 0
    throttles: tuple[Throttle, ...] = ()
    pids_limit: int = 0

    @property
    def memory_and_swap(self) -> int:
        """What holds when only ``memory`` is given: as much swap again (docker's rule)."""
        return self.memory_swap or self.memory * 2

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Resources:
        """What ``dataclasses.asdict`` made."""
        throttles = tuple(Throttle(**entry) for entry in data.get("throttles", ()))
        return cls(**{**data, "throttles": throttles})
