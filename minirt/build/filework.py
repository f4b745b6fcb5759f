"""The build's entries into the sandbox's worker: functions of ``(arguments, root_dir, fds)`` with JSON in and out.

``root_dir`` is the stage's root filesystem, mounted for this process alone, in which we are id 0.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from minirt.build.copy_files import Target, items_from_json, set_owner
from minirt.build.copy_packing import can_pack
from minirt.build.copy_worker import close_directories, copy_found, make_directories
from minirt.build.modes import ModeChange
from minirt.build.room import check_room
from minirt.build.selection import Found, Item
from minirt.errors import CopyFailed, InvalidSpec
from minirt.snapshots.early import EarlyPack
from minirt.snapshots.union import Union
from minirt.snapshots.users import lookup_user
from minirt.store.files import storage_errors

__all__ = ["dress", "examine", "transfer", "workdir"]


def transfer(arguments: dict[str, Any], root_dir: str | None, fds: list[int]) -> dict[str, Any]:
    """Carry out one COPY or ADD. The files are listed in ``fds[0]``, or found in the tree of ``from``."""
    os.umask(0)
    root = _root(root_dir)
    target = _target(arguments, root)
    with _image_errors(root, arguments["destination"]), storage_errors(f"copying to {arguments['destination']}"):
        sources = list(_sources(arguments, root, fds))
        target.upper = arguments["upper"] if len(sources) == 1 else None
        for top, found, items in sources:
            check_room(root, items, found.name)
            with _packing(arguments, target, items):
                _transfer_one(arguments, target, top, found, items)
            if arguments.get("whole") and found.place and stat.S_ISDIR(items[0].mode):
                _dress_top(target, root, items[0])
        close_directories(target)
    unknown = [] if not arguments["chown"] else unknown_names(arguments["chown"], root)
    return {"files": target.files, "bytes": target.bytes, "unknown": unknown}


@contextmanager
def _packing(arguments: dict[str, Any], target: Target, items: Sequence[Item]) -> Iterator[None]:
    """Have the layer packed while a single tree is written, where that can be."""
    early = arguments.get("early")
    # What is packed has its mode already, and parents get theirs last.
    if target.upper is None or early is None or target.parents_mode != 0o755 or not can_pack(items):
        yield
        return
    with EarlyPack.of(early, arguments["epoch"]) as target.packing:
        yield


def _transfer_one(arguments: dict[str, Any], target: Target, top: str, found: Found, items: Sequence[Item]) -> None:
    source = os.path.join(top, found.place) if found.place else top
    if found.unpack and stat.S_ISREG(items[0].mode):
        from minirt.build.unpack import is_archive, unpack

        if is_archive(source):
            parents = replace(target, parents_mode=0o755, made_parents=[])
            place = make_directories(parents, arguments["destination"])
            unpack(source, place, owner=target.owner if arguments["chown"] else None)
            return
    # BuildKit sends what is in a context, not its top directory, which therefore has no time of its own.
    timed = bool(found.place) or arguments["from"] is not None
    copy_found(target, source, found.name, items, arguments["destination"], timed=timed)


def _dress_top(target: Target, root: str, item: Item) -> None:
    """``root`` stands for a directory of the source, not only for what is in it."""
    os.chmod(root, stat.S_IMODE(item.mode))
    owner = target.owner or (item.uid, item.gid)
    if owner != (0, 0):
        set_owner(root, owner, stat.S_IMODE(item.mode))


def examine(arguments: dict[str, Any], root_dir: str | None, _fds: list[int]) -> dict[str, Any]:
    """What a ``COPY --from`` would take: the digest of its content, and the marks file by file."""
    from minirt.build.context import Query, Tree

    words, exclude = tuple(arguments["words"]), tuple(arguments["exclude"])
    query = Query(words, exclude, arguments["parents"], owners=True)
    gathered = Tree(_root(root_dir), arguments["name"]).gather(query)
    return {"content": gathered.content, "marks": gathered.marks}


def workdir(arguments: dict[str, Any], root_dir: str | None, _fds: list[int]) -> None:
    """WORKDIR: make the directory unless it is there; a new one belongs to the image's user."""
    os.umask(0)
    root = _root(root_dir)
    target = Target(root, epoch=arguments["epoch"], parents_owner=_owner(arguments["user"], root) or (0, 0))
    with _image_errors(root, arguments["path"]), storage_errors(f"making {arguments['path']}"):
        make_directories(target, arguments["path"])


