"""Snapshots by copying, for machines where nothing may be mounted.

Layers are unpacked as the overlay driver unpacks them. The tree of an image, a *chain* of layers, is laid out once
in ``chains/<chain id>/tree`` from hard links to the layers' files: it costs names and directories, no content. A
container gets a copy of it, never links: what it writes must stay its own. The tree of a shared store serves as it
lies there; files of it are never linked, as the store is not ours to hand on. What it changed is found out by
comparing, and told in the very bytes that the overlay driver would have told.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from minirt.errors import HomeUnusable
from minirt.model.cancel import Cancel
from minirt.model.digest import Digest, chain_ids
from minirt.model.manifest import LAYER, Descriptor
from minirt.model.spec import TreeRoot
from minirt.snapshots.contract import LOWER, Layer, LayerSource, WhiteoutMark, Worker
from minirt.snapshots.creators import ROOT
from minirt.snapshots.overlay import OverlaySnapshots
from minirt.snapshots.shared import blob_of
from minirt.snapshots.union import Union
from minirt.store import Store

__all__ = ["CopySnapshots"]

_WORK = "minirt.snapshots.copy_work"
_TREE = "tree"


class CopySnapshots:
    """The driver. ``privileged`` and ``one_id`` as for :class:`OverlaySnapshots`, whose unpacked layers it shares.

    ``traced``: programs only seem to be the user that they run as, so what they make must be given to that user.
    """

    def __init__(self, store: Store, worker: Worker, *, privileged: bool, one_id: bool, traced: bool = False) -> None:
        self._store = store
        self._worker = worker
        self._form = {"privileged": privileged, "one_id": one_id, "home": str(store.home), "traced": traced}
        self._layers = OverlaySnapshots(store, worker, privileged=privileged, one_id=one_id)
        self._chains = store.home / "chains"

    def diff_path(self, diff_id: Digest) -> Path:
        """See :meth:`Snapshots.diff_path`."""
        return self._layers.diff_path(diff_id)

    def ensure(self, layers: Sequence[LayerSource], cancel: Cancel | None = None) -> None:
        """See :meth:`Snapshots.ensure`. Where a shared store has the whole tree, links to its layers are enough."""
        laid_out = self._layers.shared.chain(_name([layer.diff_id for layer in layers])) is not None
        self._layers.ensure(layers, cancel, borrow=laid_out)

    def view(self, diff_ids: Sequence[Digest]) -> TreeRoot:
        """See :meth:`Snapshots.view`; laid out now, if it never was."""
        shared = None if (self._chains / _name(diff_ids)).is_dir() else self._layers.shared.chain(_name(diff_ids))
        return self._own_view(diff_ids) if shared is None else TreeRoot(str(shared / _TREE))

    def _own_view(self, diff_ids: Sequence[Digest]) -> TreeRoot:
        target = self._chains / _name(diff_ids)
        if not (target / _TREE).is_dir():
            with self._store.lock(f"chain-{target.name}"):
                if not (target / _TREE).is_dir():
                    self._lay_out(tuple(diff_ids), target)
        return TreeRoot(str(target / _TREE))

    def _lay_out(self, diff_ids: Sequence[Digest], target: Path) -> None:
        self._own_layers(diff_ids)
        staging = self._layers.staging("chain")
        arguments = {
            **self._form,
            "staging": str(staging),
            "target": str(target),
            "layers": [str(self.diff_path(diff_id)) for diff_id in diff_ids],
        }
        try:
            self._worker(f"{_WORK}:materialise", arguments, again=True)
        except BaseException:
            self.discard(staging)
            raise

    def _own_layers(self, diff_ids: Sequence[Digest]) -> None:
        """Unpack what was only borrowed: the files of a shared store may be read, but not be linked to."""
        if any(self.diff_path(diff_id).parent.is_symlink() for diff_id in diff_ids):
            self._layers.ensure([self._source(diff_id) for diff_id in diff_ids], borrow=False)

    def _source(self, diff_id: Digest) -> LayerSource:
        blob = blob_of(self.diff_path(diff_id).parent) or diff_id  # what was built here lies as a plain tar
        return LayerSource(Descriptor(LAYER, blob, self._store.size(blob)), diff_id)

    def prepare(self, diff_ids: Sequence[Digest], where: Path, *, volatile: bool = False) -> TreeRoot:
        """See :meth:`Snapshots.prepare`."""
        where.mkdir(parents=True, exist_ok=True)
        (where / LOWER).write_text("".join(f"{diff_id.hex}\n" for diff_id in reversed(diff_ids)))
        source = self.view(diff_ids).path
        try:
            self._copy(source, where)
        except HomeUnusable:
            if source.startswith(f"{self._chains}/"):
                raise
            # The shared tree has files that their owner may not read either (mode 000), and none may be opened there.
            self._layers.discard(where / _TREE)
            self._copy(self._own_view(diff_ids).path, where)
        return self.reopen(diff_ids, where)

    def _copy(self, source: str, where: Path) -> None:
        self._worker(f"{_WORK}:prepare", {**self._form, "source": source, "where": str(where)}, again=True)

    def reopen(self, diff_ids: Sequence[Digest], where: Path) -> TreeRoot:
        """See :meth:`Snapshots.reopen`."""
        return TreeRoot(str(where / _TREE))

    def union(self, diff_ids: Sequence[Digest], where: Path) -> Union:
        """See :meth:`Snapshots.union`."""
        return Union.of([where / _TREE])

    def early(self, where: Path) -> None:
        """See :meth:`Snapshots.early`."""

    def commit(
        self,
        where: Path,
        *,
        keep: bool = False,
        epoch: int | None = None,
        without: Sequence[str] = (),
        creator: tuple[int, int] = ROOT,
    ) -> Layer:
        """See :meth:`Snapshots.commit`."""
        blob = self._layers.staging("packed")
        asked = {"keep": keep, "epoch": epoch, "without": list(without), "creator": list(creator)}
        arguments = {**self._compared(where), "blob": str(blob), **asked}
        try:
            made = self._worker(f"{_WORK}:commit", arguments, again=True)
            diff_id = Digest.parse(made["diff_id"])
            descriptor = self._store.adopt(blob, LAYER, diff_id, made["size"])
        finally:
            blob.unlink(missing_ok=True)
        marks = tuple(WhiteoutMark(path, opaque) for path, opaque in made["whiteouts"])
        return Layer(descriptor, diff_id, made["content_bytes"], made["entries"], marks)

    def differences(self, where: Path, without: Sequence[str] = ()) -> list[tuple[str, str]]:
        """What changed in ``where``: (A, C or D as docker diff has it, path), sorted by path."""
        found = self._worker(f"{_WORK}:differences", {**self._compared(where), "without": list(without)})
        return [(kind, path) for kind, path in found]

    def _compared(self, where: Path) -> dict[str, Any]:
        names = (where / LOWER).read_text().split()
        base = self.view([Digest("sha256", name) for name in reversed(names)]).path
        return {**self._form, "where": str(where), "base": base}

    def size(self, where: Path) -> int:
        """See :meth:`Snapshots.size`."""
        return int(self._worker(f"{_WORK}:size", self._compared(where)))

    def measure(self, where: Path) -> int:
        """See :meth:`Snapshots.measure`."""
        return self._layers.measure(where)

    def discard(self, where: Path) -> None:
        """See :meth:`Snapshots.discard`. With an unpacked layer go the chains that it is part of."""
        if where.parent == self._store.home / "layers":
            for listing in self._chains.glob("*/layers"):
                if where.name in listing.read_text().split():
                    self._layers.discard(listing.parent)
        self._layers.discard(where)


def _name(diff_ids: Sequence[Digest]) -> str:
    """Of a chain's directory."""
    return chain_ids(tuple(diff_ids))[-1].hex if diff_ids else "empty"
