"""Owners kept on the side, where all of a container's files belong to one id.

``chown`` there cannot be done. A filter gives each such call to the container's monitor, which notes the owner beside
the file, as it is noted when a layer is unpacked (:data:`minirt.layers.styles.OVERRIDE_STAT`), and says yes. The note
comes back as the file's owner when a layer is packed; the container itself sees the one id.

What cannot carry a note (links, devices), and what is not the container's own (binds, /proc), is answered with yes and
nothing is done, as for package managers, which insist on it.
"""

from __future__ import annotations

import errno
import os
import select
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from minirt.layers.metadata import note_chown
from minirt.linux.notify import CHOWN_CALLS, Call, answer, is_waiting, read_path, receive
from minirt.linux.paths import find_from

__all__ = ["AT_FDCWD", "Finder", "Mounted", "OwnerKeeper", "PATH", "Wanted", "opened_of", "plain_ids"]

AT_FDCWD, _AT_SYMLINK_NOFOLLOW, _AT_EMPTY_PATH = -100, 0x100, 0x1000
PATH: int = getattr(os, "O_PATH", 0)
Ids = Callable[[Call, tuple[int, int]], tuple[int, int]]
_NO_ID = 0xFFFFFFFF  # chown(2): leave it


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a call asks for. ``uid`` and ``gid``: None leaves it. Without ``path`` it is about ``directory`` itself."""

    pid: int
    directory: int
    path: bytes
    follow: bool
    uid: int | None
    gid: int | None

    @classmethod
    def read(cls, call: Call, proc: str, ids: Ids) -> Wanted:
        """Raises ``OSError`` for what the kernel would refuse, too."""
        process = f"{proc}/{call.pid}"
        name = CHOWN_CALLS[call.number]
        uid, gid = (_id(value) for value in ids(call, (2, 3) if name == "fchownat" else (1, 2)))
        if name == "fchown":
            return cls(call.pid, call.signed(0), b"", False, uid, gid)
        if name == "fchownat":
            flags = call.word(4)
            path = read_path(process, call.arguments[1])
            if not path and not flags & _AT_EMPTY_PATH:
                raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
            follow = not flags & _AT_SYMLINK_NOFOLLOW
            return cls(call.pid, call.signed(0), path, follow, uid, gid)
        path = read_path(process, call.arguments[0])
        if not path:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        return cls(call.pid, AT_FDCWD, path, name == "chown", uid, gid)


def plain_ids(call: Call, indexes: tuple[int, int]) -> tuple[int, int]:
    """As the call has them."""
    return call.word(indexes[0]), call.word(indexes[1])


def _id(value: int) -> int | None:
    return None if value == _NO_ID else value


class Finder(Protocol):
    """Opens (``OPATH``) the file that a call is about, if it is one of the container's own."""

    def ids(self, call: Call, indexes: tuple[int, int]) -> tuple[int, int]:
        """(uid, gid) of a call, which has them at these indexes among its arguments."""

    def find(self, wanted: Wanted) -> int | None:
        """A descriptor, None for a file that is not the container's own. Raises ``OSError`` as the kernel would."""


class OwnerKeeper:
    """Answers the calls of one program and all that comes from it; a :class:`~minirt.sandbox.attending.Watcher`."""

    def __init__(self, listener: int, finder: Finder, proc: str = "/proc") -> None:
        """``proc`` is where this process sees itself and the callers."""
        self._listener = listener
        self._finder = finder
        self._proc = proc

    def interests(self) -> dict[int, int]:
        return {} if self._listener < 0 else {self._listener: select.POLLIN}

    def timeout(self) -> int | None:
        return None

    def tick(self) -> None:
        pass

    def handle(self, fd: int) -> None:
        """Answer one call."""
        try:
            call = receive(fd)
        except OSError:
            self.close()  # nobody is left who could call
            return
        if call is None:
            return
        try:
            self._note(call, Wanted.read(call, self._proc, self._finder.ids))
        except OSError as error:
            answer(fd, call, error.errno or errno.EIO)
        else:
            answer(fd, call)

    def close(self) -> None:
        """The program has ended."""
        if self._listener >= 0:
            os.close(self._listener)
            self._listener = -1

    def _note(self, call: Call, wanted: Wanted) -> None:
        fd = self._finder.find(wanted)
        if fd is None:
            return
        try:
            # Only now is it sure that what was opened was the caller's.
            if is_waiting(self._listener, call):
                note_chown(f"{self._proc}/self/fd/{fd}", wanted.uid, wanted.gid)
        finally:
            os.close(fd)


class Mounted:
    """For a container in a mount namespace: paths are walked below the caller's own root."""

    def __init__(self, proc: str = "/proc") -> None:
        self._proc = proc
        self.ids = plain_ids

    def find(self, wanted: Wanted) -> int | None:
        root = self._opened(wanted, "root")
        try:
            fd = self._find(wanted, root)
            if fd is not None and self._mount_of(fd) != self._mount_of(root):
                os.close(fd)
                return None
            return fd
        finally:
            os.close(root)

    def _find(self, wanted: Wanted, root: int) -> int | None:
        if not wanted.path and wanted.directory != AT_FDCWD:
            return self._opened(wanted, f"fd/{wanted.directory}")
        place = "cwd" if wanted.directory == AT_FDCWD else f"fd/{wanted.directory}"
        start = os.dup(root) if wanted.path.startswith(b"/") else self._opened(wanted, place)
        try:
            return find_from(root, start, os.fsdecode(wanted.path), follow=wanted.follow)
        except FileNotFoundError:
            if wanted.path.startswith((b"/proc/", b"/dev/")):
                return None  # the caller's own view of /proc, which is not ours
            raise
        finally:
            os.close(start)

    def _opened(self, wanted: Wanted, what: str) -> int:
        return opened_of(f"{self._proc}/{wanted.pid}", what)

    def _mount_of(self, fd: int) -> bytes:
        with open(f"{self._proc}/self/fdinfo/{fd}", "rb") as lines:
            return next((line for line in lines if line.startswith(b"mnt_id:")), b"")


def opened_of(process: str, what: str) -> int:
    try:
        return os.open(f"{process}/{what}", PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF)) from None
