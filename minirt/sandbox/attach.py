"""The engine's side of attaching: one more client of a program that runs already."""

from __future__ import annotations

import os
import socket

from minirt.errors import ContainerNotRunning
from minirt.sandbox.running import Running
from minirt.sandbox.state import ATTACH_SOCKET
from minirt.sandbox.wire import Channel

__all__ = ["attach"]


def attach(
    state_dir: str,
    name: str,
    pid: int,
    start_time: int,
    *,
    stdin: int | None = None,
    stdout: int | None = None,
    stderr: int | None = None,
) -> Running:
    """A handle on the running container that keeps its state in ``state_dir``, whoever started it.

    From now on ``stdout`` and ``stderr`` get what it writes, and ``stdin`` is read for it; the descriptors are the
    caller's and stay his. Raises :class:`ContainerNotRunning`.
    """
    given = [fd for fd in (stdin, stdout, stderr) if fd is not None]
    numbers = iter(range(len(given)))
    indexes = [None if fd is None else next(numbers) for fd in (stdin, stdout, stderr)]
    channel = Channel(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
    try:
        _connect(channel.sock, state_dir)
        channel.send({"attach": indexes}, given)
        answer = channel.receive()
    except OSError:
        answer = None
    if answer is None:
        channel.close()
        raise ContainerNotRunning(
            f"cannot attach to container {name[:12]}",
            cause="it has just ended, or its directory lies on a file system that has no sockets",
        )
    return Running(name, pid, start_time, channel, tied=False)


def _connect(sock: socket.socket, state_dir: str) -> None:
    # As in listen(): an address has room for 107 bytes only.
    directory = os.open(state_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sock.connect(f"/proc/self/fd/{directory}/{ATTACH_SOCKET}")
    finally:
        os.close(directory)
