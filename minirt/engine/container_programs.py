"""The part of a container that is about further programs and following what runs: docker-py's exec_run and attach."""

from __future__ import annotations

import os
import queue
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from minirt.containers.attaching import Attachment, Output
from minirt.engine.options import words
from minirt.errors import InvalidSpec
from minirt.model.cancel import Cancel

if TYPE_CHECKING:
    from minirt.containers.records import ContainerRecord
    from minirt.engine.facade import Engine

__all__ = ["ExecResult", "WithPrograms"]

_STREAMS = {"stdout": 1, "stderr": 2}
Pair = tuple[bytes | None, bytes | None]


class ExecResult(NamedTuple):
    """docker-py's: ``exit_code`` is None while nobody has waited; ``output``: bytes, an iterator, a pair, a socket."""

    exit_code: int | None
    output: Any


class WithPrograms:
    """What :class:`minirt.engine.container.Container` can run beside its program, and show of it."""

    _engine: Engine
    _record: ContainerRecord
    exec_open: Callable[..., Attachment]
    connect: Callable[..., Attachment]

    def exec_run(
        self,
        cmd: str | Sequence[str],
        stdout: bool = True,
        stderr: bool = True,
        stdin: bool | int | None = False,
        tty: bool = False,
        privileged: bool = False,
        user: str = "",
        detach: bool = False,
        stream: bool = False,
        socket: bool = False,
        environment: Mapping[str, str] | Sequence[str] | None = None,
        workdir: str | None = None,
        demux: bool = False,
        *,
        output: Output | None = None,
        cancel: Cancel | None = None,
    ) -> ExecResult:
        """Run a further program in the running container; docker-py's names and results.

        ``stdin`` may also be a file descriptor; ``output`` gets what the program writes as it comes, and then
        nothing is returned of it. Raises ContainerNotRunning, CommandNotFound, Cancelled.
        """
        options: dict[str, Any] = {
            "environment": environment or (), "workdir": workdir, "user": user, "privileged": privileged,
            "window": (0, 0) if tty else None,
        }  # fmt: skip
        if detach:
            self._start_detached(cmd, options)
            return ExecResult(None, b"")
        wanted = {name for name, asked in (("stdout", stdout), ("stderr", stderr)) if asked}
        if socket:
            return ExecResult(None, _as_socket(lambda out, fd: self.exec_open(cmd, out, stdin=fd, **options), tty=tty))
        descriptor = stdin if isinstance(stdin, int) and not isinstance(stdin, bool) else None
        if stream:
            follow = _Follow(lambda out: self.exec_open(cmd, out, stdin=descriptor, **options), wanted)
            return ExecResult(None, follow.pairs() if demux else follow.chunks())
        kept: list[tuple[str, bytes]] = []

        def collect(name: str, data: bytes) -> None:
            if output is not None:
                output(name, data)
            elif name in wanted:
                kept.append((name, data))

        code = self.exec_open(cmd, collect, stdin=descriptor, **options).wait(cancel)
        return ExecResult(code, _split(kept) if demux else b"".join(data for _, data in kept))

    def _start_detached(self, cmd: str | Sequence[str], options: dict[str, Any]) -> None:
        pairs = options.pop("environment")
        environment = dict(pairs) if isinstance(pairs, Mapping) else dict(pair.split("=", 1) for pair in pairs)
        self._engine.lifecycle.exec(
            self._record, words(cmd) or (), environment=environment, cwd=options["workdir"], user=options["user"],
            privileged=options["privileged"], terminal=options["window"], output=None, detach=True,
        )  # fmt: skip

    def attach(
        self,
        stdout: bool = True,
        stderr: bool = True,
        stream: bool = False,
        logs: bool = False,
        demux: bool = False,
    ) -> Any:
        """docker-py's: follow what it writes until it ends, as one text, or with ``stream`` as it comes.

        ``logs`` begins with what it wrote before. Raises ContainerNotRunning, Conflict.
        """
        wanted = {name for name, asked in (("stdout", stdout), ("stderr", stderr)) if asked}
        earlier: list[tuple[str, bytes]] = []
        if logs:
            earlier = [(line.stream, line.data) for line in self.log_lines() if line.stream in wanted]  # type: ignore[attr-defined]
        follow = _Follow(lambda out: self.connect(out), wanted, earlier)
        if stream:
            return follow.pairs() if demux else follow.chunks()
        found = list(follow)
        return _split(found) if demux else b"".join(data for _, data in found)

    def attach_socket(self, params: Mapping[str, Any] | None = None) -> socket.socket:
        """docker-py's: a socket that carries what it writes and what is typed.

        Without a terminal each piece of output has a head of eight bytes (docker's API, "Attach to a container").
        """
        typed = bool((params or {}).get("stdin"))
        return _as_socket(lambda out, fd: self.connect(out, stdin=fd if typed else None), tty=self._record.terminal)

    def resize(self, height: int, width: int) -> None:
        """The size of its terminal in characters. Raises ContainerNotRunning."""
        if height <= 0 or width <= 0:
            raise InvalidSpec(f"a terminal of {height} rows and {width} columns cannot be")
        attachment = self.connect(lambda _stream, _data: None)
        attachment.resize(height, width)
        attachment.detach()


class _Follow:
    """What a program writes, piece by piece, until it ends; it is started at once, and read when asked for."""

    def __init__(
        self, begin: Callable[[Output], Attachment], wanted: set[str], earlier: Sequence[tuple[str, bytes]] = ()
    ) -> None:
        self._pieces: queue.SimpleQueue[tuple[str, bytes] | None] = queue.SimpleQueue()
        for piece in earlier:
            self._pieces.put(piece)

        def take(name: str, data: bytes) -> None:
            if name in wanted:
                self._pieces.put((name, data))

        self._attachment = begin(take)
        threading.Thread(target=self._wait, daemon=True, name="end of an attachment").start()

    def _wait(self) -> None:
        try:
            self._attachment.outcome()
        finally:
            self._pieces.put(None)

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        while (piece := self._pieces.get()) is not None:
            yield piece

    def chunks(self) -> Iterator[bytes]:
        return (data for _, data in self)

    def pairs(self) -> Iterator[Pair]:
        return ((data, None) if name == "stdout" else (None, data) for name, data in self)


def _split(pieces: Sequence[tuple[str, bytes]]) -> Pair:
    """docker-py: standard output and error apart, None for one that said nothing."""
    found = [b"".join(data for name, data in pieces if name == wanted) for wanted in ("stdout", "stderr")]
    return found[0] or None, found[1] or None


def _as_socket(begin: Callable[[Output, int], Attachment], *, tty: bool) -> socket.socket:
    """``begin`` starts or joins the program with a descriptor to be read for it."""
    ours, theirs = socket.socketpair()

    def send(name: str, data: bytes) -> None:
        head = b"" if tty else struct.pack(">BxxxL", _STREAMS[name], len(data))
        try:
            theirs.sendall(head + data)
        except OSError:
            pass  # nobody reads it any more; the program runs on, as with docker

    typed = os.dup(theirs.fileno())
    try:
        attachment = begin(send, typed)
    except BaseException:
        ours.close()
        theirs.close()
        raise
    finally:
        os.close(typed)

    def finish() -> None:
        try:
            attachment.outcome()
        finally:
            theirs.close()

    threading.Thread(target=finish, daemon=True, name="end of a socket").start()
    return ours
