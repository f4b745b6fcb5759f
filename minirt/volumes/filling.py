"""An empty volume starts with what the image has in its place; the sandbox's worker copies it."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path
from typing import Any

from minirt.linux.paths import find_inside, opened

__all__ = ["fill"]


def fill(arguments: dict[str, Any], root: str | None, _fds: list[int]) -> int:
    """Copy ``source`` (a path in the mounted root) into the empty directory ``target``; the number of top entries.

    Modes, owners, times and links are kept. The root belongs to an image, so links on the way (/bin in most of
    them) are followed as the container will: none leads out of the root.
    """
    try:
        with opened(str(root)) as root_fd:
            found = find_inside(root_fd, arguments["source"])
    except OSError:
        return 0  # the image has nothing there
    try:
        source, target = Path(f"/proc/self/fd/{found}"), Path(arguments["target"])
        if not source.is_dir():
            return 0
        names = os.listdir(source)
        for name in names:
            _copy(source / name, target / name)
        _clone_attributes(source.resolve(), target)
        return len(names)
    finally:
        os.close(found)


def _copy(source: Path, target: Path) -> None:
    info = source.lstat()
    if stat.S_ISLNK(info.st_mode):
        target.symlink_to(os.readlink(source))
    elif stat.S_ISDIR(info.st_mode):
        target.mkdir()
        for entry in os.scandir(source):
            _copy(Path(entry.path), target / entry.name)
    elif stat.S_ISREG(info.st_mode):
        shutil.copyfile(source, target, follow_symlinks=False)
    else:
        return  # sockets, FIFOs and devices are made by programs, not shipped
    _clone_attributes(source, target)


def _clone_attributes(source: Path, target: Path) -> None:
    info = source.lstat()
    try:
        os.chown(target, info.st_uid, info.st_gid, follow_symlinks=False)
    except OSError:
        pass  # with one id there is only one owner
    if not stat.S_ISLNK(info.st_mode):
        os.chmod(target, stat.S_IMODE(info.st_mode))  # after chown, which clears setuid
        os.utime(target, ns=(info.st_atime_ns, info.st_mtime_ns))
