"""Messages between the engine and its helper processes: a length, then JSON; descriptors travel with the length.

The form is private to minirt and has no version: both ends come from one installation.
"""

from __future__ import annotations

import array
import json
import os
import socket
import struct
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import minirt.errors as errors
from minirt.errors import Location, MinirtError, SandboxError
from minirt.model.spec import OverlayRoot, Process, Rlimit, RootFilesystem, TreeRoot, User

__all__ = [
    "Channel",
    "error_from_json",
    "error_to_json",
    "process_from_json",
    "process_to_json",
    "root_from_json",
    "root_to_json",
]

_HEAD = struct.Struct("!I")
_MAX_FDS = 64


class Channel:
    """One end of a connected stream socket."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    @classmethod
    def pair(cls) -> tuple[Channel, Channel]:
        one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        return cls(one), cls(other)

    def fileno(self) -> int:
        return self.sock.fileno()

    def close(self) -> None:
        self.sock.close()

    def send(self, message: Any, fds: Sequence[int] = ()) -> None:
        """Raises ``OSError`` (EPIPE, ECONNRESET) if the other end is gone."""
        data = json.dumps(message, separators=(",", ":")).encode()
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.sock.sendmsg([_HEAD.pack(len(data))], ancillary)
        self.sock.sendall(data)

    def receive(self) -> tuple[Any, list[int]] | None:
        """The next message and its descriptors; None when the other end is gone."""
        fds: list[int] = []
        try:
            head = self._exactly(_HEAD.size, fds)
            data = None if head is None else self._exactly(_HEAD.unpack(head)[0], fds)
        except ConnectionError:
            data = None
        if data is None:
            for fd in fds:
                os.close(fd)
            return None
        return json.loads(data), fds

    def hand_over(self, sock: socket.socket) -> None:
        """Give this end to the process behind ``sock``. Raises ``OSError`` if that one is gone."""
        sock.sendmsg([b"R"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [self.fileno()]))])

    @classmethod
    def take_over(cls, sock: socket.socket) -> Channel | None:
        """The other side of :meth:`hand_over`; None when the one who would give it is gone."""
        try:
            _, ancillary, _, _ = sock.recvmsg(1, socket.CMSG_SPACE(4), socket.MSG_CMSG_CLOEXEC)
        except ConnectionError:
            return None
        for _, _, data in ancillary:
            return cls(socket.socket(fileno=array.array("i", data)[0]))
        return None

    def _exactly(self, size: int, fds: list[int]) -> bytes | None:
        pieces = []
        while size:
            room = socket.CMSG_SPACE(_MAX_FDS * 4)
            piece, ancillary, _, _ = self.sock.recvmsg(min(size, 1 << 20), room, socket.MSG_CMSG_CLOEXEC)
            for level, kind, data in ancillary:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    fds.extend(array.array("i", data[: len(data) - len(data) % 4]))
            if not piece:
                return None
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)


def error_to_json(error: BaseException) -> dict[str, Any]:
    """An error as it crosses a process border: a :class:`MinirtError` whole, an ``OSError`` by its number."""
    if isinstance(error, MinirtError):
        fields = dict(vars(error))
        if isinstance(error.where, Location):
            fields["where"] = asdict(error.where)
        fields = {key: _plain(value) for key, value in fields.items()}
        return {"class": type(error).__name__, "fields": fields}
    if isinstance(error, OSError) and error.errno is not None:
        name = error.filename
        return {"errno": error.errno, "text": error.strerror, "path": None if name is None else os.fsdecode(name)}
    text = "".join(traceback.format_exception(error))
    return {"class": "SandboxError", "fields": {"what": f"{type(error).__name__}: {error}", "cause": text}}


def _plain(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def error_from_json(data: dict[str, Any]) -> Exception:
    """The other side of :func:`error_to_json`: an error to raise."""
    if "errno" in data:
        return OSError(data["errno"], data["text"], data["path"])
    fields = {"where": None, "cause": "", "hint": "", **data["fields"]}
    if fields["where"] is not None:
        fields["where"] = Location(**fields["where"])
    cls = getattr(errors, data["class"], SandboxError)
    # Constructors differ between classes; the fields are the whole of an error.
    error: MinirtError = cls.__new__(cls, fields["what"])
    Exception.__init__(error, fields["what"])
    vars(error).update(fields)
    return error


def root_to_json(root: RootFilesystem) -> dict[str, Any]:
    """A root file system alone, as ``call`` sends it."""
    return {"kind": root.kind, **asdict(root)}


def root_from_json(data: dict[str, Any]) -> RootFilesystem:
    """The other side of :func:`root_to_json`."""
    fields = {key: value for key, value in data.items() if key != "kind"}
    if data["kind"] == TreeRoot.kind:
        return TreeRoot(**fields)
    return OverlayRoot(**{**fields, "lowers": tuple(fields["lowers"])})


def process_to_json(process: Process) -> dict[str, Any]:
    """A process alone, as ``exec`` sends it."""
    return asdict(process)


def process_from_json(data: dict[str, Any]) -> Process:
    """The other side of :func:`process_to_json`."""
    user = data["user"]
    return Process(
        **{
            **data,
            "argv": tuple(data["argv"]),
            "user": User(user["uid"], user["gid"], tuple(user["groups"])),
            "capabilities": tuple(data["capabilities"]),
            "rlimits": tuple(Rlimit(**limit) for limit in data["rlimits"]),
        }
    )
