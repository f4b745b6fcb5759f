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
from enum import Enum, auto
from typing import Protocol

from minirt.layers.metadata import note_chown
from minirt.linux.notify import CHOWN_CALLS, METADATA_CALLS, Call, answer, is_waiting, let_go, read_path, receive
from minirt.linux.paths import find_from

__all__ = ["AT_FDCWD", "Finder", "Mounted", "OwnerKeeper", "PATH", "Place", "Wanted", "opened_of", "plain_ids"]

AT_FDCWD, _AT_SYMLINK_NOFOLLOW, _AT_EMPTY_PATH = -100, 0x100, 0x1000
PATH: int = getattr(os, "O_PATH", 0)
Ids = Callable[[Call, tuple[int, int]], tuple[int, int]]
FORMS = CHOWN_CALLS | METADATA_CALLS
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
        form = FORMS[call.number]
        flags = 0 if form.flags is None else call.word(form.flags)
        directory = AT_FDCWD if form.directory is None else call.signed(form.directory)
        uid, gid = (None, None) if form.ids is None else (_id(value) for value in ids(call, form.ids))
        path, address = b"", 0 if form.path is None else call.arguments[form.path]
        if address:
            path = read_path(f"{proc}/{call.pid}", address)
            if not path and not flags & _AT_EMPTY_PATH:
                raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        return cls(call.pid, directory, path, form.follow and not flags & _AT_SYMLINK_NOFOLLOW, uid, gid)


def plain_ids(call: Call, indexes: tuple[int, int]) -> tuple[int, int]:
    """As the call has them."""
    return call.word(indexes[0]), call.word(indexes[1])


def _id(value: int) -> int | None:
    return None if value == _NO_ID else value


class Place(Enum):
    """Whose a file is: the container's own, somebody else's, or one that the container may only read."""

    OWN = auto()
    FOREIGN = auto()
    READ_ONLY = auto()


class Finder(Protocol):
    """Opens (``O_PATH``) the file that a call is about."""

    def ids(self, call: Call, indexes: tuple[int, int]) -> tuple[int, int]:
        """(uid, gid) of a call, which has them at these indexes among its arguments."""

    def find(self, wanted: Wanted) -> int:
        """Raises ``OSError`` as the kernel would."""

    def place(self, fd: int, wanted: Wanted) -> Place: ...


class OwnerKeeper:
    """Answers the calls of one program and all that comes from it; a :class:`~minirt.sandbox.attending.Watcher`.

    ``proc`` is where this process sees itself and the callers. Without ``notes``, owners are the kernel's business.
    """

    def __init__(self, listener: int, finder: Finder, proc: str = "/proc", *, notes: bool = True) -> None:
        self._listener = listener
        self._finder = finder
        self._proc = proc
        self._notes = notes

    def interests(self) -> dict[int, int]:
        return {} if self._listener < 0 else {self._listener: select.POLLIN}

    def timeout(self) -> int | None:
        return None

    def tick(self) -> None:
        pass

    def handle(self, fd: int) -> None:
        """Answer one call."""
        if not _has_call(fd):
            self.close()  # nobody is left who could call; to wait for a call would be for ever on older kernels
            return
        call = receive(fd)
        if call is None:
            return
        notes = self._notes and call.number in CHOWN_CALLS
        try:
            self._serve(call, notes=notes)
        except OSError as error:
            if notes or error.errno == errno.EROFS:
                answer(fd, call, error.errno or errno.EIO)
            else:
                let_go(fd, call)  # the kernel will find the same
        else:
            if notes:
                answer(fd, call)
            else:
                let_go(fd, call)

    def close(self) -> None:
        """The program has ended."""
        if self._listener >= 0:
            os.close(self._listener)
            self._listener = -1

    def _serve(self, call: Call, *, notes: bool) -> None:
        wanted = Wanted.read(call, self._proc, self._finder.ids)
        fd = self._finder.find(wanted)
        try:
            place = self._finder.place(fd, wanted)
            if place is Place.READ_ONLY:
                raise OSError(errno.EROFS, os.strerror(errno.EROFS))
            # Only now is it sure that what was opened was the caller's.
            if notes and place is Place.OWN and is_waiting(self._listener, call):
                note_chown(f"{self._proc}/self/fd/{fd}", wanted.uid, wanted.gid)
        finally:
            os.close(fd)


def _has_call(listener: int) -> bool:
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    return any(events & select.POLLIN for _, events in poll.poll(0))


class Mounted:
    """For a container in a mount namespace: paths are walked below the caller's own root."""

    def __init__(self, proc: str = "/proc") -> None:
        self._proc = proc
        self.ids = plain_ids

    def find(self, wanted: Wanted) -> int:
        if not wanted.path and wanted.directory != AT_FDCWD:
            return self._opened(wanted, f"fd/{wanted.directory}")
        where = "cwd" if wanted.directory == AT_FDCWD else f"fd/{wanted.directory}"
        root = self._opened(wanted, "root")
        start = os.dup(root) if wanted.path.startswith(b"/") else self._opened(wanted, where)
        try:
            return find_from(root, start, os.fsdecode(wanted.path), follow=wanted.follow)
        except FileNotFoundError:
            if not wanted.path.startswith((b"/proc/", b"/dev/")):
                raise
            # The caller's own view of /proc, which is not ours.
            return os.open("/", PATH | os.O_CLOEXEC)
        finally:
            os.close(start)
            os.close(root)

    def place(self, fd: int, wanted: Wanted) -> Place:
        root = self._opened(wanted, "root")
        try:
            return Place.OWN if self._mount_of(fd) == self._mount_of(root) else Place.FOREIGN
        finally:
            os.close(root)

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
