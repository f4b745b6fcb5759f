"""Directories and empty files made only to mount something on: they are not the container's work.

They would show in ``docker diff`` and become part of a layer, so they are taken away when the container has ended.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from typing import Any

from minirt.model.spec import OverlayRoot, RootFilesystem

__all__ = ["Stubs", "remove_stubs", "storage_of", "untouched"]


def storage_of(root: RootFilesystem) -> str | None:
    """Where what is written in the container lands on the machine."""
    return root.upper if isinstance(root, OverlayRoot) else root.path


class Stubs:
    """Takes notes while the root at ``where`` is built.

    ``made`` are paths inside; ``copied`` are directories of lower layers that only the making brought into the
    upper one, with mode and owner, to tell whether the program changed them.
    """

    def __init__(self, where: str, root: RootFilesystem) -> None:
        self.where = where
        self.storage = storage_of(root)
        self.made: list[str] = []
        self.copied: list[list[Any]] = []

    def note(self, parent: int, name: str) -> None:
        """``name`` is about to be made in the directory ``parent``."""
        directory = os.readlink(f"/proc/self/fd/{parent}").removeprefix(self.where)
        if self.storage is None or directory.startswith(("/dev", "/sys", "/proc")):
            return
        self.made.append(f"{directory}/{name}")
        while directory and not os.path.lexists(self.storage + directory):
            found = os.stat(self.where + directory)
            self.copied.append([directory, found.st_mode, found.st_uid, found.st_gid])
            directory = os.path.dirname(directory).rstrip("/")

    def to_json(self) -> dict[str, Any]:
        return {"made": self.made, "copied": self.copied}


def untouched(storage: str, made: Iterable[str], copied: Iterable[list[Any]]) -> set[str]:
    """The paths that :func:`remove_stubs` would take away: there while the container runs, but not its work."""
    found: set[str] = set()

    def only_stubs(path: str) -> bool:
        return all(f"{path}/{name}" in found for name in os.listdir(storage + path))

    for path in sorted(made, key=len, reverse=True):
        try:
            status = os.lstat(storage + path)
            empty = stat.S_ISREG(status.st_mode) and status.st_size == 0
            if empty or (stat.S_ISDIR(status.st_mode) and only_stubs(path)):
                found.add(path)
        except OSError:
            continue
    for path, mode, uid, gid in sorted(copied, key=lambda entry: len(entry[0]), reverse=True):
        try:
            status = os.lstat(storage + path)
            if (status.st_mode, status.st_uid, status.st_gid) == (mode, uid, gid) and only_stubs(path):
                found.add(path)
        except OSError:
            continue
    return found


def remove_stubs(storage: str, made: Iterable[str], copied: Iterable[list[Any]]) -> None:
    """Take away, deepest first, what is still as it was made."""
    for path in sorted(made, key=len, reverse=True):
        try:
            found = os.lstat(storage + path)
            if stat.S_ISDIR(found.st_mode):
                os.rmdir(storage + path)
            elif stat.S_ISREG(found.st_mode) and found.st_size == 0:
                os.unlink(storage + path)
        except OSError:
            continue  # something was put there, or it is gone
    for path, mode, uid, gid in sorted(copied, key=lambda entry: len(entry[0]), reverse=True):
        try:
            found = os.lstat(storage + path)
            if (found.st_mode, found.st_uid, found.st_gid) == (mode, uid, gid):
                os.rmdir(storage + path)
        except OSError:
            continue
