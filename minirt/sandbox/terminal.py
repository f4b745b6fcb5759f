"""The machine's end of a container's terminal: keys go in, and the size of the window changes."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import termios

__all__ = ["Terminal"]


class Terminal:
    """``controller`` is the pseudo-terminal's outer end; ``keys`` is where the user types, if anywhere."""

    def __init__(self, controller: int, keys: int | None) -> None:
        self.controller = controller
        self.keys = keys
        self.pending = b""

    def interests(self) -> dict[int, int]:
        if self.pending:
            return {self.controller: select.POLLOUT}
        return {} if self.keys is None else {self.keys: select.POLLIN}

    def handle(self, fd: int, events: int) -> None:
        if fd == self.keys and not self.pending:
            try:
                self.pending = os.read(self.keys, 1024)
            except OSError:
                self.pending = b""
            if not self.pending:
                self.keys = None
        elif fd == self.controller and events & select.POLLOUT and self.pending:
            try:
                self.pending = self.pending[os.write(self.controller, self.pending) :]
            except OSError:
                self.pending = b""

    def resize(self, rows: int, columns: int) -> None:
        """Tell the program the window's size in characters (SIGWINCH reaches it)."""
        try:
            fcntl.ioctl(self.controller, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        except OSError:
            pass
