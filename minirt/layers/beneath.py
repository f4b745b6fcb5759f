"""Reaching paths below one directory and never outside it, whatever symbolic links lie in between.

Every step opens one name relative to an open directory with ``O_NOFOLLOW``. A symbolic link met on the way is read
and resolved here, as if the directory were ``/``: ``..`` at the top stays at the top, an absolute target starts at the
top. So nothing a layer holds can lead out, and no string of a path is ever handed to the kernel in one piece.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from minirt.errors import LayerError

__all__ = ["DIRECTORY", "Beneath", "flags", "split"]


def flags(*names: str) -> int:
    """Flags of ``open(2)`` by their names, joined. One that a system lacks (Windows has few) counts for nothing.

    So this room can be imported, and layers be read, everywhere; trees are made and walked on Linux only.
    """
    joined = 0
    for name in names:
        joined |= getattr(os, name, 0)
    return joined


DIRECTORY = flags("O_RDONLY", "O_DIRECTORY", "O_NOFOLLOW", "O_CLOEXEC")
_MOST_LINKS = 40  # as the kernel's own limit (path_resolution(7))
_DEEPEST = 500  # directories kept open at once: well below the usual 1024 descriptors


def split(path: str) -> tuple[str, ...]:
    """The parts of a layer's path; ``./a/b``, ``/a/b`` and ``a//b/`` are all ``("a", "b")``, the root is ``()``.

    Raises :class:`LayerError` for ``..`` and for a NUL byte: no honest layer has them.
    """
    parts = tuple(part for part in path.split("/") if part and part != ".")
    if ".." in parts or "\0" in path:
        raise LayerError(
            f"the layer has an entry {path!r}, which would leave its tree",
            cause="the image is broken, or made to attack whoever unpacks it",
            hint="Do not use this image.",
        )
    return parts


class Beneath:
    """Directories below ``root``. Close it, or use it as a context manager.

    The way to the last directory stays open, so that a walk in order opens each directory once. Call :meth:`forget`
    after removing or renaming a directory.
    """

    def __init__(self, root: Path) -> None:
        self._root = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._names: list[str] = []
        self._fds: list[int] = []

    def directory(self, parts: Sequence[str]) -> int:
        """An open directory, valid until the next call; see :meth:`enter`."""
        return self.enter(parts)[0]

    def enter(self, parts: Sequence[str]) -> tuple[int, tuple[str, ...]]:
        """An open directory, valid until the next call, and where it really is once symbolic links are followed.

        Raises :class:`FileNotFoundError` or :class:`NotADirectoryError`, and :class:`LayerError` for a loop of links.
        """
        try:
            return self._walk(parts), tuple(parts)
        except NotADirectoryError:
            real = self.physical(parts)
            return self._walk(real), real

    def entry(self, parts: Sequence[str]) -> tuple[int, str]:
        """An open directory and the name in it by which ``parts``, free of links and not the root, is found."""
        return self.directory(parts[:-1]), parts[-1]

    def names(self, parts: Sequence[str]) -> list[str]:
        """What is in that directory, sorted."""
        return sorted(os.listdir(self.directory(parts)))

    def seam(self, _parts: Sequence[str]) -> tuple[str, ...]:
        """Where the tree that holds ``_parts`` (free of links) begins; there is one, unless others are grafted on."""
        return ()

    def check_writable(self, parts: Sequence[str]) -> None:
        """Raises ``OSError`` (EROFS) where the tree that holds ``parts`` may only be read."""

    def physical(self, parts: Sequence[str]) -> tuple[str, ...]:
        """``parts`` with every symbolic link resolved, the last one too. What does not exist is taken as it is."""
        done: list[str] = []
        todo = list(reversed(parts))
        links = 0
        while todo:
            part = todo.pop()
            if part == "..":
                del done[-1:]
            elif part and part != ".":
                target = self._link(done, part)
                if target is None:
                    done.append(part)
                    continue
                links += 1
                if links > _MOST_LINKS:
                    raise LayerError(f"the layer has a loop of symbolic links at {'/'.join(parts)!r}")
                if target.startswith("/"):
                    done.clear()
                todo.extend(reversed(target.split("/")))
        return tuple(done)

    def forget(self) -> None:
        """Drop the open directories (the root stays)."""
        self._shorten(0)

    def close(self) -> None:
        self._shorten(0)
        if self._root >= 0:
            os.close(self._root)
            self._root = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _walk(self, parts: Sequence[str]) -> int:
        names = self._names
        same = 0
        for ours, theirs in zip(names, parts, strict=False):
            if ours != theirs:
                break
            same += 1
        if same < len(names):
            self._shorten(same)
        fd = self._fds[-1] if self._fds else self._root
        for part in parts[same:]:
            if len(names) >= _DEEPEST:
                raise LayerError(f"the layer has a path of more than {_DEEPEST} directories")
            fd = self._open(fd, part)
            names.append(part)
            self._fds.append(fd)
        return fd

    def _open(self, fd: int, name: str) -> int:
        """The directory ``name`` of ``fd``, which is that at ``self._names``."""
        return os.open(name, DIRECTORY, dir_fd=fd)

    def _shorten(self, length: int) -> None:
        for fd in self._fds[length:]:
            os.close(fd)
        del self._fds[length:], self._names[length:]

    def _link(self, parts: Sequence[str], name: str) -> str | None:
        try:
            return os.readlink(name, dir_fd=self._walk(parts))
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOENT, errno.ENOTDIR):
                return None
            raise
