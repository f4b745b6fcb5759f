"""Copies what a container writes to its log and to whoever is attached, without ever waiting for the latter alone."""

from __future__ import annotations

import os
import select
from dataclasses import dataclass, field

from minirt.sandbox.log import Log

__all__ = ["Copier", "Route"]

_READ = 64 * 1024
# A pipe that poll calls writable takes this much without blocking (pipe(7), PIPE_BUF).
_WRITE = 4096
_GONE = select.POLLERR | select.POLLHUP | select.POLLNVAL


@dataclass(slots=True, eq=False)
class Route:
    """From ``source`` (non-blocking, or a terminal) to the log as ``stream``, and to ``target`` if attached."""

    source: int
    stream: str
    target: int | None
    pending: bytearray = field(default_factory=bytearray)
    ended: bool = False


class Copier:
    """Several routes driven by one ``poll`` loop that also belongs to others."""

    def __init__(self, routes: list[Route], log: Log | None) -> None:
        self.routes = routes
        self.log = log

    def interests(self) -> dict[int, int]:
        """What to poll for. A reader that lags behind holds the container back, as a pipe would."""
        wanted: dict[int, int] = {}
        for route in self.routes:
            if route.pending and route.target is not None:
                wanted[route.target] = wanted.get(route.target, 0) | select.POLLOUT
            elif not route.ended:
                wanted[route.source] = select.POLLIN
        return wanted

    def handle(self, fd: int, events: int) -> None:
        """Serve one descriptor that ``poll`` named."""
        for route in self.routes:
            if fd == route.target and route.pending:
                self._give(route, events)
                return
            if fd == route.source and not route.ended:
                self._take(route)
                return

    def drain(self) -> None:
        """The container has ended: take what is still in its pipes, and finish the log."""
        for route in self.routes:
            while not route.ended and self._take(route):
                pass
            route.ended = True
        if self.log is not None:
            self.log.close()
            self.log = None

    def detach(self) -> None:
        """Nobody is attached any more."""
        for route in self.routes:
            route.target = None
            route.pending.clear()

    @property
    def busy(self) -> bool:
        return any(route.pending for route in self.routes)

    def _take(self, route: Route) -> bool:
        try:
            data = os.read(route.source, _READ)
        except BlockingIOError:
            return False
        except OSError:
            data = b""  # EIO: the last user of the terminal closed it
        if not data:
            route.ended = True
            return False
        if self.log is not None:
            self.log.write(route.stream, data)
        if route.target is not None:
            route.pending += data
        return True

    def _give(self, route: Route, events: int) -> None:
        assert route.target is not None
        try:
            if events & select.POLLOUT:
                del route.pending[: os.write(route.target, route.pending[:_WRITE])]
                return
        except BlockingIOError:
            return
        except OSError:
            events = _GONE
        if events & _GONE:
            route.target = None
            route.pending.clear()
