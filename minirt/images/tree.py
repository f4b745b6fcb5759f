"""A small root filesystem on paper, written out as a layer without ever lying on the disk.

So it needs no privilege: files belong to root in the layer whoever makes it, and nothing has to be cleaned up.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from minirt.errors import Unsupported
from minirt.layers.tar_write import DIRECTORY, END, FILE, SYMBOLIC_LINK, entry_header, padding

__all__ = ["Copied", "Directory", "Tree", "Written", "merged_path"]

_MERGED = ("bin", "sbin", "lib", "lib64", "lib32", "libx32")


@dataclass(frozen=True, slots=True)
class Directory:
    mode: int = 0o755


@dataclass(frozen=True, slots=True)
class Symlink:
    target: str


@dataclass(frozen=True, slots=True)
class Written:
    """A file with this content."""

    data: bytes
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Copied:
    """A file of the machine: ``source`` as the machine names it, ``path`` where it can be read."""

    source: str
    path: Path
    mode: int = 0o755


Item = Directory | Symlink | Written | Copied


def merged_path(path: str) -> str:
    """Where a path of the machine goes, ``/bin`` and its like being links to ``/usr/bin``: no slash in front."""
    path = posixpath.normpath("/" + path).lstrip("/")
    return f"usr/{path}" if path.partition("/")[0] in _MERGED else path


@dataclass(slots=True)
class Tree:
    """Items by path, without a slash in front. Parents of what is added are made as needed."""

    items: dict[str, Item] = field(default_factory=dict)

    def add(self, path: str, item: Item) -> None:
        """The first at a path stays: two spellings of one place are one file."""
        parent = posixpath.dirname(path)
        if parent and parent not in self.items:
            self.add(parent, Directory())
        self.items.setdefault(path, item)

    def link(self, path: str, target: str) -> None:
        """A symbolic link at ``path`` to the item at ``target`` (both paths of the tree), as short as can be."""
        near = posixpath.relpath(target, posixpath.dirname(path) or ".")
        self.add(path, Symlink(near if near.count("..") < 3 else f"/{target}"))

    def write(self, write: Callable[[bytes], object], time: int) -> None:
        """Write the tar: sorted, everything root's, every time ``time`` (seconds since 1970)."""
        for path, item in sorted(self.items.items()):
            name, stamp = os.fsencode(path), time * 1_000_000_000
            match item:
                case Directory(mode):
                    write(entry_header(name + b"/", DIRECTORY, mode=mode, mtime_ns=stamp))
                case Symlink(target):
                    link = os.fsencode(target)
                    write(entry_header(name, SYMBOLIC_LINK, mode=0o777, mtime_ns=stamp, link=link))
                case Written(data, mode):
                    write(entry_header(name, FILE, mode=mode, mtime_ns=stamp, size=len(data)))
                    write(data + bytes(padding(len(data))))
                case Copied(source, place, mode):
                    data = _read(source, place)
                    write(entry_header(name, FILE, mode=mode, mtime_ns=stamp, size=len(data)))
                    write(data + bytes(padding(len(data))))
        write(END)


def _read(source: str, place: Path) -> bytes:
    try:
        return place.read_bytes()
    except OSError as error:
        raise Unsupported(f"minirt/base cannot be made: {source} cannot be read", cause=str(error)) from error
