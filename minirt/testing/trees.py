"""A directory tree as a value, so that tests can say "these two trees are equal" and see what differs."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Node", "tree_of"]

_NOT_CONTENT = ("trusted.overlay.", "user.overlay.", "security.selinux")


@dataclass(frozen=True, slots=True)
class Node:
    """Everything of one path that a layer must carry.

    ``content`` is the sha256 of a file or the target of a link; ``names`` are all paths of a file with several;
    ``device`` is (major, minor).
    """

    kind: str
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    content: str = ""
    xattrs: tuple[tuple[str, bytes], ...] = ()
    names: tuple[str, ...] = ()
    device: tuple[int, int] = (0, 0)


def tree_of(root: Path, *, times: bool = True, owners: bool = True) -> dict[str, Node]:
    """Path (``""`` the root) to node, for all below ``root``. ``times``, ``owners``: whether they count.

    A directory's own time counts as little as anywhere else: it is listed like a file's.
    """
    found: dict[str, os.stat_result] = {"": root.lstat()}
    _collect(root, "", found)
    shared: dict[tuple[int, int], list[str]] = {}
    for path, status in found.items():
        if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
            shared.setdefault((status.st_dev, status.st_ino), []).append(path)
    nodes = {}
    for path in sorted(found):
        status = found[path]
        names = tuple(sorted(shared.get((status.st_dev, status.st_ino), [])))
        nodes[path] = _node(root / path, status, names if len(names) > 1 else (), times, owners)
    return nodes


def _collect(directory: Path, prefix: str, found: dict[str, os.stat_result]) -> None:
    for entry in os.scandir(directory):
        path = f"{prefix}{entry.name}"
        found[path] = entry.stat(follow_symlinks=False)
        if entry.is_dir(follow_symlinks=False):
            _collect(directory / entry.name, f"{path}/", found)


def _node(path: Path, status: os.stat_result, names: tuple[str, ...], times: bool, owners: bool) -> Node:
    mode = status.st_mode
    content = ""
    if stat.S_ISREG(mode):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
    elif stat.S_ISLNK(mode):
        content = os.readlink(path)
    attributes = sorted(name for name in os.listxattr(path, follow_symlinks=False) if not name.startswith(_NOT_CONTENT))
    special = stat.S_ISCHR(mode) or stat.S_ISBLK(mode)
    return Node(
        stat.filemode(mode)[0],
        stat.S_IMODE(mode),
        status.st_uid if owners else 0,
        status.st_gid if owners else 0,
        status.st_mtime_ns if times else 0,
        content,
        tuple((name, os.getxattr(path, name, follow_symlinks=False)) for name in attributes),
        names,
        (os.major(status.st_rdev), os.minor(status.st_rdev)) if special else (0, 0),
    )
