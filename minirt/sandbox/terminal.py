"""What is typed, on its way to the program: into its terminal, or into the pipe that is its standard input."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import termios

__all__ = ["Input", "set_window"]

_READ = 4096


def set_window(terminal: int, rows: int, columns: int) -> None:
    """Tell a terminal the size of its window in characters; its program gets SIGWINCH if that is new."""
    try:
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    except OSError:
        pass  # its last user is gone


class Input:
    """Takes turns between all who type.

    ``sink`` is a pseudo-terminal's outer end or the writing end of a pipe, and never blocks. A pipe is closed when
    ``owner``, one of the sources, comes to its end (docker's StdinOnce); without an owner it stays open.
    """

    def __init__(self, sink: int, *, terminal: bool, owner: int | None = None) -> None:
        self.sink = sink
        self.terminal = terminal
        self.owner = owner
        self.sources: list[int] = []
        self.closed = False
        self._pending = b""
        self._last = False

    def add(self, source: int | None) -> None:
        """From now on ``source`` is read, as fast as the program takes it."""
        if source is not None and not self.closed:
            self.sources.append(source)

    def remove(self, source: int | None) -> None:
        """Nothing comes from ``source`` any more; closing it is the caller's."""
        if source in self.sources:
            self.sources.remove(source)
        if source is not None and source == self.owner and not self.terminal:
            self._last = True
            self._finish()

    def interests(self) -> dict[int, int]:
        if self.closed:
            return {}
        if self._pending:
            return {self.sink: select.POLLOUT}
        return dict.fromkeys(self.sources, select.POLLIN)

    def handle(self, fd: int, events: int) -> None:
        """Serve one descriptor that ``poll`` named, if it is one of these."""
        if self.closed:
            return
        if fd == self.sink and self._pending and events & ~select.POLLIN:
            self._write()
        elif fd in self.sources and not self._pending:
            try:
                self._pending = os.read(fd, _READ)
            except BlockingIOError:
                return
            except OSError:
                self._pending = b""
            if not self._pending:
                self.remove(fd)

    def resize(self, rows: int, columns: int) -> None:
        """Does nothing where there is no terminal."""
        if self.terminal:
            set_window(self.sink, rows, columns)

    def _write(self) -> None:
        try:
            self._pending = self._pending[os.write(self.sink, self._pending) :]
        except BlockingIOError:
            return
        except OSError:  # the program closed its end: whatever else is typed is for nobody
            self._pending = b""
            self._last = not self.terminal
        self._finish()

    def _finish(self) -> None:
        if self._last and not self._pending and not self.closed:
            self.closed = True
            os.close(self.sink)
