"""``docker system check``: whether what lies in the home fits together, and what can be done where it does not."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from minirt.errors import Conflict, CorruptBlob, MinirtError
from minirt.model.digest import Digest
from minirt.model.manifest import Manifest
from minirt.model.reference import Reference
from minirt.store.files import atomic_write

if TYPE_CHECKING:
    from minirt.engine.facade import Engine

__all__ = ["Problem", "check_home"]

_CHUNK = 1 << 20
_OLD = 3600.0  # seconds: what was begun longer ago, and belongs to nobody, is not finished any more


@dataclass(frozen=True, slots=True)
class Problem:
    """``where`` is a path in the home; ``cure`` says what ``--repair`` does, empty if only a human can decide."""

    where: str
    what: str
    cure: str = ""
    repaired: bool = False


@dataclass(frozen=True, slots=True)
class _Finding:
    problem: Problem
    repair: Callable[[], None] | None = None


def check_home(engine: Engine, *, repair: bool = False) -> tuple[Problem, ...]:
    """All problems; with ``repair`` those that can be repaired are, and say so. Without it nothing is written."""
    found = []
    for finding in (*_blobs(engine), *_names(engine), *_layers(engine), *_containers(engine), *_volumes(engine)):
        problem = finding.problem
        if repair and finding.repair is not None:
            with suppress(OSError, MinirtError):
                finding.repair()
                problem = Problem(problem.where, problem.what, problem.cure, repaired=True)
        found.append(problem)
    return tuple(found)


def _blobs(engine: Engine) -> Iterator[_Finding]:
    """Every blob has the digest it is named for."""
    for path in sorted((engine.store.home / "blobs" / "sha256").glob("*")):
        if len(path.name) != 64:
            continue
        try:
            with engine.store.open(Digest("sha256", path.name)) as blob:
                while blob.read(_CHUNK):
                    pass
        except CorruptBlob as error:
            yield _Finding(
                Problem(_short(engine, path), error.what, "put it aside: pull or build the image again"),
                partial(_put_aside, engine, path),
            )
        except OSError as error:
            yield _Finding(Problem(_short(engine, path), f"cannot be read: {error.strerror}"))


def _put_aside(engine: Engine, path: Path) -> None:
    path.rename(engine.store.home / "tmp" / f"corrupt-{path.name}")


def _names(engine: Engine) -> Iterator[_Finding]:
    """Every name leads to a manifest whose config and layers are here."""
    for ref, descriptor in engine.store.references():
        missing = _missing(engine, descriptor.digest)
        if missing:
            problem = Problem("index.json", f"{ref.familiar} needs {missing}, which is not here", "take the name away")
            yield _Finding(problem, partial(_forget, engine, ref))
    for descriptor in engine.store.untagged():
        missing = _missing(engine, descriptor.digest)
        if missing:
            problem = Problem("index.json", f"an image without a name needs {missing}", "take the entry away")
            yield _Finding(problem, partial(_drop, engine, descriptor.digest))


def _forget(engine: Engine, ref: Reference) -> None:
    engine.store.remove_reference(ref)


def _drop(engine: Engine, digest: Digest) -> None:
    engine.store.remove_untagged(digest)


def _missing(engine: Engine, digest: Digest) -> str:
    if not engine.store.has(digest):
        return str(digest)
    try:
        manifest = Manifest.from_bytes(engine.store.read(digest))
    except MinirtError:
        return f"a manifest that can be read ({digest})"
    return next(
        (str(one.digest) for one in (manifest.config, *manifest.layers) if not engine.store.has(one.digest)), ""
    )


def _layers(engine: Engine) -> Iterator[_Finding]:
    """Every unpacked layer is whole; nothing begun was left behind."""
    for directory in sorted((engine.store.home / "layers").glob("*")):
        if directory.name == "empty":  # what FROM scratch stands on
            continue
        try:
            whole = bool(json.loads((directory / "layer.json").read_bytes())) and (directory / "diff").is_dir()
        except (OSError, ValueError):
            whole = False
        if not whole:
            yield _leftover(engine, directory, "an unpacked layer without its label", "remove it: it is unpacked again")
    for directory in sorted((engine.store.home / "tmp").glob("*")):
        with suppress(OSError):
            if time.time() - directory.lstat().st_mtime > _OLD and not directory.name.startswith("corrupt-"):
                yield _leftover(engine, directory, "begun long ago and never finished", "remove it")


def _leftover(engine: Engine, directory: Path, what: str, cure: str) -> _Finding:
    def remove() -> None:
        if directory.is_dir():
            engine.snapshots.discard(directory)
        else:
            directory.unlink(missing_ok=True)

    return _Finding(Problem(_short(engine, directory), what, cure), remove)


def _containers(engine: Engine) -> Iterator[_Finding]:
    """Every container has a record, a storage layer, its layers below and its volumes."""
    shelf = engine.lifecycle.shelf
    for identity in shelf.unfinished():
        try:
            with engine.store.lock(f"container-{identity}", timeout=0):
                yield _leftover(engine, shelf.directory(identity), "a container without a record", "remove it")
        except Conflict:
            continue  # being made or removed right now
    for record in shelf.all():
        directory = shelf.directory(record.id)
        where = f"containers/{record.short_id} ({record.name})"
        # An upper directory, or the whole tree where root filesystems are copies.
        if not any((directory / name).is_dir() for name in ("upper", "tree")):
            yield _Finding(Problem(where, "its storage layer is gone"))
        for diff_id in record.diff_ids:
            if not engine.snapshots.diff_path(diff_id).is_dir() and not engine.store.has(record.image_id):
                yield _Finding(Problem(where, f"the layer {diff_id} below it is gone"))
        for point in record.mounts:
            if point.kind == "volume":
                try:
                    engine.volume_store.get(point.name)
                except MinirtError:
                    yield _Finding(Problem(where, f"its volume {point.name} is gone"))


def _volumes(engine: Engine) -> Iterator[_Finding]:
    """Every volume has its facts; its data is never removed here."""
    for directory in sorted((engine.store.home / "volumes").glob("*")):
        if directory.is_dir() and not (directory / "volume.json").exists():
            facts = {"created": "", "labels": {}, "anonymous": len(directory.name) == 64, "options": {}}
            problem = Problem(_short(engine, directory), "a volume without its volume.json", "write it; the data stays")
            yield _Finding(problem, partial(atomic_write, directory / "volume.json", json.dumps(facts).encode()))


def _short(engine: Engine, path: Path) -> str:
    return str(path.relative_to(engine.store.home))
