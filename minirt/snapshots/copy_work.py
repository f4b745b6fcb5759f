"""The copy driver's filesystem work, done by the sandbox's worker. Arguments and results are JSON."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from minirt.layers.blob_file import BlobFile
from minirt.layers.changes import Change, Opaque, Present, Whiteout
from minirt.layers.metadata import read_xattrs
from minirt.layers.pack import pack
from minirt.layers.styles import (
    OverlayTrusted,
    OverlayUser,
    Owners,
    RealOwners,
    SideOwners,
    WhiteoutStyle,
    make_whiteout,
)
from minirt.layers.tree_changes import Since, tree_changes
from minirt.linux.birth import birth_ns
from minirt.linux.paths import opened
from minirt.snapshots.creators import ROOT, claimed
from minirt.snapshots.shared import FORM, form_name
from minirt.snapshots.trees import Copier, lay_over, put_on
from minirt.snapshots.work import _label, _place, _remove
from minirt.store.files import storage_errors

__all__ = ["NOTES", "TREE", "commit", "differences", "materialise", "prepare", "size"]

TREE = "tree"  # the whole root filesystem, in a chain's directory and in a container's
NOTES = "copied.json"  # what tells later what has changed since
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def _style(arguments: dict[str, Any]) -> WhiteoutStyle:
    return OverlayTrusted() if arguments["privileged"] else OverlayUser()


def _owners(arguments: dict[str, Any]) -> Owners:
    return SideOwners() if arguments["one_id"] else RealOwners()


def materialise(arguments: dict[str, Any], _root: str | None, _fds: list[int]) -> None:
    """Lay the unpacked ``layers`` (base first) over each other; the tree appears in ``target`` by one rename."""
    staging, target = Path(arguments["staging"]), Path(arguments["target"])
    tree, copier = staging / TREE, Copier()
    with storage_errors("laying out an image"):
        tree.mkdir(parents=True)
        tree.chmod(0o755)
        for layer in arguments["layers"]:
            lay_over(Path(layer), tree, _style(arguments), copier)
        (staging / "layers").write_text("".join(f"{Path(layer).parent.name}\n" for layer in arguments["layers"]))
        (staging / FORM).write_text(form_name(arguments))
        target.parent.mkdir(exist_ok=True)
        try:
            os.rename(staging, target)
        except OSError:
            if not target.is_dir():
                raise
            _remove(staging)


def prepare(arguments: dict[str, Any], _root: str | None, _fds: list[int]) -> None:
    """Copy the tree ``source`` into the directory ``where``, and note what tells later what has changed."""
    where = Path(arguments["where"])
    with storage_errors("copying a root filesystem"):
        (where / TREE).mkdir()
        source, target = os.open(arguments["source"], _DIRECTORY), os.open(where / TREE, _DIRECTORY)
        try:
            Copier().tree(source, target)
            directories = {path: _identity(fd) for path, fd in _directories(target, "")}
        finally:
            os.close(source)
            os.close(target)
        notes = where / NOTES
        notes.write_text(json.dumps({"directories": directories}))
        # Clocks of file systems tick a few times in ten milliseconds: the next tick parts the copying from the rest.
        before = notes.stat().st_ctime_ns
        while notes.stat().st_ctime_ns == before:
            os.utime(notes)


def _directories(fd: int, prefix: str) -> Iterator[tuple[str, int]]:
    yield prefix.rstrip("/"), fd
    with os.scandir(fd) as entries:
        names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    for name in names:
        below = os.open(name, _DIRECTORY, dir_fd=fd)
        try:
            yield from _directories(below, f"{prefix}{name}/")
        finally:
            os.close(below)


def _identity(fd: int) -> list[int]:
    """Inode numbers are used again at once; with the time of birth they are unique."""
    return [os.fstat(fd).st_ino, birth_ns(fd)]


def _changes(arguments: dict[str, Any]) -> Iterator[Change]:
    where = Path(arguments["where"])
    notes = where / NOTES
    known = json.loads(notes.read_text())["directories"]
    since = Since(notes.stat().st_ctime_ns, lambda path, fd: known.get(path) != _identity(fd))
    hidden = {path.lstrip("/") for path in arguments.get("without", ())}
    found = tree_changes(Path(arguments["base"]), where / TREE, owners=_owners(arguments), since=since)
    return (change for change in found if change.path not in hidden) if hidden else found


def _claimed(arguments: dict[str, Any]) -> Iterable[Change]:
    found, creator = _changes(arguments), tuple(arguments["creator"])
    if creator == ROOT or not (arguments["one_id"] or arguments["traced"]):
        return found
    base, tree = Path(arguments["base"]), Path(arguments["where"]) / TREE
    copied_ns = (Path(arguments["where"]) / NOTES).stat().st_ctime_ns

    def is_new(path: str) -> bool:
        if not os.path.lexists(base / path):
            return True
        fd = os.open(tree / path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            return birth_ns(fd) >= copied_ns
        finally:
            os.close(fd)

    return claimed(found, tree, creator, _owners(arguments), is_new)


def commit(arguments: dict[str, Any], _root: str | None, _fds: list[int]) -> dict[str, Any]:
    """Pack what changed into the file ``blob``; unless ``keep``, turn it into the unpacked layer."""
    where, home = Path(arguments["where"]), Path(arguments["home"])
    found = list(_claimed(arguments))
    with storage_errors("packing a layer"), BlobFile(Path(arguments["blob"])) as out:
        packed = pack(found, where / TREE, out, source_date_epoch=arguments["epoch"])
    if not arguments["keep"]:
        if not (home / "layers" / packed.diff_id.hex).is_dir():
            staging = where / "layer"
            _take_out(found, Path(arguments["base"]), where / TREE, staging / "diff", _style(arguments))
            facts = (packed.diff_id, packed.entries, packed.content_bytes)
            _label(staging, str(packed.diff_id), *facts, form_name(arguments))
            _place(staging, home, packed.diff_id)
        _remove(where)
    return {
        "diff_id": str(packed.diff_id),
        "size": packed.size,
        "content_bytes": packed.content_bytes,
        "entries": packed.entries,
        "whiteouts": [[mark.path, mark.opaque] for mark in packed.whiteouts],
    }


def _take_out(found: Iterable[Change], base: Path, tree: Path, diff: Path, style: WhiteoutStyle) -> None:
    """Move the changed files out of ``tree`` (it is used up by that) into a layer in overlay form."""
    diff.mkdir(parents=True)
    dressed = {"": (os.stat(tree), _attributes(tree))}
    for change in found:
        place = diff / change.path
        if isinstance(change, Whiteout):
            _hide(place)
        elif isinstance(change, Opaque):
            _make_opaque(base / change.path, tree / change.path, place, style)
        elif change.kind == stat.S_IFDIR and change.path:
            place.mkdir()
            dressed[change.path] = (os.lstat(tree / change.path), _attributes(tree / change.path))
        elif change.path:
            _move(tree / change.path, place)
    # Last, the deepest first: filling a directory changes its time, and a read-only one cannot be filled.
    for path in sorted(dressed, reverse=True):
        fd = os.open(diff / path, _DIRECTORY)
        try:
            put_on(fd, *dressed[path])
        finally:
            os.close(fd)


def _move(source: Path, target: Path) -> None:
    """Also out of a directory in which its owner may not write: it is used up, and its mode is known by now."""
    try:
        os.rename(source, target)
    except PermissionError:
        os.chmod(source.parent, 0o700)
        os.rename(source, target)


def _hide(place: Path) -> None:
    with opened(str(place.parent)) as directory:
        make_whiteout(place.name, directory)


def _attributes(directory: Path) -> dict[str, bytes]:
    fd = os.open(directory, _DIRECTORY)
    try:
        return read_xattrs(fd)
    finally:
        os.close(fd)


def _make_opaque(old: Path, new: Path, place: Path, style: WhiteoutStyle) -> None:
    assert isinstance(style, OverlayTrusted | OverlayUser)
    try:
        os.setxattr(place, f"{style.prefix}opaque", b"y")
    except OSError:
        # A file system without attributes: say it name by name.
        for name in sorted(set(os.listdir(old)) - set(os.listdir(new))):
            _hide(place / name)


def differences(arguments: dict[str, Any], _root: str | None, _fds: list[int]) -> list[list[str]]:
    """What changed as docker diff tells it: [kind, path], kind one of A, C, D."""
    base, tree = Path(arguments["base"]), Path(arguments["where"]) / TREE
    found = []
    for change in _changes(arguments):
        if isinstance(change, Whiteout):
            found.append(["D", f"/{change.path}"])
        elif isinstance(change, Opaque):
            gone = set(os.listdir(base / change.path)) - set(os.listdir(tree / change.path))
            found += [["D", f"/{change.path}/{name}"] for name in gone]
        elif change.path:
            found.append(["C" if os.path.lexists(base / change.path) else "A", f"/{change.path}"])
    return sorted(found, key=lambda row: row[1])


def size(arguments: dict[str, Any], _root: str | None, _fds: list[int]) -> int:
    """Bytes of the files that changed, each inode once."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for change in _changes(arguments):
        if isinstance(change, Present) and change.inode not in seen:
            total += change.size
            if change.inode is not None:
                seen.add(change.inode)
    return total
