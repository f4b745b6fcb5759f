"""Copies what a container writes to its log and to all who are attached."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator
from dataclasses import dataclass, field

from minirt.sandbox.log import Log

__all__ = ["Copier", "Route", "Target"]

_READ = 64 * 1024
# A pipe that poll calls writable takes this much without blocking (pipe(7), PIPE_BUF).
_WRITE = 4096
_GONE = select.POLLERR | select.POLLHUP | select.POLLNVAL


@dataclass(slots=True, eq=False)
class Target:
    """Where one client wants a stream, and what it has not taken yet."""

    fd: int
    pending: bytearray = field(default_factory=bytearray)


@dataclass(slots=True, eq=False)
class Route:
    """From ``source`` (which never blocks) to the log as ``stream``, and to the targets."""

    source: int
    stream: str
    targets: list[Target] = field(default_factory=list)
    ended: bool = False

    @property
    def busy(self) -> bool:
        return any(target.pending for target in self.targets)


class Copier:
    """Several routes driven by one ``poll`` loop that also belongs to others."""

    def __init__(self, routes: list[Route], log: Log | None) -> None:
        self.routes = routes
        self.log = log

    def attach(self, stream: str, fd: int | None) -> None:
        """From now on ``fd`` gets ``stream`` too."""
        for route in self.routes:
            if route.stream == stream and fd is not None:
                route.targets.append(Target(fd))

    def detach(self, fd: int | None) -> None:
        """The client behind ``fd`` is gone; closing it is the caller's."""
        for route in self.routes:
            route.targets = [target for target in route.targets if target.fd != fd]

    def interests(self) -> dict[int, int]:
        """What to poll for. The slowest reader holds the container back, as a pipe would."""
        wanted: dict[int, int] = {}
        for route in self.routes:
            for target in route.targets:
                if target.pending:
                    wanted[target.fd] = select.POLLOUT
            if not route.ended and not route.busy:
                wanted[route.source] = select.POLLIN
        return wanted

    def handle(self, fd: int, events: int) -> None:
        """Serve one descriptor that ``poll`` named."""
        for route, target in self._targets():
            if fd == target.fd and target.pending:
                self._give(route, target, events)
                return
        if events & ~select.POLLOUT:  # a terminal is also written to
            for route in self.routes:
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

    @property
    def busy(self) -> bool:
        return any(route.busy for route in self.routes)

    def _targets(self) -> Iterator[tuple[Route, Target]]:
        for route in self.routes:
            for target in route.targets:
                yield route, target

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
        for target in route.targets:
            target.pending += data
        return True

    def _give(self, route: Route, target: Target, events: int) -> None:
        try:
            if events & select.POLLOUT:
                del target.pending[: os.write(target.fd, target.pending[:_WRITE])]
                return
        except BlockingIOError:
            return
        except OSError:
            events = _GONE
        if events & _GONE:
            route.targets.remove(target)
