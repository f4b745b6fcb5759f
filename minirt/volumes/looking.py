"""A look into a volume without a container, done by the sandbox's worker: it may read what container root may."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

from minirt.layers.beneath import Beneath

__all__ = ["look"]


def look(arguments: dict[str, Any], _root: str | None, _fds: list[int]) -> list[dict[str, Any]] | None:
    """The entries of the directory ``path`` in ``volume`` (a host path), or the one file; None: nothing there."""
    parts = tuple(part for part in arguments["path"].split("/") if part not in ("", "."))
    with Beneath(Path(arguments["volume"])) as tree:
        try:
            fd = tree.directory(parts)
        except FileNotFoundError:
            return None
        except NotADirectoryError:
            real = tree.physical(parts)
            return [_entry(tree.directory(real[:-1]), real[-1])]
        return [_entry(fd, name) for name in sorted(os.listdir(fd))]


def _entry(fd: int, name: str) -> dict[str, Any]:
    status = os.stat(name, dir_fd=fd, follow_symlinks=False)
    link = os.readlink(name, dir_fd=fd) if stat.S_ISLNK(status.st_mode) else ""
    return {
        "name": name,
        "mode": stat.filemode(status.st_mode),
        # Who looks is the containers' root, also where there is no namespace to call him so.
        "uid": 0 if status.st_uid == os.geteuid() else status.st_uid,
        "gid": 0 if status.st_gid == os.getegid() else status.st_gid,
        "size": status.st_size,
        "link": link,
    }
