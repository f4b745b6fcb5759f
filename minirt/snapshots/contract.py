"""What every snapshot driver does, and the values that go in and out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from minirt.model.cancel import Cancel
from minirt.model.digest import Digest
from minirt.model.manifest import Descriptor
from minirt.model.spec import RootFilesystem
from minirt.snapshots.creators import ROOT
from minirt.snapshots.union import Union

__all__ = ["LOWER", "Layer", "LayerSource", "Snapshots", "WhiteoutMark", "Worker"]

LOWER = "lower"  # beside an upper directory: the diff ids below it


@dataclass(frozen=True, slots=True)
class LayerSource:
    """A layer of an image: its blob, and the digest of its tar once decompressed."""

    descriptor: Descriptor
    diff_id: Digest


@dataclass(frozen=True, slots=True)
class WhiteoutMark:
    """A path of a lower layer that a layer hides; ``opaque``: everything below that directory."""

    path: str
    opaque: bool


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer that has just been made. ``content_bytes`` counts file contents, ``entries`` paths."""

    descriptor: Descriptor
    diff_id: Digest
    content_bytes: int
    entries: int
    whiteouts: tuple[WhiteoutMark, ...] = ()


class Worker(Protocol):
    """Does filesystem work with the ids that containers have (:meth:`minirt.sandbox.Sandbox.call`)."""

    def __call__(
        self,
        function: str,
        arguments: dict[str, Any],
        *,
        root: RootFilesystem | None = None,
        inside: tuple[int, int] | None = None,
        fds: Sequence[int] = (),
        cancel: Cancel | None = None,
        again: bool = False,
    ) -> Any: ...


class Snapshots(Protocol):
    """One kind of root filesystem.

    All calls are safe from several threads and processes. What they make appears by one rename or not at all.
    """

    def ensure(self, layers: Sequence[LayerSource], cancel: Cancel | None = None) -> None:
        """Unpack the layers that are not unpacked yet. Raises BlobNotFound, CorruptBlob, LayerError, StorageFull."""

    def prepare(self, diff_ids: Sequence[Digest], where: Path, *, volatile: bool = False) -> RootFilesystem:
        """A writable root on top of the layers (base first), its changes kept in ``where``, which must be new."""

    def view(self, diff_ids: Sequence[Digest]) -> RootFilesystem:
        """The same root, read-only."""

    def reopen(self, diff_ids: Sequence[Digest], where: Path) -> RootFilesystem:
        """The root that :meth:`prepare` made, for a container that starts again."""

    def union(self, diff_ids: Sequence[Digest], where: Path) -> Union:
        """The files of that root as they are now, for the few reads that need no mount."""

    def early(self, where: Path) -> dict[str, Any] | None:
        """What a worker needs to pack the layer of ``where`` while it writes it (:class:`.early.EarlyPack`).

        None where the driver has to compare first. ``commit`` takes the layer that was packed so.
        """

    def commit(
        self,
        where: Path,
        *,
        keep: bool = False,
        epoch: int | None = None,
        without: Sequence[str] = (),
        creator: tuple[int, int] = ROOT,
    ) -> Layer:
        """Make a layer of what changed in ``where``; unless ``keep``, ``where`` is used up by it.

        With ``epoch`` (seconds), no file in the layer is younger. Paths in ``without`` (as seen inside) are left out.
        ``creator`` is the (uid, gid) of who made what is new; it counts where all files belong to one id.
        """

    def size(self, where: Path) -> int:
        """Bytes of the files that changed in ``where``."""

    def measure(self, where: Path) -> int:
        """Bytes of file content below any directory of ours, such as a volume."""

    def discard(self, where: Path) -> None:
        """Remove ``where`` and all in it, whatever the owners and modes. Quiet when it is gone already."""

    def diff_path(self, diff_id: Digest) -> Path:
        """The directory of the layer's own files."""
