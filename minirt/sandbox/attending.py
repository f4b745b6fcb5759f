"""The monitor's ears: who is attached to a program, what they type and ask for, until it ends.

The first client is the one that started the program. Others come over a socket in the container's directory, and
bring the descriptors they want to be served with, as the first one did.
"""

from __future__ import annotations

import os
import select
import signal
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from minirt.sandbox.copier import Copier
from minirt.sandbox.init import Stdio
from minirt.sandbox.state import ATTACH_SOCKET
from minirt.sandbox.terminal import Input
from minirt.sandbox.wire import Channel

__all__ = ["Attendance", "Line", "Watcher", "listen"]

_PATIENCE = 2.0  # seconds for a message that has begun; a client that stops in the middle must not stop us


class Watcher(Protocol):
    """Something else that the monitor does meanwhile."""

    def interests(self) -> dict[int, int]: ...

    def timeout(self) -> int | None:
        """Milliseconds until :meth:`tick` is wanted; None: never."""

    def tick(self) -> None: ...

    def handle(self, fd: int) -> None:
        """Serve a descriptor of :meth:`interests`."""


@dataclass(slots=True, eq=False)
class Line:
    """One client. ``tied``: the program is killed when it hangs up."""

    channel: Channel
    stdio: Stdio
    tied: bool = False
    open: bool = True

    def tell(self, message: dict[str, Any]) -> bool:
        """False when nobody is there any more."""
        try:
            self.channel.send(message)
        except OSError:
            return False
        return True

    @property
    def fds(self) -> Iterable[int]:
        return {fd for fd in (self.stdio.stdin, self.stdio.stdout, self.stdio.stderr) if fd is not None}


def listen(state_dir: str) -> socket.socket | None:
    """A socket that only this user can connect to; None where the file system has no sockets."""
    directory = None
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        directory = os.open(state_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        _forget(ATTACH_SOCKET, directory)
        # A socket's address has room for 107 bytes only (unix(7)), and homes may lie deeper than that.
        os.fchmod(listener.fileno(), 0o600)
        listener.bind(f"/proc/self/fd/{directory}/{ATTACH_SOCKET}")
        listener.listen(8)
        return listener
    except OSError:
        listener.close()
        return None
    finally:
        if directory is not None:
            os.close(directory)


def _forget(name: str, directory: int) -> None:
    try:
        os.unlink(name, dir_fd=directory)
    except FileNotFoundError:
        pass


class Attendance:
    """All clients of one program, and the loop that serves them."""

    def __init__(
        self,
        pidfd: int,
        copier: Copier,
        entry: Input | None,
        listener: socket.socket | None,
        watchers: Sequence[Watcher] = (),
    ) -> None:
        self.pidfd = pidfd
        self.copier = copier
        self.entry = entry
        self.listener = listener
        self.watchers = watchers
        self.lines: list[Line] = []

    def welcome(self, line: Line, *, answer: dict[str, Any]) -> None:
        """Serve one more client from now on."""
        self.lines.append(line)
        self.copier.attach("stdout", line.stdio.stdout)
        self.copier.attach("stderr", line.stdio.stderr)
        if self.entry is not None:
            self.entry.add(line.stdio.stdin)
        self._tell(line, answer)

    def tell_all(self, message: dict[str, Any]) -> None:
        for line in list(self.lines):
            self._tell(line, message)

    def kill(self, number: int) -> None:
        try:
            signal.pidfd_send_signal(self.pidfd, number)
        except ProcessLookupError:
            pass

    def step(self, *, ended: bool = False) -> bool:
        """One round; True when the program has ended. After that only what is left to be read is handed out."""
        poll = select.poll()
        for fd, mask in self._wanted(ended).items():
            poll.register(fd, mask)
        channels = {line.channel.fileno(): line for line in self.lines}
        watchers = () if ended else self.watchers
        watched = {fd: (watcher, mask) for watcher in watchers for fd, mask in watcher.interests().items()}
        for fd, (_, mask) in watched.items():
            poll.register(fd, mask)
        over = False
        waits = [wait for wait in (watcher.timeout() for watcher in watchers) if wait is not None]
        for fd, events in poll.poll(min(waits, default=None)):
            if fd == self.pidfd:
                over = True
            elif fd in watched:
                watched[fd][0].handle(fd)
            elif self.listener is not None and fd == self.listener.fileno():
                self._accept()
            elif fd in channels:
                self._obey(channels[fd])
            else:
                if self.entry is not None:
                    self.entry.handle(fd, events)
                self.copier.handle(fd, events)
        for watcher in () if over else watchers:
            watcher.tick()
        return over

    def dismiss(self) -> None:
        """Let go of all clients; a container that is started again serves those who attach anew."""
        for line in list(self.lines):
            line.tied = False
            self._hang_up(line)

    def close(self, state_dir: str | None) -> None:
        """Nobody can come any more."""
        if self.listener is not None and state_dir is not None:
            self.listener.close()
            self.listener = None
            try:
                os.unlink(f"{state_dir}/{ATTACH_SOCKET}")
            except OSError:
                pass  # removed with the container, or lost to a later start of it

    def _wanted(self, ended: bool) -> dict[int, int]:
        wanted = self.copier.interests()
        for line in self.lines:
            wanted[line.channel.fileno()] = select.POLLIN
        if ended:
            return wanted
        if self.entry is not None:
            wanted |= {fd: wanted.get(fd, 0) | mask for fd, mask in self.entry.interests().items()}
        if self.listener is not None:
            wanted[self.listener.fileno()] = select.POLLIN
        return wanted | {self.pidfd: select.POLLIN}

    def _accept(self) -> None:
        assert self.listener is not None
        try:
            sock, _ = self.listener.accept()
        except OSError:
            return
        sock.settimeout(_PATIENCE)
        channel = Channel(sock)
        message = _receive(channel)
        body, fds = message if message is not None else ({}, [])
        try:
            stdio = Stdio(*(None if index is None else fds[index] for index in body["attach"]))
        except (LookupError, TypeError):
            for fd in fds:
                os.close(fd)
            channel.close()
            return
        self.welcome(Line(channel, stdio), answer={"attached": True})

    def _tell(self, line: Line, message: dict[str, Any]) -> None:
        if line.open and not line.tell(message):
            self._hang_up(line)

    def _obey(self, line: Line) -> None:
        if not line.open:
            return
        message = _receive(line.channel)
        if message is None:
            self._hang_up(line)
        elif "kill" in message[0]:
            self.kill(message[0]["kill"])
        elif "detach" in message[0]:
            line.tied = False
            self._hang_up(line)
        elif "resize" in message[0] and self.entry is not None:
            self.entry.resize(*message[0]["resize"])

    def _hang_up(self, line: Line) -> None:
        """Forget a client: nothing is kept for it or waited for from it."""
        line.open = False
        self.lines.remove(line)
        for fd in line.fds:
            self.copier.detach(fd)
            if self.entry is not None:
                self.entry.remove(fd)
            os.close(fd)
        line.channel.close()
        if line.tied:
            self.kill(signal.SIGKILL)


def _receive(channel: Channel) -> tuple[Any, list[int]] | None:
    try:
        return channel.receive()
    except (OSError, ValueError):
        return None
