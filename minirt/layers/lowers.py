"""What shows through from the layers below one: which of their directories overlayfs merges at a path."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from minirt.layers.metadata import read_xattrs
from minirt.layers.styles import OverlayTrusted, OverlayUser, WhiteoutStyle

__all__ = ["attributes_of", "is_opaque", "merged_below", "names_below"]


def merged_below(directories: Sequence[Path], name: str, style: WhiteoutStyle) -> list[Path]:
    """Of ``directories``, merged at some path (topmost first), those merged at its child ``name``."""
    merged = []
    for directory in directories:
        path = directory / name
        try:
            status = path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        if not stat.S_ISDIR(status.st_mode):
            break  # a file or a whiteout: it hides what is further down
        merged.append(path)
        if is_opaque(style, attributes_of(path)):
            break
    return merged


def names_below(directories: Sequence[Path]) -> set[str]:
    """The names in the merged ``directories``, whiteouts included."""
    return {name for directory in directories for name in os.listdir(directory)}


def is_opaque(style: WhiteoutStyle, xattrs: dict[str, bytes]) -> bool:
    """Whether a directory with these attributes hides what lower layers have below it."""
    return isinstance(style, OverlayTrusted | OverlayUser) and xattrs.get(f"{style.prefix}opaque") == b"y"


def attributes_of(path: Path) -> dict[str, bytes]:
    """The extended attributes of a directory of ours."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        return read_xattrs(fd)
    finally:
        os.close(fd)
