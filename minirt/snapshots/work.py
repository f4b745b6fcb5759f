"""Filesystem work on layers, done by the sandbox's worker: it has the ids that containers have.

As an ordinary user, layers hold files that only root of the user namespace may read or remove (mode 000, other
owners); so every call that touches them runs there. Arguments and results are JSON.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from minirt.layers.apply import apply
from minirt.layers.blob_file import BlobFile
from minirt.layers.changes import Change, changes
from minirt.layers.pack import pack
from minirt.layers.streams import decompress
from minirt.layers.styles import SideOwners
from minirt.model.digest import Digest
from minirt.snapshots.contract import LOWER
from minirt.snapshots.creators import ROOT, claimed, copied_up
from minirt.snapshots.early import form_of, layers_below, packed_facts, take_packed
from minirt.snapshots.shared import FORM, form_name
from minirt.store.files import atomic_write, storage_errors

__all__ = ["commit", "discard", "measure", "unpack"]


def unpack(arguments: dict[str, Any], _root: str | None, fds: list[int]) -> dict[str, Any]:
    """Unpack the blob open at ``fds[0]`` and give it its place by one rename."""
    staging, home = Path(arguments["staging"]), Path(arguments["home"])
    diff_id = Digest.parse(arguments["diff_id"])
    target = staging / "diff"
    target.mkdir(parents=True)
    target.chmod(0o755)
    lowers = [Path(lower) for lower in arguments["lowers"]]
    with os.fdopen(fds[0], "rb") as blob:
        tar = decompress(blob, arguments["media_type"])
        result = apply(tar, target, diff_id=diff_id, lowers=lowers, **form_of(arguments))
    _label(staging, arguments["digest"], diff_id, result.entries, result.content_bytes, form_name(arguments))
    _place(staging, home, diff_id)
    return {"entries": result.entries, "size": result.size}


def commit(arguments: dict[str, Any], _root: str | None, _fds: list[int]) -> dict[str, Any]:
    """Pack ``where/upper`` into the file ``blob``; unless ``keep``, turn the directory into the unpacked layer."""
    where, home = Path(arguments["where"]), Path(arguments["home"])
    with storage_errors("packing a layer"):
        facts = take_packed(where, Path(arguments["blob"])) or _packed(arguments, where, home)
    if not arguments["keep"]:
        _use_up(where, home, facts, form_name(arguments))
    return facts


def _packed(arguments: dict[str, Any], where: Path, home: Path) -> dict[str, Any]:
    upper = where / "upper"
    with BlobFile(Path(arguments["blob"])) as out:
        # Tidied, because the upper directory becomes the unpacked layer: it must say just what the packed one says.
        lowers = layers_below(where, home)
        tidy = not arguments["keep"]
        found: Iterable[Change] = changes(upper, lowers=lowers, tidy=tidy, **form_of(arguments))
        creator = tuple(arguments["creator"])
        if arguments["one_id"] and creator != ROOT:
            found = claimed(found, upper, creator, SideOwners(), lambda path: not copied_up(upper, lowers or (), path))
        hidden = set(arguments["without"])
        chosen = (change for change in found if f"/{change.path}" not in hidden) if hidden else found
        return packed_facts(pack(chosen, upper, out, source_date_epoch=arguments["epoch"]))


def _use_up(where: Path, home: Path, facts: dict[str, Any], form: str) -> None:
    diff_id = Digest.parse(facts["diff_id"])
    if (home / "layers" / diff_id.hex).is_dir():
        _remove(where)
        return
    os.rename(where / "upper", where / "diff")
    (where / LOWER).unlink(missing_ok=True)
    _remove(where / "work")
    _label(where, str(diff_id), diff_id, facts["entries"], facts["content_bytes"], form)
    _place(where, home, diff_id)


def _label(directory: Path, digest: str, diff_id: Digest, entries: int, size: int, form: str) -> None:
    facts = {"digest": digest, "diff_id": str(diff_id), "entries": entries, "content_bytes": size, FORM: form}
    # Not synced: a layer directory that a power cut tore is noticed by its missing or empty label.
    atomic_write(directory / "layer.json", json.dumps(facts).encode(), durable=False)


def _place(staging: Path, home: Path, diff_id: Digest) -> None:
    target = home / "layers" / diff_id.hex
    if target.is_symlink():
        target.unlink()  # into a shared store: what is ours now comes in its place
    try:
        os.rename(staging, target)
    except OSError:
        # Another process was first; both hold the same bytes.
        if not target.is_dir():
            raise
        _remove(staging)


def discard(arguments: dict[str, Any], _root: str | None, _fds: list[int]) -> None:
    """Remove the directory ``where`` and all in it."""
    _remove(Path(arguments["where"]))


def _remove(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink(missing_ok=True)  # a link leads into a shared store, where nothing is ever removed
        return
    shutil.rmtree(path, ignore_errors=True)
    if not path.exists():
        return
    # A directory without permissions stops rmtree where root's capabilities do not reach (a pod, a one-id namespace
    # on some file systems): open every one, and try again.
    _open_all(path)
    shutil.rmtree(path)


def _open_all(directory: Path | os.DirEntry[str]) -> None:
    os.chmod(directory, 0o700)
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                _open_all(entry)


def measure(arguments: dict[str, Any], _root: str | None, _fds: list[int]) -> int:
    """Bytes of regular files below ``where``, each inode once."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for directory, _, names in os.walk(arguments["where"]):
        for name in names:
            info = os.lstat(os.path.join(directory, name))
            if stat.S_ISREG(info.st_mode) and (info.st_dev, info.st_ino) not in seen:
                seen.add((info.st_dev, info.st_ino))
                total += info.st_size
    return total
