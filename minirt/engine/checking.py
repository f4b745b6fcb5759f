"""``docker system check``: whether what lies in the home fits together, and what can be done where it does not."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minirt.engine.checking_containers import containers
from minirt.engine.findings import Finding, Problem
from minirt.engine.leftovers import machine_leftovers, owners
from minirt.errors import CorruptBlob, HomeUnusable, MinirtError
from minirt.model.digest import Digest
from minirt.model.manifest import Index, Manifest
from minirt.model.reference import Reference
from minirt.snapshots.staging import abandoned
from minirt.store.blobs import STAGED
from minirt.store.files import atomic_write

if TYPE_CHECKING:
    from minirt.engine.facade import Engine

__all__ = ["Problem", "check_home"]

_CHUNK = 1 << 20
_NAMING = ("tag", "import", "load", "build")
_OLD = 3600.0  # seconds: what was begun longer ago, and belongs to nobody, is not finished any more


def check_home(engine: Engine, *, repair: bool = False) -> tuple[Problem, ...]:
    """All problems; with ``repair`` those that can be repaired are, and say so. Without it nothing is written."""
    found = []
    # One after the other, as the later ones build on what the earlier ones have mended.
    for finding in chain.from_iterable(look(engine) for look in _LOOKS):
        problem = finding.problem
        if repair and finding.repair is not None:
            with suppress(OSError, MinirtError):
                finding.repair()
                problem = Problem(problem.where, problem.what, problem.cure, repaired=True)
        found.append(problem)
    return tuple(found)


def _blobs(engine: Engine) -> Iterator[Finding]:
    """Every blob has the digest it is named for."""
    for path in sorted((engine.store.home / "blobs" / "sha256").glob("*")):
        if len(path.name) != 64:
            continue
        try:
            with engine.store.open(Digest("sha256", path.name)) as blob:
                while blob.read(_CHUNK):
                    pass
        except CorruptBlob as error:
            yield Finding(
                Problem(_short(engine, path), error.what, "put it aside: pull or build the image again"),
                partial(_put_aside, engine, path),
            )
        except OSError as error:
            yield Finding(Problem(_short(engine, path), f"cannot be read: {error.strerror}"))


def _put_aside(engine: Engine, path: Path) -> None:
    path.rename(engine.store.home / "tmp" / f"corrupt-{path.name}")


def _names(engine: Engine) -> Iterator[Finding]:
    """Every name leads to a manifest whose config and layers are here."""
    try:
        named = engine.store.own_references()
    except HomeUnusable as error:
        cure = "make it anew from the blobs, with the names that containers and the journal know"
        yield Finding(Problem("index.json", f"is not a list of images: {error.cause}", cure), partial(_anew, engine))
        return
    for ref, descriptor in named:
        missing = _missing(engine, descriptor.digest)
        if missing:
            problem = Problem("index.json", f"{ref.familiar} needs {missing}, which is not here", "take the name away")
            yield Finding(problem, partial(_forget, engine, ref))
    for descriptor in engine.store.untagged():
        missing = _missing(engine, descriptor.digest)
        if missing:
            problem = Problem("index.json", f"an image without a name needs {missing}", "take the entry away")
            yield Finding(problem, partial(_drop, engine, descriptor.digest))


def _anew(engine: Engine) -> None:
    """Every image is back; a name too, if a container was made by it or the journal tells who got it last."""
    by_id = {str(config): descriptor for descriptor, config in engine.store.rebuild_index()}
    names = {event["Actor"]["Attributes"].get("name", ""): event["Actor"]["ID"] for event in _named(engine)}
    for record in reversed(engine.lifecycle.shelf.all()):
        names.setdefault(record.image, str(record.image_id))
    for name, identity in names.items():
        if identity in by_id and name and not name.startswith("sha256:"):
            with suppress(MinirtError):
                engine.store.set_reference(Reference.parse(name), by_id[identity])


def _named(engine: Engine) -> Iterator[dict[str, Any]]:
    return (event for event in engine.journal.read() if event["Type"] == "image" and event["Action"] in _NAMING)


def _forget(engine: Engine, ref: Reference) -> None:
    engine.store.remove_reference(ref)


def _drop(engine: Engine, digest: Digest) -> None:
    engine.store.remove_untagged(digest)


def _missing(engine: Engine, digest: Digest) -> str:
    if not engine.store.has(digest):
        return str(digest)
    try:
        raw = engine.store.read(digest)
        if b'"manifests"' in raw:  # an image for several platforms
            return next(filter(None, (_missing(engine, one.digest) for one in Index.from_bytes(raw).manifests)), "")
        manifest = Manifest.from_bytes(raw)
    except MinirtError:
        return f"a manifest that can be read ({digest})"
    return next(
        (str(one.digest) for one in (manifest.config, *manifest.layers) if not engine.store.has(one.digest)), ""
    )


def _layers(engine: Engine) -> Iterator[Finding]:
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
    tmp = engine.store.home / "tmp"
    gone = set(abandoned(tmp))
    for path in sorted(tmp.glob("*")):
        if path in gone or _unlocked(path):
            yield _leftover(engine, path, "begun by a process that is gone, and never finished", "remove it")
        elif _is_old(path) and not path.name.startswith("corrupt-"):
            yield _leftover(engine, path, "begun long ago and never finished", "remove it")


def _unlocked(path: Path) -> bool:
    """Builds and writers of blobs hold a lock on what they work on, as long as they live."""
    if not path.name.startswith(("build-", STAGED)):
        return False
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


def _is_old(path: Path) -> bool:
    with suppress(OSError):
        return time.time() - path.lstat().st_mtime > _OLD
    return False


def _leftover(engine: Engine, directory: Path, what: str, cure: str) -> Finding:
    def remove() -> None:
        if directory.is_dir():
            engine.snapshots.discard(directory)
        else:
            directory.unlink(missing_ok=True)

    return Finding(Problem(_short(engine, directory), what, cure), remove)


def _volumes(engine: Engine) -> Iterator[Finding]:
    """Every volume has its facts; its data is never removed here."""
    for directory in sorted((engine.store.home / "volumes").glob("*")):
        if directory.is_dir() and not (directory / "volume.json").exists():
            facts = {"created": "", "labels": {}, "anonymous": len(directory.name) == 64, "options": {}}
            problem = Problem(_short(engine, directory), "a volume without its volume.json", "write it; the data stays")
            yield Finding(problem, partial(atomic_write, directory / "volume.json", json.dumps(facts).encode()))


def _short(engine: Engine, path: Path) -> str:
    return str(path.relative_to(engine.store.home))


_LOOKS = (owners, _blobs, _names, _layers, containers, _volumes, machine_leftovers)