@contextmanager
def _image_errors(root: str, destination: str) -> Iterator[None]:
    """What of the image is in the way, as an error with its path in the image."""
    try:
        yield
    except OSError as error:
        place = os.fsdecode(error.filename or "")
        shown = "/" + os.path.relpath(place, root) if place.startswith(root) else place
        cause = "the image's symbolic links lead to each other in a circle" if error.errno == errno.ELOOP else ""
        raise CopyFailed(f"cannot write {destination}: {shown}: {error.strerror}", cause=cause) from error


def _root(root_dir: str | None) -> str:
    if root_dir is None:
        raise ValueError("this needs a root filesystem")
    return root_dir


def _target(arguments: dict[str, Any], root: str) -> Target:
    chown = _owner(arguments["chown"], root)
    kept = None if arguments["from"] is not None else (0, 0)
    mode = ModeChange(arguments["chmod"]) if arguments["chmod"] else None
    return Target(
        root,
        owner=chown or kept,
        mode=mode,
        epoch=arguments["epoch"],
        parents_owner=chown or (0, 0),
        parents_mode=mode.for_parents if mode else 0o755,
    )


def _owner(text: str, root: str) -> tuple[int, int] | None:
    """``--chown``: by the image's own /etc/passwd; a number alone is user and group.

    A user that is not there counts as root, a group that is not there as the user's own, an empty one as root's:
    BuildKit has it so (``solver/llbsolver/file/user_linux.go``).
    """
    if not text:
        return None
    name, colon, group = text.partition(":")
    number = _number(name)
    uid, gid = (number, number) if number is not None else _found(name, root) or (0, 0)
    if colon:
        number, found = _number(group), _found(f"0:{group}", root) if group else None
        gid = number if number is not None else found[1] if found else gid if group else 0
    return uid, gid


def _number(text: str) -> int | None:
    """An id of 32 bits; what is none is a name. The highest means "as it is", so root."""
    if not re.fullmatch(r"[0-9]{1,18}", text) or int(text) >= 2**32:
        return None
    return 0 if int(text) == 2**32 - 1 else int(text)


def _found(text: str, root: str) -> tuple[int, int] | None:
    try:
        user = lookup_user(text, Union.of([Path(root)])).user
    except InvalidSpec:
        return None
    return user.uid, user.gid


def unknown_names(text: str, root: str) -> list[str]:
    """The names of ``user:group`` that the image does not know."""
    name, _, group = text.partition(":")
    asked = ((name, name), (group, f"0:{group}"))
    return [word for word, query in asked if word and _number(word) is None and _found(query, root) is None]


def _sources(arguments: dict[str, Any], root: str, fds: list[int]) -> Iterator[tuple[str, Found, Sequence[Item]]]:
    if arguments["from"] is None:
        with os.fdopen(fds[0], "rb") as listing:
            listing.seek(0)
            for row in json.load(listing):
                found = Found(row["place"], row["name"], row.get("unpack", False))
                yield row["top"], found, items_from_json(row["items"])
        return
    from minirt.build.context import Query, Tree

    origin = arguments["from"]
    query = Query(tuple(origin["words"]), tuple(origin["exclude"]), origin["parents"], owners=True)
    top = origin["lowers"][0] if origin["plain"] else _mount_source(root, origin["lowers"])
    for source in Tree(top, origin["name"]).gather_unhashed(query):
        yield source.top, source.found, source.items


def _mount_source(root: str, lowers: Sequence[str]) -> str:
    """The other stage's files, read-only, beside ``root`` in this process's own staging directory."""
    from minirt.linux.mounts import mount_overlay
    from minirt.model.spec import OverlayRoot

    top = f"{os.path.dirname(root)}/source"
    os.mkdir(top)
    mount_overlay(OverlayRoot(tuple(lowers)), top, user=_in_user_namespace())
    return top


def _in_user_namespace() -> bool:
    with open("/proc/self/uid_map") as lines:
        inside, outside, count = lines.readline().split()
    return not (inside == outside == "0" and int(count) >= 2**32 - 1)


def dress(arguments: dict[str, Any], _root: str | None, _fds: list[int]) -> None:
    """Give ``where``, a directory or file of ours, the owner and mode that a mount asks for."""
    set_owner(arguments["where"], (arguments["uid"], arguments["gid"]), arguments["mode"])
    os.chmod(arguments["where"], arguments["mode"])
