"""The store as one object: blobs, references, locks and leases of one ``$MINIRT_HOME``."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from minirt.errors import CorruptBlob, HomeUnusable
from minirt.model.digest import Digest
from minirt.model.manifest import Descriptor, Index
from minirt.model.reference import Reference
from minirt.store.blobs import Blobs, BlobWriter
from minirt.store.files import atomic_write
from minirt.store.leases import Lease, leased
from minirt.store.locks import USERS, Locks
from minirt.store.rebuild import images_among, rebuild_index
from minirt.store.references import Named, References
from minirt.store.shared import open_shared
from minirt.store.sweep import SweepResult, reachable, sweep_blobs

__all__ = ["Store"]

_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
_DIRECTORIES = ("blobs/sha256", "locks", "leases", "tmp", "layers", "containers", "volumes", "networks", "cache")
_CLOSED = ("containers", "volumes")


class Store:
    """An OCI image layout under ``home``, shared by any number of processes and threads.

    Made if it is missing. Raises :class:`HomeUnusable` when that is not possible, or when what lies there is not a
    layout that this version reads.

    Every ``put`` and ``commit`` is idempotent and atomic. What was written is safe from sweeps until a reference
    reaches it: inside a :meth:`lease` until the lease ends, otherwise as long as this object is open.

    ``shared`` are homes of others: their blobs and names are found too, after the home's own, and never written.
    """

    def __init__(self, home: Path, shared: Sequence[Path] = ()) -> None:
        self.home = home
        _prepare(home)
        self._shared = open_shared(home, shared)
        self._locks = Locks(home / "locks")
        self._own = Lease(home / "leases")  # for what is written outside any lease()
        self._leases: tuple[Lease, ...] = ()
        self._mutex = threading.Lock()
        self._blobs = Blobs(home, self._hold, [one.home for one in self._shared])
        self._references = References(home / "index.json")

    @property
    def homes(self) -> tuple[Path, ...]:
        """Where images are found: the home itself, then the shared stores."""
        return (self.home, *(one.home for one in self._shared))

    # Blobs

    def has(self, digest: Digest, size: int | None = None) -> bool:
        """Whether the blob is here (and ``size`` bytes long, when given). Inside a lease, a found blob is held."""
        if self._leases:
            self._hold(digest)
        return self._blobs.has(digest, size)

    def size(self, digest: Digest) -> int:
        """In bytes. Raises :class:`BlobNotFound`."""
        return self._blobs.path(digest).stat().st_size

    def path(self, digest: Digest) -> Path:
        """The blob's file, for reading only and unverified. Raises :class:`BlobNotFound`."""
        return self._blobs.path(digest)

    def read(self, digest: Digest) -> bytes:
        """A small blob, verified. Raises :class:`BlobNotFound` and :class:`CorruptBlob`."""
        with self._blobs.open(digest) as reader:
            return reader.read()

    def open(self, digest: Digest, size: int | None = None) -> BinaryIO:
        """A reader that raises :class:`CorruptBlob` at the end if digest or ``size`` (bytes) are wrong; close it.

        Raises :class:`BlobNotFound`.
        """
        return self._blobs.open(digest, size)

    def put(self, data: bytes, media_type: str) -> Descriptor:
        """Store a small blob. Raises :class:`StorageFull`."""
        return self._blobs.put(data, media_type)

    def writer(self) -> AbstractContextManager[BlobWriter]:
        """Store a blob piece by piece: ``write`` and, when all is there, ``commit``; uncommitted, nothing is kept."""
        return self._blobs.writer()

    def adopt(self, staged: Path, media_type: str, digest: Digest, size: int) -> Descriptor:
        """Take in a complete file of the home's ``tmp``, whose digest its writer computed while writing it.

        Raises :class:`CorruptBlob` when the file is not ``size`` bytes long, :class:`StorageFull`.
        """
        if staged.stat().st_size != size:
            raise CorruptBlob(f"{staged.name} was announced with {size} bytes and has {staged.stat().st_size}")
        self._blobs.adopt(staged, digest)
        return Descriptor(media_type, digest, size)

    # References

    def resolve(self, ref: Reference) -> Descriptor | None:
        """What ``ref`` names, or ``None``."""
        everywhere = (self._references, *(one.references for one in self._shared))
        return next((found for names in everywhere if (found := names.resolve(ref)) is not None), None)

    def references(self) -> tuple[Named, ...]:
        """All names and what they name, oldest first, then those of shared stores. A name counts where it is first."""
        named = dict(self._references.all())
        for one in self._shared:
            named = {**dict(one.references.all()), **named}
        own = self._references.all()
        return (*own, *((ref, found) for ref, found in named.items() if ref not in dict(own)))

    def own_references(self) -> tuple[Named, ...]:
        """The names of this home alone."""
        return self._references.all()

    def shared_by(self, ref: Reference) -> Path | None:
        """The shared store that gives the name ``ref``, unless this home gives it."""
        if ref in dict(self._references.all()):
            return None
        return next((one.home for one in self._shared if one.named(ref) is not None), None)

    def untagged(self) -> tuple[Descriptor, ...]:
        """The images of this home without a name, docker's ``<none>``."""
        return self._references.untagged()

    def set_reference(self, ref: Reference, descriptor: Descriptor) -> None:
        """Let ``ref`` name ``descriptor``. What it named before stays, untagged if that was its last name.

        A name that a shared store gives to the very same is not written down here once more.
        Raises :class:`CorruptBlob` if the blob that is to be named is not here whole.
        """
        if self.shared_by(ref) is not None and self._given(ref) == descriptor.digest:
            return
        with self._changing(descriptor):
            self._references.name(ref, descriptor)

    def remove_reference(self, ref: Reference) -> bool:
        """Remove a name (its blobs stay until a sweep); ``False`` if there was none."""
        with self._changing():
            return self._references.forget(ref)

    def add_untagged(self, descriptor: Descriptor) -> None:
        """Keep an image that has no name."""
        with self._changing(descriptor):
            self._references.add_untagged(descriptor)

    def remove_untagged(self, digest: Digest) -> bool:
        """Remove the nameless entry of ``digest``; ``False`` if there was none."""
        with self._changing():
            return self._references.remove_untagged(digest)

    def rebuild_index(self) -> tuple[tuple[Descriptor, Digest | None], ...]:
        """Make ``index.json`` anew from the blobs; every image with the digest of its config. All names are lost."""
        with self._locks.lock("sweep", shared=True), self._locks.lock("index"):
            rebuild_index(self.home)
            return tuple(images_among(self.home / "blobs" / "sha256"))

    # Locks, leases, sweep

    def lock(self, name: str, *, shared: bool = False, timeout: float | None = None) -> AbstractContextManager[None]:
        """Exclude other processes and threads by a name of your choice; see :meth:`Locks.lock`."""
        return self._locks.lock(f"{USERS}{name}", shared=shared, timeout=timeout)

    def is_locked(self, name: str) -> bool:
        """Whether somebody holds the lock ``name`` right now."""
        return self._locks.held(f"{USERS}{name}")

    @contextmanager
    def lease(self) -> Iterator[None]:
        """Within it, every blob written or found here is safe from sweeps; afterwards only what references reach.

        Put it around a whole build, pull or load.
        """
        lease = Lease(self.home / "leases")
        with self._mutex:
            self._leases = (*self._leases, lease)
        try:
            yield
        finally:
            with self._mutex:
                self._leases = tuple(other for other in self._leases if other is not lease)
            lease.close()

    def sweep(self, keep: Iterable[Digest] = ()) -> SweepResult:
        """Remove the blobs that no reference, no lease and none of ``keep`` reaches, and what killed writers left."""
        root = self.home / "blobs"
        with self._locks.lock("sweep"):
            self._blobs.clear_staging()
            self._locks.clear(f"{USERS}*.lock")
            starts = leased(self.home / "leases") | set(keep)
            starts |= {Descriptor.from_json(entry).digest for entry in self._references.entries()}
            return sweep_blobs(root, reachable(self._blobs.roots, starts))

    def close(self) -> None:
        """Let go of what was written and not named. The object can be used again afterwards."""
        for lease in (self._own, *self._leases):
            lease.close()

    @contextmanager
    def _changing(self, descriptor: Descriptor | None = None) -> Iterator[None]:
        covered = set() if descriptor is None else reachable(self._blobs.roots, [descriptor.digest])
        self._blobs.settle(covered)
        with ExitStack() as stack:
            stack.enter_context(self._locks.lock("sweep", shared=True))
            stack.enter_context(self._locks.lock("index"))
            if descriptor is not None and not self._blobs.has(descriptor.digest, descriptor.size):
                raise CorruptBlob(
                    f"cannot name {descriptor.digest}: no blob of {descriptor.size} bytes has this digest",
                    cause="the image was only partly written, or pruned meanwhile",
                    hint="Pull, load or build it again.",
                )
            yield
            for lease in (self._own, *self._leases):
                lease.let_go(covered)

    def _given(self, ref: Reference) -> Digest | None:
        found = dict(self.references()).get(ref)
        return None if found is None else found.digest

    def _hold(self, digest: Digest) -> None:
        # Before anyone looks whether the blob exists: from here on, no sweep takes it away.
        with self._locks.lock("sweep", shared=True):
            # With several builds in one process it cannot be known whose digest it is, so all of them hold it.
            for lease in self._leases or (self._own,):
                lease.hold(digest)


