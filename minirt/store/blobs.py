"""Content-addressed blobs: ``blobs/<algorithm>/<hex>``, each named by the digest of its bytes.

A blob is written under ``tmp/`` and renamed when it is complete and its digest is known, so ``blobs/`` never holds
anything but whole blobs (OCI image-spec, image-layout.md, "Blobs": the content must match the name). Writing a blob
that is already there is harmless: the same name means the same bytes.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from minirt.errors import BlobNotFound, CorruptBlob
from minirt.model.digest import Digest
from minirt.model.manifest import Descriptor
from minirt.store.files import storage_errors, sync_directory, sync_file
from minirt.store.locks import open_locked

__all__ = ["STAGED", "BlobWriter", "Blobs", "VerifyingReader"]

_EMPTY = Digest.of(b"")
_CHUNK = 1 << 20
STAGED = "blob-"


class VerifyingReader(io.RawIOBase):
    """Reads ``raw`` and checks what went through: digest and, when given, size in bytes.

    Raises :class:`CorruptBlob` at the end of the stream when either is wrong, and as soon as there are more bytes than
    announced. Who stops before the end has verified nothing.
    """

    def __init__(self, raw: BinaryIO, digest: Digest, size: int | None = None) -> None:
        super().__init__()
        self._raw = raw
        self._digest = digest
        self._size = size
        self._hash = hashlib.new(digest.algorithm)
        self._seen = 0
        self._checked = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._raw.read(len(buffer))
        buffer[: len(data)] = data
        self._take(data, len(buffer))
        return len(data)

    def readall(self) -> bytes:
        parts = []
        while data := self.read(_CHUNK):
            parts.append(data)
        return b"".join(parts)

    def read(self, size: int = -1) -> bytes:
        # Not through readinto: that would copy every byte once more.
        if size is None or size < 0:
            return self.readall()
        data = self._raw.read(size)
        self._take(data, size)
        return data

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()

    def _take(self, data: bytes, wanted: int) -> None:
        self._hash.update(data)
        self._seen += len(data)
        if self._size is not None and self._seen > self._size:
            raise self._corrupt(f"it has more than the {self._size} bytes announced")
        if not data and wanted and not self._checked:
            self._check()

    def _check(self) -> None:
        if self._size is not None and self._seen != self._size:
            raise self._corrupt(f"it has {self._seen} bytes, {self._size} were announced")
        if self._hash.hexdigest() != self._digest.hex:
            raise self._corrupt(f"its bytes have the digest {self._digest.algorithm}:{self._hash.hexdigest()}")
        self._checked = True

    def _corrupt(self, cause: str) -> CorruptBlob:
        return CorruptBlob(
            f"blob {self._digest} is damaged",
            cause=cause,
            hint="Remove the image that uses it and pull or build it again.",
        )


class BlobWriter:
    """A blob being written; made by :meth:`Blobs.writer`. Not for several threads."""

    def __init__(self, store: Blobs, fd: int, path: Path) -> None:
        self._store = store
        self._fd = fd
        self._path = path
        self._hash = hashlib.sha256()
        self.size = 0
        self.committed: Descriptor | None = None

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Add bytes; all of them are taken. Raises :class:`StorageFull`."""
        view = memoryview(data).cast("B")
        length = len(view)
        self._hash.update(view)
        with storage_errors("writing a blob"):
            while view:
                view = view[os.write(self._fd, view) :]
        self.size += length
        return length

    @property
    def digest(self) -> Digest:
        """The digest of what was written so far."""
        return Digest("sha256", self._hash.hexdigest())

    def commit(self, media_type: str, expected: Digest | None = None, size: int | None = None) -> Descriptor:
        """Check against ``expected`` digest and ``size`` (bytes) and put the blob in its place.

        Raises :class:`CorruptBlob` when they differ; then nothing is stored.
        """
        digest = self.digest if expected is None or expected.algorithm == "sha256" else self._rehash(expected.algorithm)
        if size is not None and size != self.size:
            raise CorruptBlob(
                f"expected {size} bytes for {expected or digest}, got {self.size}",
                cause="the transfer was cut short or the sender announced a wrong size",
                hint="Try again.",
            )
        if expected is not None and expected != digest:
            raise CorruptBlob(
                f"expected {expected}, but the bytes have the digest {digest}",
                cause="the bytes were changed on the way or at the source",
                hint="Try again; if it happens again, do not trust this source.",
            )
        self._store.adopt(self._path, digest)
        self.committed = Descriptor(media_type, digest, self.size)
        return self.committed

    def _rehash(self, algorithm: str) -> Digest:
        # sha512 is legal and very rare: read the file again instead of hashing every blob twice.
        with self._path.open("rb") as file:
            return Digest(algorithm, hashlib.file_digest(file, algorithm).hexdigest())


