"""inotify(7): the kernel tells when something happens in a directory."""

from __future__ import annotations

import ctypes
import os
import select
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

__all__ = ["IN_CREATE", "IN_DELETE", "IN_ISDIR", "IN_MODIFY",
           "IN_MOVED_FROM", "IN_MOVED_TO", "IN_ONLYDIR", "IN_Q_OVERFLOW",
           "Inotify", "Notice"]  # fmt: skip

IN_MODIFY, IN_ATTRIB, IN_CLOSE_WRITE, IN_MOVED_FROM, IN_MOVED_TO = 0x2, 0x4, 0x8, 0x40, 0x80
IN_CREATE, IN_DELETE, IN_Q_OVERFLOW, IN_IGNORED = 0x100, 0x200, 0x4000, 0x8000
IN_ONLYDIR, IN_DONT_FOLLOW, IN_ISDIR = 0x1000000, 0x2000000, 0x40000000

_HEAD = struct.Struct("iIII")
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Notice:
    """``watch`` is what :meth:`Inotify.add` returned, ``mask`` a sum of ``IN_…``; ``name`` is empty for the thing
    that is watched itself.
    """

    watch: int
    mask: int
    name: str


class Inotify:
    """One queue of notices. Close it, or use it in a ``with`` statement. Raises ``OSError`` (EMFILE, ENOSPC)."""

    def __init__(self) -> None:
        self._fd = self._checked(_libc.inotify_init1(ctypes.c_int(os.O_CLOEXEC | os.O_NONBLOCK)), None)

    @staticmethod
    def _checked(result: int, path: str | None) -> int:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)
        return result

    def fileno(self) -> int:
        return self._fd

    def add(self, path: str, mask: int) -> int:
        """Watch a file or directory (not what is below it); a number that names it in notices."""
        return self._checked(_libc.inotify_add_watch(self._fd, os.fsencode(path), ctypes.c_uint32(mask)), path)

    def wait(self, seconds: float | None = None, *others: int) -> bool:
        """Whether there is something to read, within ``seconds``; also returns when one of ``others`` is readable."""
        ready, _, _ = select.select([self._fd, *others], [], [], seconds)
        return self._fd in ready

    def read(self) -> Iterator[Notice]:
        """All notices so far, without waiting."""
        while True:
            try:
                data = os.read(self._fd, 64 * 1024)
            except BlockingIOError:
                return
            at = 0
            while at < len(data):
                watch, mask, _, length = _HEAD.unpack_from(data, at)
                name = data[at + _HEAD.size : at + _HEAD.size + length].rstrip(b"\0")
                yield Notice(watch, mask, os.fsdecode(name))
                at += _HEAD.size + length

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
