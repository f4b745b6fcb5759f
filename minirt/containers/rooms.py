"""What the life of a container is made with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from minirt.linux.probe import Machine
from minirt.sandbox import Sandbox
from minirt.snapshots import Snapshots
from minirt.store import Store
from minirt.volumes import Volumes

__all__ = ["Rooms"]


@dataclass(frozen=True, slots=True)
class Rooms:
    """The rooms below that containers are made with."""

    store: Store
    snapshots: Snapshots
    sandbox: Sandbox
    volumes: Volumes
    machine: Machine
    now: Callable[[], str]