class Blobs:
    """The blobs of one home. ``guard`` notes a digest that this process relies on (see leases).

    What is not among them is looked for in the homes ``shared``, which are only read.
    """

    def __init__(self, home: Path, guard: Callable[[Digest], None], shared: Sequence[Path] = ()) -> None:
        self._root = home / "blobs"
        self.roots = (self._root, *(other / "blobs" for other in shared))
        self._staging = home / "tmp"
        self._guard = guard
        self._unsettled: set[Digest] = set()
        self._mutex = threading.Lock()

    def where(self, digest: Digest) -> Path:
        """Where this home has the blob, or would have it."""
        return self._root / digest.algorithm / digest.hex

    def _found(self, digest: Digest) -> Path:
        """Where it can be read: here, else in the first shared home that has it."""
        places = [root / digest.algorithm / digest.hex for root in self.roots]
        return next((place for place in places if place.is_file()), places[0])

    def has(self, digest: Digest, size: int | None = None) -> bool:
        """Whether the blob is here (and ``size`` bytes long, when given).

        A blob of 0 bytes is what a power loss can leave of a longer one, and counts as absent.
        """
        return any(self._holds(root, digest, size) for root in self.roots)

    def _holds(self, root: Path, digest: Digest, size: int | None) -> bool:
        try:
            found = (root / digest.algorithm / digest.hex).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return False
        return (found > 0 or digest == _EMPTY) and (size is None or found == size)

    def path(self, digest: Digest) -> Path:
        """Raises :class:`BlobNotFound`."""
        path = self._found(digest)
        if not path.is_file():
            raise _missing(digest)
        return path

    def open(self, digest: Digest, size: int | None = None) -> BinaryIO:
        """A reader that verifies while it reads; close it. Raises :class:`BlobNotFound`."""
        try:
            raw = self._found(digest).open("rb", buffering=0)
        except FileNotFoundError:
            raise _missing(digest) from None
        return VerifyingReader(raw, digest, size)  # type: ignore[return-value]  # io's class, not typing's

    @contextmanager
    def writer(self) -> Iterator[BlobWriter]:
        """A new blob; what is not committed at the end of the ``with`` leaves nothing behind."""
        with storage_errors("writing a blob"):
            fd, path = self._stage()
        try:
            yield BlobWriter(self, fd, path)
        finally:
            path.unlink(missing_ok=True)
            os.close(fd)

    def put(self, data: bytes, media_type: str) -> Descriptor:
        """Store ``data`` unless it is there. Raises :class:`StorageFull`."""
        digest = Digest.of(data)
        self._guard(digest)
        if self.has(digest, len(data)):
            return Descriptor(media_type, digest, len(data))
        with self.writer() as writer:
            writer.write(data)
            return writer.commit(media_type)

    def adopt(self, staged: Path, digest: Digest) -> None:
        """Give a complete, checked file of the same file system its place among the blobs."""
        target = self.where(digest)
        with storage_errors("storing a blob"):
            os.chmod(staged, 0o644)
            if digest.algorithm != "sha256":
                target.parent.mkdir(exist_ok=True)
            self._guard(digest)
            # Renamed even if the name exists: that heals a blob that was damaged on the disk.
            os.rename(staged, target)
        with self._mutex:
            self._unsettled.add(digest)

    def settle(self, wanted: set[Digest]) -> None:
        """Make those of ``wanted`` that were written through this object survive a power loss.

        Called before a reference is written, so that a name on the disk always leads to whole blobs. Blobs of a build
        that never got a name may be lost with the power, and nothing misses them. One sync of many files is one
        transaction of the file system's journal: a build of 20 steps pays for one, not for 20.
        """
        with self._mutex:
            digests = self._unsettled & wanted
            self._unsettled -= digests
        with storage_errors("storing a blob"):
            for digest in digests:
                sync_file(self.where(digest))
            for algorithm in {digest.algorithm for digest in digests}:
                sync_directory(self._root / algorithm)

    def clear_staging(self) -> None:
        """Remove what killed writers left. A living writer holds its file's lock, so its file stays."""
        for path in self._staging.glob(f"{STAGED}*"):
            fd = open_locked(path)
            if fd is not None:
                path.unlink(missing_ok=True)
                os.close(fd)

    def _stage(self) -> tuple[int, Path]:
        while True:
            path = self._staging / f"{STAGED}{secrets.token_hex(8)}"
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            fcntl.flock(fd, fcntl.LOCK_EX)
            if os.fstat(fd).st_nlink:
                return fd, path
            os.close(fd)  # a sweep took it between the open and the lock


def _missing(digest: Digest) -> BlobNotFound:
    return BlobNotFound(
        f"blob {digest} is not in the store",
        cause="the image was only partly pulled or loaded, its files were removed by hand, or it was in a shared store",
        hint="Pull, load or build the image again.",
    )
