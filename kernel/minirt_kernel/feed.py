"""What the worker threads say, carried to the one place that may talk to the page.

A container's output and a build's events come from any thread, and a bare ``print`` in a thread lands in whatever
cell runs then. So threads only put things in here; the cell's own coroutine takes them out and shows them.
"""

from __future__ import annotations

import codecs
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from minirt.model.events import Event
from minirt_kernel.links import Links

__all__ = ["CellStream", "Feed", "Frame", "Item", "Text"]


@dataclass(frozen=True, slots=True)
class Text:
    """Decoded output; ``stream`` is ``stdout`` or ``stderr``."""

    stream: str
    text: str


@dataclass(frozen=True, slots=True)
class Frame:
    """A text that takes the place of the one shown before it."""

    text: str


Item = Text | Frame | Links | Event


def _nobody() -> None:
    """Before anyone listens."""


class Feed:
    """A queue with one consumer. ``put`` may be called from any thread and never blocks for long.

    A command that prints faster than the page can show is slowed down at ``limit`` waiting characters, as a full
    pipe would slow it; :meth:`close` lets everyone go.
    """

    def __init__(self, limit: int = 4_000_000) -> None:
        self._items: deque[Item] = deque()
        self._room = threading.Condition()
        self._waiting = 0
        self._limit = limit
        self._closed = False
        self._wake: Callable[[], None] = _nobody

    def listen(self, wake: Callable[[], None]) -> None:
        """``wake`` is called, in the putting thread, whenever something arrives."""
        self._wake = wake

    def put(self, item: Item) -> None:
        with self._room:
            if isinstance(item, Text):
                while self._waiting > self._limit and not self._closed:
                    self._room.wait(1)
                self._waiting += len(item.text)
            self._items.append(item)
        self._wake()

    def drain(self) -> list[Item]:
        """Everything that waits, in order; neighbouring texts of one stream come as one."""
        with self._room:
            items, self._items = list(self._items), deque()
            self._waiting = 0
            self._room.notify_all()
        return _merged(items)

    def close(self) -> None:
        """No one will take anything more: do not hold the putters back."""
        with self._room:
            self._closed = True
            self._room.notify_all()
        self._wake = _nobody


def _merged(items: list[Item]) -> list[Item]:
    merged: list[Item] = []
    for item in items:
        last = merged[-1] if merged else None
        if isinstance(item, Text) and isinstance(last, Text) and last.stream == item.stream:
            merged[-1] = Text(item.stream, last.text + item.text)
        elif isinstance(item, Frame) and isinstance(last, Frame):
            merged[-1] = item
        else:
            merged.append(item)
    return merged


class CellStream:
    """A writable binary stream whose bytes become the cell's text, decoded as UTF-8 across the cuts."""

    def __init__(self, feed: Feed, stream: str) -> None:
        self.name = stream
        self._feed = feed
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._lock = threading.Lock()

    def write(self, data: bytes | bytearray | memoryview | str) -> int:
        raw = data.encode() if isinstance(data, str) else bytes(data)
        with self._lock:
            text = self._decoder.decode(raw)
            if text:
                self._feed.put(Text(self.name, text))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back but the bytes of a half character."""

    def finish(self) -> None:
        """The end: a half character at the end becomes U+FFFD."""
        with self._lock:
            text = self._decoder.decode(b"", final=True)
            if text:
                self._feed.put(Text(self.name, text))

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def isatty(self) -> bool:
        return False

    @property
    def closed(self) -> bool:
        return False
