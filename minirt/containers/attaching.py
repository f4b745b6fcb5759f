"""Follow a program in a container while it runs, and type for it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
from collections.abc import Callable

from minirt.errors import Cancelled, ContainerNotRunning, SandboxError
from minirt.model.cancel import Cancel
from minirt.sandbox import Running

__all__ = ["Attachment", "Output", "forward"]

Output = Callable[[str, bytes], None]
"""Called with ``"stdout"`` or ``"stderr"`` and the bytes, from a thread of its own."""

Start = Callable[[int | None, int | None], Running]

_INTERRUPT = ((signal.SIGINT, 0.2), (signal.SIGTERM, 2.0), (signal.SIGKILL, 10.0))  # seconds to wait after each


class Attachment:
    """A running program and the thread that hands on what it writes. All methods may be called from any thread."""

    def __init__(self, running: Running, reader: threading.Thread | None) -> None:
        self.running = running
        self.detached = False
        self._reader = reader

    @classmethod
    def begin(cls, start: Start, output: Output | None) -> Attachment:
        """``start(stdout, stderr)`` starts the program or joins it; with ``output`` through pipes of ours."""
        if output is None:
            return cls(start(None, None), None)
        pipes = {"stdout": os.pipe(), "stderr": os.pipe()}
        try:
            running = start(pipes["stdout"][1], pipes["stderr"][1])
        except BaseException:
            for read, _ in pipes.values():
                os.close(read)
            raise
        finally:
            for _, write in pipes.values():
                os.close(write)
        streams = {read: name for name, (read, _) in pipes.items()}
        reader = threading.Thread(
            target=forward, args=(streams, output), name=f"output of {running.id[:12]}", daemon=True
        )
        reader.start()
        return cls(running, reader)

    @classmethod
    def leave(cls, start: Start, _output: Output | None) -> Attachment:
        """Start it and let go of it at once: nobody hears what it says."""
        attachment = cls(start(None, None), None)
        attachment.detach()
        return attachment

    def wait(self, cancel: Cancel | None = None, *, stays: bool = False) -> int:
        """The exit code, after the last byte was handed on.

        An interrupt ends the program (or leaves it alone if it ``stays``), then is raised.
        """
        try:
            end = self.running.wait(cancel=cancel)
        except (Cancelled, KeyboardInterrupt):
            if stays:
                self.detach()
            else:
                self.interrupt()
            raise
        if self._reader is not None:
            self._reader.join()
        return end.code

    def outcome(self, cancel: Cancel | None = None, *, stays: bool = False) -> int | None:
        """As :meth:`wait`; None when somebody called :meth:`detach` meanwhile."""
        try:
            return self.wait(cancel, stays=stays)
        except SandboxError:
            if self.detached:
                return None
            raise

    def resize(self, rows: int, columns: int) -> None:
        """The size of the window in characters."""
        with contextlib.suppress(ContainerNotRunning):
            self.running.resize(rows, columns)

    def send(self, number: int) -> None:
        """Send a signal, if it still runs."""
        with contextlib.suppress(ContainerNotRunning):
            self.running.kill(number)

    def detach(self) -> None:
        """Leave it alone: it runs on, and nothing more is handed on."""
        self.detached = True
        self.running.detach()

    def interrupt(self) -> None:
        """What Ctrl-C does: ask kindly (SIGINT, then SIGTERM), and do not wait long for an answer."""
        for number, patience in _INTERRUPT:
            self.send(number)
            with contextlib.suppress(TimeoutError):
                self.running.wait(timeout=patience)
                break
        if self._reader is not None:
            self._reader.join(timeout=1.0)


def forward(streams: dict[int, str], output: Callable[[str, bytes], None]) -> None:
    """Hand on what comes from each descriptor, as it comes, until all are closed; then close them here too."""
    poll = select.poll()
    for fd in streams:
        poll.register(fd, select.POLLIN | select.POLLHUP)
    left = dict(streams)
    while left:
        for fd, _ in poll.poll():
            data = os.read(fd, 65536)
            if data:
                output(left[fd], data)
            else:
                poll.unregister(fd)
                os.close(fd)
                del left[fd]