def _prepare(home: Path) -> None:
    _check_name(home)
    try:
        layout = (home / "oci-layout").read_bytes()
        if (home / "index.json").is_file() and all((home / name).is_dir() for name in _DIRECTORIES):
            _check_layout(home, layout)
            return
    except FileNotFoundError:
        pass
    except OSError as error:
        raise _unusable(home, error) from error
    try:
        _check_free(home)
        for name in _DIRECTORIES:
            # What containers write keeps its set-user-id bits, and is nobody else's to run; a store may be shared.
            (home / name).mkdir(parents=True, exist_ok=True, mode=0o700 if name in _CLOSED else 0o777)
    except OSError as error:
        raise _unusable(home, error) from error
    # Several processes may come here at once: the first to hold the lock makes the files, the others find them.
    with Locks(home / "locks").lock("index"):
        if not (home / "index.json").exists():
            atomic_write(home / "index.json", Index().to_bytes())
        # Last, because its presence says that the rest is there.
        if not (home / "oci-layout").exists():
            atomic_write(home / "oci-layout", _LAYOUT)


def _check_name(home: Path) -> None:
    """Notes of all kinds hold the path, and are text."""
    packed = str(home).encode("utf-8", "surrogateescape")
    text = packed.decode("utf-8", "backslashreplace")
    if text.encode() != packed:
        hint = "Rename it, or set MINIRT_HOME to another directory."
        raise HomeUnusable(f"{text} cannot be the home", cause="its path is not UTF-8", hint=hint)


