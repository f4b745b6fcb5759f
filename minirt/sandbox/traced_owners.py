"""Finding the files of a traced container that a ``chown`` is about (see :mod:`minirt.sandbox.owners`).

PRoot stops at every call, and does so before the kernel asks the filters. So what arrives here is changed already:
paths are the machine's, and root's ids have been exchanged for the user's (:mod:`minirt.sandbox.exchanged`).
"""

from __future__ import annotations

import os
from collections.abc import Callable

from minirt.linux.notify import Call
from minirt.sandbox.exchanged import asked_ids
from minirt.sandbox.owners import AT_FDCWD, PATH, Wanted, opened_of, plain_ids

__all__ = ["Translated"]

IsOwn = Callable[[str], bool]


class Translated:
    """``is_own`` tells of a path of the machine whether it is the container's."""

    def __init__(self, tracer: int, is_own: IsOwn) -> None:
        self._tracer = tracer
        self._is_own = is_own

    def ids(self, call: Call, indexes: tuple[int, int]) -> tuple[int, int]:
        seen = plain_ids(call, indexes)
        return asked_ids(self._tracer, call, indexes) if {os.geteuid(), os.getegid()} & {*seen} else seen

    def find(self, wanted: Wanted) -> int | None:
        if wanted.path.startswith(b"/"):
            fd = os.open(wanted.path, PATH | os.O_CLOEXEC | (0 if wanted.follow else os.O_NOFOLLOW))
        else:
            fd = opened_of(f"/proc/{wanted.pid}", "cwd" if wanted.directory == AT_FDCWD else f"fd/{wanted.directory}")
        if self._is_own(os.readlink(f"/proc/self/fd/{fd}")):
            return fd
        os.close(fd)
        return None
