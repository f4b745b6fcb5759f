"""What a container has of its own and what it shares, beyond its files and its network (namespaces(7))."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Device", "Namespaces", "Peer", "SHM_SIZE"]

SHM_SIZE = 64 << 20
"""Bytes of /dev/shm, docker's default."""


@dataclass(frozen=True, slots=True)
class Device:
    """A device node of the machine at ``path``, seen at ``target``; ``access`` of ``r``, ``w`` and ``m``."""

    path: str
    target: str
    access: str = "rwm"


@dataclass(frozen=True, slots=True)
class Peer:
    """Another container, by its first process on the machine (see :mod:`minirt.linux.processes`)."""

    pid: int
    start_time: int
    name: str


@dataclass(frozen=True, slots=True)
class Namespaces:
    """Which namespaces are not the container's own: ``machine`` names those it shares with the machine (of ``pid``,
    ``ipc``, ``uts``, ``cgroup``), ``peers`` those it shares with another container (``pid``, ``ipc``).
    """

    machine: tuple[str, ...] = ()
    peers: Mapping[str, Peer] = field(default_factory=dict)

    def own(self, kind: str) -> bool:
        return kind not in self.machine and kind not in self.peers

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Namespaces:
        """What ``dataclasses.asdict`` made."""
        return cls(tuple(data["machine"]), {kind: Peer(**peer) for kind, peer in data["peers"].items()})
