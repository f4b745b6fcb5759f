"""What programs do to files, as short scripts that both drivers' roots go through: steps are lists of plain words."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Callable
from typing import Any

EARLY = 1_500_000_000  # seconds: a time that is not now


def perform(arguments: dict[str, Any], root: str | None, _fds: list[int]) -> None:
    """Run ``steps`` in the mounted root; a step that makes no sense there is passed over, in both roots alike."""
    os.umask(0o022)
    for action, *words in arguments["steps"]:
        try:
            _ACTIONS[action](*(f"{root}/{word}" if isinstance(word, str) else word for word in words))
        except OSError:
            continue


def loaded(arguments: dict[str, Any], _root: str | None, _fds: list[int]) -> list[str]:
    """The drivers' modules that this process has served with: it imports each at its first call."""
    return sorted(name for name in sys.modules if name in ("minirt.snapshots.work", "minirt.snapshots.copy_work"))


def _write(path: str, size: int) -> None:
    with open(path, "wb") as file:
        file.write(bytes([65 + size % 26]) * size)


def _append(path: str, size: int) -> None:
    with open(path, "ab") as file:
        file.write(b"+" * size)


def _quietly(path: str, size: int) -> None:
    """Other content of the same length at the same time: only a look at the bytes, or the inode, can tell."""
    before = os.lstat(path)
    with open(path, "r+b") as file:
        file.write(b"!" * min(size, before.st_size))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _sparse(path: str, size: int) -> None:
    with open(path, "wb") as file:
        file.seek(size * 4096)
        file.write(b"end")


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        os.unlink(path)


def _attribute(path: str, value: int) -> None:
    _files_only(path)
    os.setxattr(path, "user.mark", str(value).encode(), follow_symlinks=False)


def _files_only(path: str) -> None:
    """A directory set to what it is already looks untouched to who compares; the overlay has noted the attempt."""
    if os.path.isdir(path) and not os.path.islink(path):
        raise OSError


def _own(path: str, uid: int) -> None:
    _files_only(path)
    os.chown(path, uid, uid, follow_symlinks=False)


def _age(path: str, days: int) -> None:
    _files_only(path)
    os.utime(path, (EARLY, EARLY - days * 86400), follow_symlinks=False)


def _move(path: str, to: str) -> None:
    # A directory of a lower layer cannot be renamed in an overlay, and mv copies it then; files can.
    if os.path.isdir(path) and not os.path.islink(path):
        raise OSError
    os.rename(path, to)


def _mode(path: str, mode: int) -> None:
    if os.path.islink(path) or stat.S_IMODE(os.lstat(path).st_mode) == mode:
        raise OSError
    os.chmod(path, mode)


_ACTIONS: dict[str, Callable[..., None]] = {
    "write": _write,
    "append": _append,
    "quietly": _quietly,
    "sparse": _sparse,
    "mkdir": lambda path: os.mkdir(path),
    "remove": _remove,
    "symlink": lambda path, to: os.symlink(os.path.basename(to), path),
    "link": lambda path, to: os.link(path, to, follow_symlinks=False),
    "move": _move,
    "mode": _mode,
    "age": _age,
    "owner": _own,
    "xattr": _attribute,
    "fifo": lambda path: os.mkfifo(path),
}
