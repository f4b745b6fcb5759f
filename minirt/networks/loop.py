"""One thread that waits for many sockets."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable

__all__ = ["READ", "WRITE", "Loop"]

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
Ready = Callable[[int], None]


class Loop:
    """Calls ``ready(events)`` of a socket that can be read or written, and every second what waits for time."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._each_second: list[Callable[[float], None]] = []

    def watch(self, sock: socket.socket | int, events: int, ready: Ready) -> None:
        """Set what to wait for; no events at all stop the watching."""
        known = sock in self._selector.get_map()
        if not events:
            if known:
                self._selector.unregister(sock)
        elif known:
            self._selector.modify(sock, events, ready)
        else:
            self._selector.register(sock, events, ready)

    def close(self, sock: socket.socket) -> None:
        self.watch(sock, 0, _nothing)
        sock.close()

    def every_second(self, work: Callable[[float], None]) -> None:
        self._each_second.append(work)

    def run(self) -> None:
        """For ever."""
        last = time.monotonic()
        while True:
            # Only while somebody waits for time is there a reason to wake up.
            for key, events in self._selector.select(1.0):
                if key.fileobj in self._selector.get_map():
                    key.data(events)
            now = time.monotonic()
            if now - last >= 1.0:
                last = now
                for work in self._each_second:
                    work(now)


def _nothing(_events: int) -> None:
    """Never called."""
