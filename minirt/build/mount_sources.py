"""What ``RUN --mount=type=bind`` shows: a part of a stage, an image, or the build context.

Layers are mounted as they lie, a writable mount with a directory for what is written, thrown away afterwards. A part
of the context is copied once for the whole build: that is how ignored files stay out, how all of it belongs to root,
and why a file that changes meanwhile does not change the build. Where nothing can be mounted (with proot), each command
gets a copy of its own.
"""

from __future__ import annotations

import json
import stat
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from minirt.build.context import Gathered
from minirt.build.copy_files import items_to_json
from minirt.build.job import Job, memory_file
from minirt.build.state import StageState
from minirt.build.work import source_layers
from minirt.errors import CopyFailed
from minirt.model import spec as specs
from minirt.model.spec import OverlayRoot, RootFilesystem, TreeRoot
from minirt.snapshots.union import Union

__all__ = ["Sources"]

_FILEWORK = "minirt.build.filework"


@dataclass(frozen=True, slots=True)
class Sources:
    """The mounts of one build; what belongs to one command goes with the ``stack`` that is given."""

    job: Job

    def of_layers(
        self, stack: ExitStack, state: StageState, name: str, source: str, target: str, *, writable: bool
    ) -> specs.Mount:
        """Files of a stage or an image, called ``name``. Raises :class:`CopyFailed` if it has no ``source``."""
        root = self._view(state)
        found = Union.of([Path(lower) for lower in source_layers(root)]).find(source or "/")
        if found is None:
            raise CopyFailed(
                f'"/{source.strip("/")}" not found in {name}', hint="The source of a mount must be there before RUN."
            )
        if isinstance(root, OverlayRoot):
            upper, work = self._storage(stack) if writable else (None, None)
            return specs.LayersMount(root.lowers, target, source, upper, work)
        if self.mounts and not writable:
            return specs.BindMount(str(found), target, read_only=True, recursive=False)
        where = self.directory(stack, "bind")
        self.copy_layers(state, name, source, where)
        place = where / Path(source).name if found.is_file() else where
        return specs.BindMount(str(place), target, read_only=not writable)

    def of_tree(self, stack: ExitStack, gathered: Gathered, target: str, *, writable: bool) -> specs.Mount:
        """A part of the context."""
        (source,) = gathered.sources
        is_file = stat.S_ISREG(source.items[0].mode)
        part = source.found.name if is_file else ""
        if self.overlays and writable:
            upper, work = self._storage(stack)
            return specs.LayersMount((str(self._shared(gathered)),), target, part, upper, work)
        if self.mounts and not writable:
            where = self._shared(gathered)
        else:
            where = self.directory(stack, "bind")
            self.copy_tree(gathered, where)
        return specs.BindMount(str(where / part), target, read_only=not writable)

    @property
    def mounts(self) -> bool:
        """Whether a mount can be read-only here."""
        return self.job.tools.sandbox.machine.isolation == "namespaces"

    @property
    def overlays(self) -> bool:
        return self.mounts and self.job.tools.sandbox.machine.snapshotter == "overlay"

    def content(self, state: StageState, name: str, source: str) -> str:
        """The digest of what a mount of a stage shows."""
        arguments = {"words": [source or "/"], "exclude": [], "parents": False, "name": name}
        call = self.job.tools.sandbox.call
        found = call(f"{_FILEWORK}:examine", arguments, root=self._view(state), cancel=self.job.cancel)
        return str(found["content"])

    def copy_layers(self, state: StageState, name: str, source: str, where: Path) -> None:
        """Copy a file, or the content of a directory, into the directory ``where``; owners stay."""
        root = self._view(state)
        origin = {
            "words": [source or "/"], "exclude": [], "parents": False, "name": name,
            "lowers": source_layers(root), "plain": isinstance(root, TreeRoot),
        }  # fmt: skip
        self._transfer(where, origin, ())

    def copy_tree(self, gathered: Gathered, where: Path) -> None:
        """The same for what was found in a context; it belongs to root then."""
        rows = [
            {"top": one.top, "place": one.found.place, "name": one.found.name, "items": items_to_json(one.items)}
            for one in gathered.sources
        ]
        self._transfer(where, None, rows)

    def _transfer(self, where: Path, origin: object, rows: Sequence[object]) -> None:
        arguments = {
            "destination": "/", "chown": "", "chmod": "", "epoch": None, "upper": None, "from": origin,
            "whole": True,
        }  # fmt: skip
        with memory_file(json.dumps(rows).encode()) as listing:
            call, cancel = self.job.tools.sandbox.call, self.job.cancel
            call(f"{_FILEWORK}:transfer", arguments, root=TreeRoot(str(where)), fds=[listing], cancel=cancel)

    def _shared(self, gathered: Gathered) -> Path:
        """A copy that all commands of this build look at."""
        with self.job.copying:
            where = self.job.copies.get(gathered.content)
            if where is None:
                where = self.job.scratchpad.new("context")
                where.mkdir(mode=0o755)
                self.copy_tree(gathered, where)
                self.job.copies[gathered.content] = where
        return where

    def _view(self, state: StageState) -> RootFilesystem:
        self.job.tools.snapshots.ensure(state.layers, self.job.cancel)
        return self.job.tools.snapshots.view([layer.diff_id for layer in state.layers])

    def _storage(self, stack: ExitStack) -> tuple[str, str]:
        where = self.directory(stack, "written")
        for name in ("upper", "work"):
            (where / name).mkdir(mode=0o755)
        return str(where / "upper"), str(where / "work")

    def directory(self, stack: ExitStack, name: str) -> Path:
        """A new directory that goes after the command."""
        where = self.job.scratchpad.new(name)
        where.mkdir(mode=0o755)
        stack.callback(self.job.tools.snapshots.discard, where)
        return where
