"""``stats``: what containers use, as a table that goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from minirt.cli.common import FORMAT
from minirt.cli.grammar import command, switch
from minirt.cli.session import Session
from minirt.cli.tables import Listing
from minirt.cli.units import binary_size, human_size
from minirt.errors import ContainerNotFound

if TYPE_CHECKING:
    from minirt.engine.containers import Container

__all__ = ["stats"]

LISTING = Listing(
    {
        "Container": "CONTAINER",
        "Name": "NAME",
        "ID": "CONTAINER ID",
        "CPUPerc": "CPU %",
        "MemUsage": "MEM USAGE / LIMIT",
        "MemPerc": "MEM %",
        "NetIO": "NET I/O",
        "BlockIO": "BLOCK I/O",
        "PIDs": "PIDS",
    },
    ("ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs"),
    "ID",
)
_FIRST_GAP = 0.25  # seconds: without a second reading nobody knows how busy a processor is
_GAP = 0.5


@command(
    "stats",
    "Display a live stream of container(s) resource usage statistics",
    usage="[OPTIONS] [CONTAINER...]",
    arity=(0, None),
    operands="container",
    flags=[
        switch("--all", "a", "Show all containers (default shows just running)", name="every"),
        FORMAT(),
        switch("--no-stream", "", "Disable streaming stats and only pull the first result"),
        switch("--no-trunc", "", "Do not truncate output"),
    ],
)
def stats(session: Session, arguments: tuple[str, ...], **options: Any) -> None:
    watch = _Watch(session, arguments, options["every"])
    form, whole = options["form"], options["no_trunc"]
    if options["no_stream"] or not session.live:
        watch.read()
        _pause(session, _FIRST_GAP)
        session.print(_text(watch.read(), form, whole))
        return
    for readings in watch:
        session.show_again(_text(readings, form, whole))


Reading = tuple[str, dict[str, Any]]
"""What the container is called here, and docker's object."""


class _Watch:
    """Readings of the containers named, or of all there are at each moment."""

    def __init__(self, session: Session, names: tuple[str, ...], every: bool) -> None:
        self._session, self._every = session, every
        self._named = [(name, session.engine.containers.get(name)) for name in names]
        self._before: dict[str, dict[str, Any]] = {}

    def __iter__(self) -> Iterator[list[Reading]]:
        self.read()
        _pause(self._session, _FIRST_GAP)
        while True:
            yield self.read()
            _pause(self._session, _GAP)

    def read(self) -> list[Reading]:
        from minirt.engine.stats import one_reading

        found = []
        for name, container in self._containers():
            before = self._before.get(container.id)
            try:
                container.reload()
            except ContainerNotFound:
                continue
            reading = one_reading(self._session.engine, container.record, before)
            self._before[container.id] = reading
            found.append((name, reading))
        return found

    def _containers(self) -> list[tuple[str, Container]]:
        if self._named:
            return self._named
        return [(one.id[:12], one) for one in self._session.engine.containers.list(all=self._every)]


def _pause(session: Session, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        time.sleep(min(left, 0.05))
        session.cancel.check()


def _text(readings: list[Reading], form: str, whole: bool) -> str:
    return LISTING.render([_row(name, one, whole) for name, one in readings], form=form)


def _row(name: str, one: dict[str, Any], whole: bool) -> dict[str, Any]:
    """docker/cli, cli/command/container: formatter_stats.go and stats_helpers.go."""
    memory = one["memory_stats"]
    usage, limit = _without_cache(memory), memory.get("limit", 0)
    received, sent = (sum(net[key] for net in one.get("networks", {}).values()) for key in ("rx_bytes", "tx_bytes"))
    blocks = {entry["op"]: entry["value"] for entry in one["blkio_stats"].get("io_service_bytes_recursive", ())}
    return {
        "Container": name,
        "Name": one["name"].lstrip("/"),
        "ID": one["id"] if whole else one["id"][:12],
        "CPUPerc": f"{_busy(one):.2f}%",
        "MemUsage": f"{binary_size(usage)} / {binary_size(limit)}",
        "MemPerc": f"{usage / limit * 100 if limit else 0:.2f}%",
        "NetIO": f"{human_size(received)} / {human_size(sent)}",
        "BlockIO": f"{human_size(blocks.get('read', 0))} / {human_size(blocks.get('write', 0))}",
        "PIDs": str(one["pids_stats"].get("current", 0)),
    }


def _without_cache(memory: dict[str, Any]) -> int:
    """Pages of files that the kernel would give back at once do not count."""
    usage: int = memory.get("usage", 0)
    cache: int = memory.get("stats", {}).get("inactive_file", 0)
    return usage - cache if cache < usage else usage


def _busy(one: dict[str, Any]) -> float:
    """Percent of one processor."""
    now, before = one["cpu_stats"], one["precpu_stats"]
    spent = now["cpu_usage"]["total_usage"] - before["cpu_usage"]["total_usage"]
    passed = now.get("system_cpu_usage", 0) - before.get("system_cpu_usage", 0)
    if spent <= 0 or passed <= 0 or "system_cpu_usage" not in before:
        return 0.0
    return float(spent / passed * now["online_cpus"] * 100)
