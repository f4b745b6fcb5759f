"""``container.stats()``: readings in the shape of docker's API ("Get container stats based on resource usage")."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from minirt.containers.records import ContainerRecord
from minirt.containers.usage import Reading, read_usage, system_time
from minirt.sandbox.state import NEVER, now

if TYPE_CHECKING:
    from minirt.engine.facade import Engine
    from minirt.model.cancel import Cancel

__all__ = ["one_reading", "readings", "readings_as_lines"]

_SECOND = 1.0
_NOTHING: dict[str, Any] = {"cpu_usage": {"total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0}}


def readings(engine: Engine, record: ContainerRecord, cancel: Cancel | None = None) -> Iterator[dict[str, Any]]:
    """One a second, for as long as the container exists; of one that does not run, docker's empty ones."""
    before: dict[str, Any] | None = None
    while True:
        found = one_reading(engine, record, before)
        yield found
        before = found
        deadline = time.monotonic() + _SECOND
        while time.monotonic() < deadline:
            time.sleep(0.05)
            if cancel is not None:
                cancel.check()
        if not (engine.lifecycle.shelf.directory(record.id) / "config.json").exists():
            return


def readings_as_lines(found: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    """As docker-py gives them without ``decode``."""
    return (json.dumps(one).encode() + b"\n" for one in found)


def one_reading(engine: Engine, record: ContainerRecord, before: dict[str, Any] | None = None) -> dict[str, Any]:
    """``before`` is the reading that this one is compared with (``precpu_stats``)."""
    state = engine.lifecycle.state(record)
    head = {"id": record.id, "name": f"/{record.name}", "preread": before["read"] if before else NEVER}
    previous = before["cpu_stats"] if before else _NOTHING
    if not state.alive or not state.pid:
        return {
            **head, "read": NEVER, "num_procs": 0, "pids_stats": {}, "blkio_stats": {}, "storage_stats": {},
            "cpu_stats": dict(_NOTHING), "precpu_stats": previous, "memory_stats": {},
        }  # fmt: skip
    reading = read_usage(record, state, engine.machine)
    return {
        **head, "read": now(), "num_procs": 0, "storage_stats": {},
        "pids_stats": {"current": reading.used.pids, "limit": record.settings.resources.pids_limit or 2**64 - 1},
        "blkio_stats": _blocks(reading), "cpu_stats": _processors(reading), "precpu_stats": previous,
        "memory_stats": {
            "usage": reading.used.memory,
            "stats": {"inactive_file": reading.used.cache, "total_inactive_file": reading.used.cache},
            "limit": reading.used.memory_limit or _machine_memory(),
        },
        "networks": reading.networks,
    }  # fmt: skip


def _processors(reading: Reading) -> dict[str, Any]:
    return {
        "cpu_usage": {"total_usage": reading.used.cpu, "usage_in_kernelmode": 0, "usage_in_usermode": reading.used.cpu},
        "system_cpu_usage": system_time(),
        "online_cpus": os.cpu_count() or 1,
        "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
    }


def _blocks(reading: Reading) -> dict[str, Any]:
    pairs = zip(("read", "write"), reading.blocks, strict=True)
    return {"io_service_bytes_recursive": [{"major": 0, "minor": 0, "op": op, "value": value} for op, value in pairs]}


def _machine_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
