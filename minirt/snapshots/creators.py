"""Whose are the files that a program made which only seemed to be another user than root?

That is so where all files belong to one id, and where programs are traced. Such a program cannot give files away, so
what it made is its own: it is given to it when its changes become a layer.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from minirt.layers.changes import Change, Present
from minirt.layers.metadata import note_chown
from minirt.layers.styles import Owners, RealOwners

__all__ = ["ROOT", "claimed", "copied_up"]

ROOT = (0, 0)
_ORIGIN = "user.overlay.origin"  # overlayfs puts it on what it copied from below


def claimed(
    found: Iterable[Change], tree: Path, creator: tuple[int, int], owners: Owners, is_new: Callable[[str], bool]
) -> Iterator[Change]:
    """``found`` below ``tree``, with what is new and root's given to ``creator``: there, and on the disk.

    Links and devices cannot carry a note: theirs is in the layer alone.
    """
    for change in found:
        if isinstance(change, Present) and change.path and _owner(change) == ROOT and is_new(change.path):
            _give(tree / change.path, change, creator, owners)
            change = replace(change, metadata=replace(change.metadata, uid=creator[0], gid=creator[1]))
        yield change


def _give(path: Path, change: Present, creator: tuple[int, int], owners: Owners) -> None:
    if isinstance(owners, RealOwners):
        os.chown(path, *creator, follow_symlinks=False)
        if change.kind != stat.S_IFLNK:
            os.chmod(path, change.metadata.mode)  # chown takes the set-id bits away
    elif change.kind in (stat.S_IFREG, stat.S_IFDIR):
        note_chown(str(path), *creator, keep_mode=True)


def _owner(change: Present) -> tuple[int, int]:
    return change.metadata.uid, change.metadata.gid


def copied_up(upper: Path, lowers: Iterable[Path], path: str) -> bool:
    """Whether overlayfs copied the file at ``path`` of ``upper`` from a lower layer, rather than somebody made it."""
    place = upper / path
    try:
        if _ORIGIN in os.listxattr(place, follow_symlinks=False):
            return True
    except OSError:
        pass  # no attributes here: then it is told by its names alone
    # A file with several names carries no such mark, as the copy is of one of them.
    for lower in lowers:
        try:
            status = os.lstat(lower / path)
        except OSError:
            continue
        return status.st_nlink > 1 and stat.S_ISREG(status.st_mode)
    return False
