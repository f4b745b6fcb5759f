"""The engine's handle on a program under way."""

from __future__ import annotations

import contextlib
import select
import signal
import socket
import threading
import time
from dataclasses import dataclass
from typing import Any

from minirt.errors import ContainerNotRunning, SandboxError, SpawnerLost
from minirt.model.cancel import Cancel, readable
from minirt.sandbox.wire import Channel, error_from_json

__all__ = ["Exit", "Running", "receive_or_cancel"]


@dataclass(frozen=True, slots=True)
class Exit:
    """How it ended: docker's exit code (128 + n after signal n), and that signal if there was one."""

    code: int
    signal: int | None = None


def receive_or_cancel(channel: Channel, cancel: Cancel | None) -> tuple[Any, list[int]] | None:
    """The next message; raises :class:`Cancelled` as soon as ``cancel`` is raised."""
    if cancel is not None:
        while True:
            cancel.check()
            poll = select.poll()
            poll.register(channel.fileno(), select.POLLIN)
            poll.register(cancel.fileno(), select.POLLIN)
            if any(fd == channel.fileno() for fd, _ in poll.poll()):
                break
    return channel.receive()


class Running:
    """A started program: ``pid`` is its process id on the machine, ``start_time`` in clock ticks since boot.

    All methods may be called from any thread.
    """

    def __init__(self, name: str, pid: int, start_time: int, channel: Channel, *, tied: bool) -> None:
        self.id = name
        self.pid = pid
        self.start_time = start_time
        self.tied = tied
        self._channel = channel
        self._lock = threading.Lock()
        self._exit: Exit | SandboxError | None = None

    def wait(self, timeout: float | None = None, cancel: Cancel | None = None) -> Exit:
        """Until it has ended.

        Raises ``TimeoutError`` after ``timeout`` seconds; :class:`Cancelled` when ``cancel`` is raised, after
        killing the program if it is tied to this client; :class:`SandboxError` if its monitor was killed.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            while self._exit is None:
                if self._readable(deadline, cancel):
                    self._take()
        except BaseException:
            # Cancelled, or Ctrl-C in this very thread.
            if self.tied and (cancel is not None and cancel.cancelled):
                self._end_now()
            raise
        if isinstance(self._exit, SandboxError):
            raise self._exit
        return self._exit

    def poll(self) -> Exit | None:
        """How it ended, or None if it still runs."""
        try:
            return self.wait(timeout=0)
        except TimeoutError:
            return None

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal to the program; raises :class:`ContainerNotRunning` if it has ended."""
        self._say({"kill": int(number)})

    def resize(self, rows: int, columns: int) -> None:
        """The size of its terminal, in characters; without a terminal it does nothing."""
        self._say({"resize": [rows, columns]})

    def detach(self) -> None:
        """Let go of it without an end, also of one that would be killed with this client."""
        with contextlib.suppress(ContainerNotRunning):
            self._say({"detach": True})
        self.close()

    def close(self) -> None:
        """Let go: a tied program is killed, another one runs on."""
        with contextlib.suppress(OSError):
            self._channel.sock.shutdown(socket.SHUT_RDWR)  # wakes whoever waits for it in another thread
        with self._lock:
            self._channel.close()
            if self._exit is None:
                self._exit = SpawnerLost("this handle on the container was closed")

    def _say(self, message: dict[str, Any]) -> None:
        try:
            if self._exit is not None:
                raise BrokenPipeError
            self._channel.send(message)
        except OSError:
            raise ContainerNotRunning(f"container {self.id[:12]} is not running") from None

    def _readable(self, deadline: float | None, cancel: Cancel | None) -> bool:
        if cancel is not None:
            cancel.check()
        poll = select.poll()
        try:
            poll.register(self._channel.fileno(), select.POLLIN)
        except ValueError:
            return self._exit is not None
        if cancel is not None:
            poll.register(cancel.fileno(), select.POLLIN)
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        # At most a second: another thread may take the answer, or close this handle, meanwhile.
        events = poll.poll(1000 if left is None else min(1000, left * 1000))
        if not events and left is not None and time.monotonic() >= deadline:  # type: ignore[operator]
            raise TimeoutError(f"container {self.id[:12]} still runs")
        return bool(events)

    def _take(self) -> None:
        with self._lock:
            if self._exit is not None or not self._waiting():
                return
            message = self._channel.receive()
            if message is None:
                self._exit = SandboxError(
                    f"the monitor of container {self.id[:12]} is gone, and the container with it",
                    cause="something killed the process that watches over the container",
                )
            elif "error" in message[0]:
                self._exit = SandboxError(str(error_from_json(message[0]["error"])))
            elif "exit" in message[0]:
                self._exit = Exit(message[0]["exit"], message[0]["signal"])
            if self._exit is not None:
                self._channel.close()

    def _waiting(self) -> bool:
        return bool(readable([self._channel.fileno()], 0))

    def _end_now(self) -> None:
        try:
            self.kill()
            self.wait(timeout=10)
        except (SandboxError, ContainerNotRunning, TimeoutError):
            pass
