"""Finding the files of a traced container that a ``chown`` is about (see :mod:`minirt.sandbox.owners`).

PRoot stops at every call, and does so before the kernel asks the filters. So what arrives here is changed already:
paths are the machine's, and root's ids have been exchanged for the user's (:mod:`minirt.sandbox.exchanged`).
"""

from __future__ import annotations

import os
from collections.abc import Callable

from minirt.linux.notify import Call
from minirt.sandbox.exchanged import asked_ids
from minirt.sandbox.owners import AT_FDCWD, PATH, Place, Wanted, opened_of, plain_ids

__all__ = ["Translated"]


class Translated:
    """``place_of`` tells of a path of the machine whose it is."""

    def __init__(self, tracer: int, place_of: Callable[[str], Place]) -> None:
        self._tracer = tracer
        self._place_of = place_of

    def ids(self, call: Call, indexes: tuple[int, int]) -> tuple[int, int]:
        seen = plain_ids(call, indexes)
        return asked_ids(self._tracer, call, indexes) if {os.geteuid(), os.getegid()} & {*seen} else seen

    def find(self, wanted: Wanted) -> int:
        if wanted.path.startswith(b"/"):
            return os.open(wanted.path, PATH | os.O_CLOEXEC | (0 if wanted.follow else os.O_NOFOLLOW))
        return opened_of(f"/proc/{wanted.pid}", "cwd" if wanted.directory == AT_FDCWD else f"fd/{wanted.directory}")

    def place(self, fd: int, wanted: Wanted) -> Place:
        path = os.readlink(f"/proc/self/fd/{fd}")
        if wanted.pid == self._tracer and os.path.basename(path).startswith("proot"):
            return Place.FOREIGN  # PRoot's own scratch files, wherever it lays them (5.1: in /tmp)
        return self._place_of(path)
