"""Workers that wait for the next call instead of ending: for a build, which calls for many small things in a row."""

from __future__ import annotations

import contextlib
import select
import threading
from typing import Any

from minirt.sandbox.wire import Channel

__all__ = ["Residents"]


class Residents:
    """The idle ones, each behind its channel. Safe from several threads; closing a channel ends its worker."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wishes = 0
        self._idle: list[Channel] = []

    @property
    def wanted(self) -> bool:
        return self._wishes > 0

    def want(self) -> None:
        with self._lock:
            self._wishes += 1

    def unwant(self) -> None:
        """The last wish that ends takes the workers with it."""
        with self._lock:
            self._wishes -= 1
        if not self.wanted:
            self.close()

    def take(self, request: dict[str, Any]) -> Channel | None:
        """An idle worker that has this request now; None when there is none alive."""
        while (channel := self._pop()) is not None:
            with contextlib.suppress(OSError):
                # An idle one says nothing: what can be read is its end.
                poll = select.poll()
                poll.register(channel, select.POLLIN)
                if not poll.poll(0):
                    channel.send(request)
                    return channel
            channel.close()
        return None

    def give_back(self, channel: Channel) -> None:
        with self._lock:
            if self.wanted:
                self._idle.append(channel)
                return
        channel.close()

    def close(self) -> None:
        while (channel := self._pop()) is not None:
            channel.close()

    def _pop(self) -> Channel | None:
        with self._lock:
            return self._idle.pop() if self._idle else None
