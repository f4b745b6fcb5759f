"""Landlock: a process gives up, for itself and all that come from it, files that are not on its list (landlock(7)).

It needs no privilege and no namespaces, so it works in pods. A list names directories of the machine, with all below
them, and files; whatever is not named cannot be read, run or written. What it does not govern: looking at a file's
metadata, and changing it (chmod, chown, times, attributes).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from minirt.linux.syscalls import landlock_add, landlock_create, landlock_version

__all__ = ["WANTED", "Reach", "ruleset", "version"]

WANTED = 3  # the first that keeps a file from being cut short (Linux 6.2)

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE, _IOCTL_DEVICE = 1 << 14, 1 << 15
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_ALL = (1 << 15) - 1
_ALL_SINCE_5 = _ALL | _IOCTL_DEVICE
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEVICE


@dataclass(frozen=True, slots=True)
class Reach:
    """Paths of the machine: ``writable`` ones may be read, run and changed; ``readable`` ones not changed."""

    writable: tuple[str, ...]
    readable: tuple[str, ...] = ()


@lru_cache(maxsize=1)
def version() -> int:
    """Of the kernel's interface; 0 where there is none, or it is switched off or refused."""
    try:
        return landlock_version()
    except OSError:
        return 0


def ruleset(reach: Reach, descriptors: Iterable[int] = ()) -> int:
    """``reach`` and the files open as ``descriptors`` (to be opened again), as a descriptor to restrict a process with.

    What is not there is left out. Raises ``OSError``.
    """
    handled = _ALL_SINCE_5 if version() >= 5 else _ALL
    rules = landlock_create(handled)
    for path in reach.readable:
        _allow(rules, path, _READ)
    for path in reach.writable:
        _allow(rules, path, handled)
    for fd in descriptors:
        if stat.S_ISREG(os.fstat(fd).st_mode):
            _allow_open(rules, fd, handled & _OF_FILES)
    return rules


def _allow_open(rules: int, fd: int, access: int) -> None:
    try:
        landlock_add(rules, fd, access)
    except OSError as error:
        if error.errno != errno.EBADFD:  # a file of memory alone (memfd_create(2)), which Landlock does not govern
            raise


def _allow(rules: int, path: str, access: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        directory = stat.S_ISDIR(os.fstat(fd).st_mode)
        landlock_add(rules, fd, access if directory else access & _OF_FILES)
    finally:
        os.close(fd)
