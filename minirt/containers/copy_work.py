"""The container's side of ``cp`` and ``export``, done by the sandbox's worker.

The worker stays outside: no program, library or module of the container is ever loaded (CVE-2019-14271 in kind).
"""

from __future__ import annotations

import os
import stat
from typing import Any

from minirt.containers.copy_trees import open_tree
from minirt.containers.tree_tar import TreeReader, TreeWriter, parts_of
from minirt.layers.beneath import Beneath
from minirt.layers.styles import Owners, RealOwners, SideOwners
from minirt.linux import mounts

__all__ = ["look", "pack", "unpack"]


def look(arguments: dict[str, Any], root: str, _fds: list[int]) -> dict[str, Any]:
    """What is at ``path``: links on the way are followed, one at the end only with ``follow`` or a trailing slash."""
    with open_tree(arguments, root) as tree:
        path = arguments["path"]
        *parents, last = parts_of(path) or ("",)
        ends_open = path.endswith(("/", "/.")) or last in ("", "..")
        followed = ends_open or arguments["follow"]
        real = tree.physical([*parents, last]) if followed else (*tree.physical(parents), last)
        found = _status(tree, real)
        up = _status(tree, real[:-1])
        dangling = found is None and path.endswith("/") and _is_link(tree, (*tree.physical(parents), last))
        return {
            "real": "/" + "/".join(real),
            "dangling": dangling,
            "exists": found is not None,
            "directory": found is not None and stat.S_ISDIR(found.st_mode),
            "parent": up is not None and stat.S_ISDIR(up.st_mode),
            "size": 0 if found is None else found.st_size,
            "mode": 0 if found is None else found.st_mode,
            "mtime": 0 if found is None else found.st_mtime,
            "link": _target(tree, real, found),
        }


def _status(tree: Beneath, real: tuple[str, ...]) -> os.stat_result | None:
    try:
        if not real:
            return os.fstat(tree.directory(()))
        directory, name = tree.entry(real)
        return os.stat(name, dir_fd=directory, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _is_link(tree: Beneath, place: tuple[str, ...]) -> bool:
    found = _status(tree, place)
    return found is not None and stat.S_ISLNK(found.st_mode)


def _target(tree: Beneath, real: tuple[str, ...], found: os.stat_result | None) -> str:
    if found is None or not stat.S_ISLNK(found.st_mode):
        return ""
    return os.readlink(real[-1], dir_fd=tree.directory(real[:-1]))


def pack(arguments: dict[str, Any], root: str, fds: list[int]) -> int:
    """Write ``real`` as a tar to ``fds[0]``, called ``name`` in it; with ``pid`` without what that process mounted."""
    with open_tree(arguments, root) as tree, open(fds[0], "wb", buffering=1 << 18) as out:
        pid = arguments.get("pid")
        hidden = {record.target for record in mounts.mounts(pid)} if pid else set()
        writer = TreeWriter(tree, out, _owners(arguments), mounts=hidden)
        try:
            writer.add(parts_of(arguments["real"]), arguments["name"])
            writer.finish()
            out.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), fds[0])  # nobody reads on: that is the reader's business
        return writer.size


def unpack(arguments: dict[str, Any], root: str, fds: list[int]) -> int:
    """Put the tar at ``fds[0]`` into the directory ``real``; with ``user`` all of it belongs to these ids."""
    user = arguments.get("user")
    with open_tree(arguments, root) as tree, open(fds[0], "rb", buffering=1 << 18) as stream:
        reader = TreeReader(
            tree,
            parts_of(arguments["real"]),
            _owners(arguments),
            lambda member: (user[0], user[1]) if user else (member.uid, member.gid),
        )
        return reader.take(stream)


def _owners(arguments: dict[str, Any]) -> Owners:
    return SideOwners() if arguments["one_id"] else RealOwners()
