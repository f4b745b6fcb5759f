"""Locks between processes: one ``flock`` per thing, as files under ``locks/`` that a learner can list.

The kernel drops a lock when its holder dies, so a kill -9 never leaves one behind. Each ``with`` opens the file anew,
so that two threads of one process exclude each other as two processes do.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from urllib.parse import quote

from minirt.errors import Conflict
from minirt.store.files import storage_errors

__all__ = ["USERS", "Locks", "home_lock", "open_locked"]

USERS = "user-"  # what is locked by a name of the caller's choice, apart from the store's own locks
_POLL = 0.005  # seconds between two tries when there is a timeout


def home_lock(home: Path, name: str, *, timeout: float | None = None) -> AbstractContextManager[None]:
    """As ``Store.lock``, for a process that has no store open. Raises ``OSError`` where there is no such home."""
    return Locks(home / "locks").lock(f"{USERS}{name}", timeout=timeout)


class Locks:
    """The locks of one home. ``directory`` must exist."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @contextmanager
    def lock(self, name: str, *, shared: bool = False, timeout: float | None = None) -> Iterator[None]:
        """Hold the lock ``name``; ``shared`` lets other shared holders in.

        Waits for ever without a ``timeout`` (seconds); with one, raises :class:`Conflict` when it is over. Not
        re-entrant: asking twice in one thread waits for itself.
        """
        fd = self._hold(name, fcntl.LOCK_SH if shared else fcntl.LOCK_EX, timeout)
        try:
            yield
        finally:
            os.close(fd)  # which drops the lock; the file stays until clear()

    def held(self, name: str) -> bool:
        """Whether somebody holds it right now. Nothing is written, not even the lock's file."""
        path = self._path(name)
        fd = open_locked(path)
        if fd is not None:
            os.close(fd)
        return fd is None and path.exists()

    def clear(self, pattern: str) -> None:
        """Remove the files of locks that nobody holds: there is one for each container that ever was."""
        for path in self._directory.glob(pattern):
            fd = open_locked(path)
            if fd is not None:
                path.unlink(missing_ok=True)
                os.close(fd)

    def _path(self, name: str) -> Path:
        return self._directory / f"{quote(name, safe='')}.lock"

    def _hold(self, name: str, kind: int, timeout: float | None) -> int:
        path = self._path(name)
        while True:
            with storage_errors(f"locking {name}"):
                fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                _acquire(fd, name, kind, timeout)
                if os.fstat(fd).st_nlink:
                    return fd
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)  # clear() took it away in between: the next holder would lock another file


def open_locked(path: Path) -> int | None:
    """Open ``path`` and lock it if nobody holds it: the descriptor, or ``None`` if it is held or gone."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        return None
    return fd


def _acquire(fd: int, name: str, kind: int, timeout: float | None) -> None:
    if timeout is None:
        fcntl.flock(fd, kind)
        return
    end = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(fd, kind | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= end:
                raise Conflict(
                    f"{name} is busy: another minirt process held its lock for {timeout:g} s",
                    hint="Wait for the other build, pull or prune to end, then try again.",
                ) from None
        time.sleep(_POLL)
