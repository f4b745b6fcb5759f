"""A flag that one thread raises and another waits for, together with sockets and pipes."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Iterable
from typing import Self

from minirt.errors import Cancelled

__all__ = ["Cancel", "readable"]


class Cancel:
    """Raised once with :meth:`cancel`; ``fileno()`` becomes readable then, so ``select`` can wait for it.

    Safe from any thread and from a signal handler. Close it, or use it as a context manager, to free its pipe.
    """

    def __init__(self) -> None:
        self._closed = True
        self._raised = threading.Event()
        self._read, self._write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK) if hasattr(os, "pipe2") else os.pipe()
        self._closed = False

    @property
    def cancelled(self) -> bool:
        return self._raised.is_set()

    def cancel(self) -> None:
        """Ask for the end; a second call does nothing."""
        if not self._raised.is_set():
            self._raised.set()
            if not self._closed:
                os.write(self._write, b"!")

    def check(self) -> None:
        """Raises :class:`Cancelled` if asked to end."""
        if self._raised.is_set():
            raise Cancelled()

    def fileno(self) -> int:
        return self._read

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            os.close(self._read)
            os.close(self._write)

    def __del__(self) -> None:
        self.close()  # a kernel makes one for each cell, and lives long

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def readable(descriptors: Iterable[int], timeout: float | None = None) -> list[int]:
    """Those that can be read (or have ended), as soon as there is one; none after ``timeout`` seconds.

    By poll(2): select(2) fails for descriptors from 1024 on, which a long-lived kernel may well have.
    """
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return [descriptor for descriptor, _ in poll.poll(None if timeout is None else max(0.0, timeout) * 1000)]
