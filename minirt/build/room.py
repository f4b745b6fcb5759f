"""Say beforehand that a copy cannot fit on the disk."""

from __future__ import annotations

import os
from collections.abc import Sequence

from minirt.build.selection import Item
from minirt.errors import StorageFull

__all__ = ["check_room", "mostly_holes"]

_SPARE = 64 << 20  # bytes that a copy leaves free
_WORTH_A_WORD = 256 << 20


def check_room(disk: str, items: Sequence[Item], name: str) -> None:
    """Raises :class:`StorageFull` if ``items`` (of the source ``name``) are more than the file system of ``disk`` has.

    Asked before anything is read, because a sparse file may claim far more than it holds and take hours.
    """
    wanted = sum(item.size for item in items)
    if wanted < _SPARE:
        return
    found = os.statvfs(disk)
    free = found.f_bavail * found.f_frsize
    if wanted + _SPARE < free:
        return
    largest = max(items, key=lambda item: item.size)
    raise StorageFull(
        f"cannot copy {wanted / 1e9:.1f} GB: only {free / 1e9:.1f} GB are free",
        cause=f"{largest.path or name} alone counts {largest.size / 1e9:.1f} GB (holes in a file count too)",
        hint="Leave it out with .dockerignore, free some space, or set MINIRT_HOME to a larger disk.",
    )


def mostly_holes(source: str, items: Sequence[Item]) -> list[str]:
    """The big files among ``items`` (below ``source``) that hold next to nothing: their paths, with what they count."""
    found = []
    for item in items:
        if item.size >= _WORTH_A_WORD:
            try:
                held = os.lstat(os.path.join(source, item.path) if item.path else source).st_blocks * 512
            except OSError:
                continue  # gone meanwhile: who reads it will say so
            if held < item.size // 10:
                name = item.path or os.path.basename(source)
                found.append(f"{name} holds {held / 1e6:.0f} MB, but counts {item.size / 1e9:.1f} GB")
    return found
