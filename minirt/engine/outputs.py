"""What goes in and out of a build as archives: a context from a tar, and the files of the result."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from minirt.errors import InvalidInput, PathNotFound, StoreError
from minirt.model.cancel import Cancel
from minirt.snapshots.staging import staging_path

if TYPE_CHECKING:
    from minirt.engine.facade import Engine

__all__ = ["context_of", "files_of", "fresh", "unpack_into"]

_CHUNK = 1 << 20


def files_of(engine: Engine, image: str) -> Iterator[bytes]:
    """The image's files as a tar, in chunks, as a container that never ran would be exported."""
    container = engine.containers.create(image, ["/"], entrypoint=[], network_mode="none")
    try:
        yield from container.export()
    finally:
        container.remove(force=True, v=True)


def unpack_into(engine: Engine, chunks: Iterable[bytes], target: Path, cancel: Cancel | None = None) -> None:
    """Unpack a tar into a directory, made if it is missing; the files are the user's own, as BuildKit's client does it.

    Nothing leaves the directory: links on the way are followed as if it were the whole machine. Raises
    :class:`PathNotFound`, :class:`minirt.errors.CopyFailed`, :class:`StoreError`.
    """
    from minirt.build.unpack import unpack

    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PathNotFound(f"cannot write to {target}: {error.strerror}") from error
    with _spooled(engine, chunks, cancel) as archive:
        try:
            unpack(str(archive), str(target), owner=(os.geteuid(), os.getegid()))
        except OSError as error:
            name = error.filename or target
            raise StoreError(f"cannot write {name}: {error.strerror}") from error


@contextmanager
def context_of(engine: Engine, stream: BinaryIO) -> Iterator[Path]:
    """The files of a tar, plain or compressed, as a directory for the time of a build.

    Raises :class:`InvalidInput` for what is not a tar, :class:`minirt.errors.CopyFailed` for a damaged one.
    """
    from minirt.build.unpack import is_archive, unpack

    where = fresh(engine, "context")
    try:
        with _spooled(engine, iter(lambda: stream.read(_CHUNK), b"")) as archive:
            if not is_archive(str(archive)):
                raise InvalidInput(
                    "the build context is not a tar archive",
                    hint="Pack one with: tar -C DIRECTORY -cz . | docker build -",
                )
            where.mkdir()
            unpack(str(archive), str(where), owner=(os.geteuid(), os.getegid()))
        yield where
    finally:
        shutil.rmtree(where, ignore_errors=True)


@contextmanager
def _spooled(engine: Engine, chunks: Iterable[bytes], cancel: Cancel | None = None) -> Iterator[Path]:
    path = fresh(engine, "archive")
    try:
        with path.open("xb") as file:
            for chunk in chunks:
                if cancel is not None:
                    cancel.check()
                file.write(chunk)
        yield path
    finally:
        path.unlink(missing_ok=True)


def fresh(engine: Engine, what: str) -> Path:
    """A path of its own for something that goes again."""
    return staging_path(engine.store.home / "tmp", what)
