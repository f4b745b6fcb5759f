"""Snapshots by kernel overlayfs.

A layer is unpacked once, in the form in which overlayfs wants its lower directories (whiteouts as character
devices 0:0, opaque directories by an extended attribute), so that mounting a root filesystem copies nothing.
Nothing is mounted here: a root filesystem is a value that the sandbox mounts in the container's own mount
namespace, and which therefore ends with the container's last process.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from minirt.model.cancel import Cancel
from minirt.model.digest import Digest
from minirt.model.manifest import LAYER
from minirt.model.spec import OverlayRoot
from minirt.snapshots.contract import LOWER, Layer, LayerSource, WhiteoutMark, Worker
from minirt.snapshots.creators import ROOT
from minirt.snapshots.shared import SharedLayers
from minirt.snapshots.staging import abandoned, staging_path
from minirt.snapshots.union import Union
from minirt.store import Store
from minirt.store.files import storage_errors

__all__ = ["OverlaySnapshots"]

_WORK = "minirt.snapshots.work"


class OverlaySnapshots:
    """The driver. ``privileged`` says which family of extended attributes the kernel reads (see overlayfs.rst)."""

    def __init__(self, store: Store, worker: Worker, *, privileged: bool, one_id: bool) -> None:
        self._store = store
        self._worker = worker
        self._form = {"privileged": privileged, "one_id": one_id}
        self._layers = store.home / "layers"
        self.shared = SharedLayers(store.homes[1:], self._form)

    def diff_path(self, diff_id: Digest) -> Path:
        return self._layers / diff_id.hex / "diff"

    def ensure(self, layers: Sequence[LayerSource], cancel: Cancel | None = None, *, borrow: bool = True) -> None:
        """See :meth:`Snapshots.ensure`. ``borrow``: what a shared store has unpacked need not be here as well."""
        below: list[str] = []
        for layer in layers:
            if not (self._is_here(layer.diff_id, borrow) or (borrow and self._borrow(layer.diff_id))):
                self._unpack(layer, below, cancel, borrow)
            below.insert(0, str(self.diff_path(layer.diff_id)))

    def _is_here(self, diff_id: Digest, borrowed_too: bool = True) -> bool:
        path = self.diff_path(diff_id)
        return path.is_dir() and (borrowed_too or not path.parent.is_symlink())

    def _borrow(self, diff_id: Digest) -> bool:
        """Let a link lead to the layer in a shared store, if one can be used from here as it lies there."""
        found = self.shared.layer(diff_id)
        if found is None:
            return False
        with self._store.lock(f"layer-{diff_id.hex}"), storage_errors("noting where a layer lies"):
            place = self._layers / diff_id.hex
            if place.is_symlink() and not place.exists():
                place.unlink()  # it led into a store that is there no more
            if not place.exists():
                place.symlink_to(found)
        return True

    def _unpack(self, layer: LayerSource, below: Sequence[str], cancel: Cancel | None, borrow: bool) -> None:
        # The lock is per layer: two images that share one wait for each other only there.
        with self._store.lock(f"layer-{layer.diff_id.hex}"):
            if self._is_here(layer.diff_id, borrow):
                return
            staging = self.staging()
            arguments = {
                **self._form,
                "home": str(self._store.home),
                "digest": str(layer.descriptor.digest),
                "media_type": layer.descriptor.media_type,
                "diff_id": str(layer.diff_id),
                "staging": str(staging),
                "lowers": list(below),
            }
            fd = os.open(self._store.path(layer.descriptor.digest), os.O_RDONLY | os.O_CLOEXEC)
            try:
                self._worker(f"{_WORK}:unpack", arguments, fds=[fd], cancel=cancel)
            except BaseException:
                self.discard(staging)
                raise
            finally:
                os.close(fd)

    def staging(self, what: str = "layer") -> Path:
        """A place for unfinished work; what killed processes left there goes first."""
        tmp = self._store.home / "tmp"
        for left in abandoned(tmp, what):
            self.discard(left)
        return staging_path(tmp, what)

    def prepare(self, diff_ids: Sequence[Digest], where: Path, *, volatile: bool = False) -> OverlayRoot:
        """See :meth:`Snapshots.prepare`."""
        with storage_errors("preparing a root file system"):
            return self._prepare(diff_ids, where, volatile)

    def _prepare(self, diff_ids: Sequence[Digest], where: Path, volatile: bool) -> OverlayRoot:
        where.mkdir(parents=True, exist_ok=True)
        upper, work = where / "upper", where / "work"
        # The merged root takes its mode from the upper directory, so a new one starts as the layer below has it.
        mode = os.stat(self.diff_path(diff_ids[-1])).st_mode & 0o7777 if diff_ids else 0o755
        upper.mkdir()
        upper.chmod(mode)
        work.mkdir(mode=0o700)
        # One diff id a line, topmost first: whoever packs the upper directory must know what lies below it.
        (where / LOWER).write_text("".join(f"{diff_id.hex}\n" for diff_id in reversed(diff_ids)))
        return OverlayRoot(self._lowers(diff_ids), str(upper), str(work), volatile)

    def reopen(self, diff_ids: Sequence[Digest], where: Path) -> OverlayRoot:
        """The root that :meth:`prepare` made, for a container that starts again."""
        return OverlayRoot(self._lowers(diff_ids), str(where / "upper"), str(where / "work"))

    def view(self, diff_ids: Sequence[Digest]) -> OverlayRoot:
        """See :meth:`Snapshots.view`."""
        return OverlayRoot(self._lowers(diff_ids))

    def _lowers(self, diff_ids: Sequence[Digest]) -> tuple[str, ...]:
        if not diff_ids:
            # FROM scratch: overlayfs wants at least one lower directory, so there is an empty one for all.
            empty = self._layers / "empty"
            empty.mkdir(mode=0o755, parents=True, exist_ok=True)
            return (str(empty),)
        # An image may hold one layer twice, but the kernel refuses a directory twice. Only the topmost counts: it has
        # every entry and every whiteout that the same layer further down has.
        unique = dict.fromkeys(reversed(diff_ids))
        return tuple(str(self.diff_path(diff_id)) for diff_id in reversed(unique))

    def early(self, where: Path) -> dict[str, Any] | None:
        """See :meth:`Snapshots.early`."""
        return {**self._form, "home": str(self._store.home), "where": str(where)}

    def commit(
        self,
        where: Path,
        *,
        keep: bool = False,
        epoch: int | None = None,
        without: Sequence[str] = (),
        creator: tuple[int, int] = ROOT,
    ) -> Layer:
        """See :meth:`Snapshots.commit`; paths in ``without`` (as seen inside) do not become part of the layer."""
        blob = self.staging("packed")
        arguments = {
            **self._form,
            "home": str(self._store.home),
            "where": str(where),
            "blob": str(blob),
            "keep": keep,
            "epoch": epoch,
            "without": list(without),
            "creator": list(creator),
        }
        try:
            made = self._worker(f"{_WORK}:commit", arguments, again=True)
            diff_id = Digest.parse(made["diff_id"])
            # Not compressed, so the blob's digest is the diff id: one number fewer to explain, and no time lost.
            descriptor = self._store.adopt(blob, LAYER, diff_id, made["size"])
        finally:
            blob.unlink(missing_ok=True)
        return Layer(
            descriptor,
            diff_id,
            made["content_bytes"],
            made["entries"],
            tuple(WhiteoutMark(path, opaque) for path, opaque in made["whiteouts"]),
        )

    def discard(self, where: Path) -> None:
        """See :meth:`Snapshots.discard`."""
        if os.path.lexists(where):
            self._worker(f"{_WORK}:discard", {"where": str(where)}, again=True)

    def union(self, diff_ids: Sequence[Digest], where: Path) -> Union:
        """See :meth:`Snapshots.union`."""
        return Union.of([*(self.diff_path(diff_id) for diff_id in diff_ids), where / "upper"])

    def size(self, where: Path) -> int:
        """See :meth:`Snapshots.size`."""
        return self.measure(where / "upper")

    def measure(self, where: Path) -> int:
        """Bytes of file content below ``where``."""
        return int(self._worker(f"{_WORK}:measure", {"where": str(where)}))
