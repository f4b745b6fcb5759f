"""COPY of one tree whose layer is packed while the tree is written (see :mod:`minirt.snapshots.early`)."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence

from minirt.build.copy_files import Target, copy_packing, set_times
from minirt.build.selection import Item
from minirt.layers.metadata import read_xattrs
from minirt.snapshots.early import EarlyPack

__all__ = ["TreePacking", "can_pack"]


def can_pack(items: Sequence[Item]) -> bool:
    """Whether ``items`` are a tree with something in it, in the order of a layer: names sorted as bytes."""
    if len(items) < 2 or not stat.S_ISDIR(items[0].mode):
        return False
    # As text they are sorted already. Only names that are not UTF-8 come elsewhere when sorted as bytes.
    return all(item.path.isascii() or not any("\udc80" <= char <= "\udcff" for char in item.path) for item in items)


class TreePacking:
    """``top`` is the destination, open in the overlay's upper directory; ``past`` the names that were in it before.

    ``timed``: the destination gets the source's time.
    """

    def __init__(
        self,
        early: EarlyPack,
        top: int,
        target: Target,
        past: frozenset[str],
        items: Sequence[Item],
        *,
        timed: bool,
    ) -> None:
        assert target.upper is not None
        self._early = early
        self._top = os.dup(top)
        place = os.path.relpath(os.readlink(f"/proc/self/fd/{top}"), target.upper)
        self._prefix = "" if place == "." else f"{place}/"
        if any("/" not in item.path and (item.path not in past or not stat.S_ISDIR(item.mode)) for item in items[1:]):
            os.utime(top)
        if timed:
            set_times(target, top, items[0])
        found = os.fstat(top)
        self._times = (found.st_atime_ns, found.st_mtime_ns)
        early.begin()

    def file(self, target: Target, source: int, made: int, name: str, item: Item) -> None:
        """Copy a new plain file from one open directory to the other."""
        target.bytes += copy_packing(target, source, made, name, item, self._prefix + item.path)
        target.files += 1

    def entry(self, item: Item, made: int, name: str) -> None:
        """Anything else that was just made in the open directory ``made``."""
        self._early.take_named(self._prefix + item.path, made, name)

    def directory(self, item: Item, fd: int) -> None:
        """A directory, dressed already, before what it holds."""
        self._early.take(self._prefix + item.path, os.fstat(fd), read_xattrs(fd), None, linked=False)

    def finish(self) -> None:
        """The destination gets the time that was packed for it; that is all."""
        os.utime(self._top, ns=self._times)
        self._early.finish()

    def close(self) -> None:
        os.close(self._top)