def _check_free(home: Path) -> None:
    """A home is made where there is none of ours yet only in a directory that holds nothing else."""
    ours = {name.partition("/")[0] for name in _DIRECTORIES} | {"index.json", "oci-layout", "config.json", "lost+found"}
    others = sorted(entry.name for entry in home.iterdir() if entry.name not in ours) if home.is_dir() else []
    if others and not (home / "locks").is_dir():
        raise HomeUnusable(
            f"{home} is not empty, and not minirt's",
            cause=f"it holds {', '.join(others[:3])}{' …' if len(others) > 3 else ''}",
            hint="Set MINIRT_HOME to a directory of its own, which need not exist yet.",
        )


def _check_layout(home: Path, layout: bytes) -> None:
    try:
        version = json.loads(layout)["imageLayoutVersion"]
    except (ValueError, KeyError, TypeError):
        version = None
    if version != "1.0.0":
        raise HomeUnusable(
            f"{home} is not a home of this version of minirt",
            cause=f"its oci-layout says version {version!r}, this version reads 1.0.0",
            hint="Set MINIRT_HOME to another directory.",
        )


def _unusable(home: Path, error: OSError) -> HomeUnusable:
    return HomeUnusable(
        f"{home} cannot be used as minirt's home",
        cause=f"{error.filename}: {error.strerror}",
        hint="Set MINIRT_HOME to a directory that you may write to.",
    )
