"""Writing files so that a kill leaves the old one or the new one, never half of one.

Two dangers, two remedies:

* The *process* is killed. What it wrote is in the kernel's page cache and not lost; it is enough never to write to a
  file under its own name: write to a temporary name, then ``rename``, which is atomic.
* The *machine* loses power. Then a rename may reach the disk before the bytes of the file do, and the name shows an
  empty file. The remedy is ``fsync`` of the file before the rename, and of the directory after it.

An fsync costs 0.3 ms on a virtual disk and 2 to 20 ms on a laptop's, so the store pays it once per *reference*, not
once per blob: see :meth:`minirt.store.blobs.Blobs.settle`.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from minirt.errors import HomeUnusable, StorageFull

__all__ = ["atomic_write", "storage_errors", "sync_directory", "sync_file"]

_FULL = (errno.ENOSPC, errno.EDQUOT)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def storage_errors(doing: str) -> Iterator[None]:
    """Turn the system's errors into ones that say what to do.

    Raises :class:`StorageFull` for a full disk or quota, :class:`HomeUnusable` for refused or broken storage; other
    errors pass.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            kind = "the quota is used up" if error.errno == errno.EDQUOT else "there is no space left on the disk"
            raise StorageFull(
                f"{doing} failed: {kind}",
                cause=_words(error),
                hint="Free some space, for example with `docker system prune`, or set MINIRT_HOME to a larger disk.",
            ) from error
        if error.errno in _REFUSED:
            raise HomeUnusable(
                f"{doing} failed: {error.strerror}: {os.fsdecode(error.filename or '')}".rstrip(": "),
                cause="the files belong to another user, or the disk is mounted read-only",
                hint="Set MINIRT_HOME to a directory that you may write to.",
            ) from error
        if error.errno == errno.EIO:
            raise HomeUnusable(f"{doing} failed: the disk reports an error", cause=_words(error)) from error
        raise


def _words(error: OSError) -> str:
    reason = error.strerror or str(error)
    return f"{os.fsdecode(error.filename)}: {reason}" if error.filename else reason


def atomic_write(path: Path, data: bytes, *, mode: int = 0o644, durable: bool = True) -> None:
    """Replace ``path`` by ``data`` (bytes), or leave it as it is.

    ``durable`` also survives a power loss (two fsyncs); without it the write survives a kill of the process, which is
    enough for state that a restart of the machine makes stale anyway.
    Raises :class:`StorageFull` and :class:`HomeUnusable`; no temporary file is left then.
    """
    temporary = path.parent / f".{path.name}.{secrets.token_hex(6)}.tmp"
    with storage_errors(f"writing {path.name}"):
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            try:
                _write_all(fd, data)
                if durable:
                    os.fsync(fd)
            finally:
                os.close(fd)
            os.rename(temporary, path)
        except BaseException:
            _forget(temporary)
            raise
        if durable:
            sync_directory(path.parent)


def sync_file(path: Path) -> None:
    """Bring a file's bytes to the disk; a file that is gone meanwhile needs no syncing."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_directory(path: Path) -> None:
    """Bring the names in a directory to the disk."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    except OSError as error:
        # Some network file systems cannot sync a directory; there is nothing better to do on them.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(fd)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _forget(path: Path) -> None:
    try:
        path.unlink()
    except OSError:
        pass
