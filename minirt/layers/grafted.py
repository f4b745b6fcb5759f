"""A tree with other trees in places of it, for those who may not have the kernel mount them there."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from minirt.layers.beneath import DIRECTORY, Beneath, flags

__all__ = ["Grafted"]

_PARENT = flags("O_PATH", "O_DIRECTORY", "O_CLOEXEC")


@dataclass(frozen=True, slots=True)
class _Graft:
    """A file or directory of the machine, as a name in the open directory ``parent``."""

    parent: int
    name: str
    read_only: bool


class Grafted(Beneath):
    """Like :class:`Beneath`; what :meth:`graft` was given is found in its place, as if it were mounted there.

    Nothing need be in the place, but its parent must be there.
    """

    def __init__(self, root: Path, *, read_only: bool = False) -> None:
        super().__init__(root)
        self._read_only = read_only
        self._grafts: dict[tuple[str, ...], _Graft] = {}

    def graft(self, source: str, parts: Sequence[str], *, read_only: bool = False) -> None:
        """Have ``source``, a path of the machine, seen at ``parts``. Raises ``OSError``."""
        above, name = os.path.split(os.path.realpath(source))
        place = self.physical(parts)
        if place in self._grafts:
            os.close(self._grafts[place].parent)
        self._grafts[place] = _Graft(os.open(above, _PARENT), name or ".", read_only)
        self.forget()

    def entry(self, parts: Sequence[str]) -> tuple[int, str]:
        """See :meth:`Beneath.entry`."""
        graft = self._grafts.get(tuple(parts))
        return super().entry(parts) if graft is None else (graft.parent, graft.name)

    def names(self, parts: Sequence[str]) -> list[str]:
        """See :meth:`Beneath.names`."""
        grafted = {place[-1] for place in self._grafts if place[:-1] == tuple(parts)}
        return sorted({*super().names(parts), *grafted})

    def seam(self, parts: Sequence[str]) -> tuple[str, ...]:
        """See :meth:`Beneath.seam`."""
        ways = (tuple(parts[:count]) for count in range(len(parts), 0, -1))
        return next((way for way in ways if way in self._grafts), ())

    def check_writable(self, parts: Sequence[str]) -> None:
        """See :meth:`Beneath.check_writable`."""
        seam = self.seam(parts)
        if self._grafts[seam].read_only if seam else self._read_only:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), "/" + "/".join(parts))

    def close(self) -> None:
        """See :meth:`Beneath.close`."""
        super().close()
        while self._grafts:
            os.close(self._grafts.popitem()[1].parent)

    def _open(self, fd: int, name: str) -> int:
        graft = self._grafts.get((*self._names, name))
        return super()._open(fd, name) if graft is None else os.open(graft.name, DIRECTORY, dir_fd=graft.parent)
