"""The steps that make layers: what each is keyed by, and how it is done. One type each for WORKDIR, COPY/ADD; RUN has
a module of its own.

A step is a value made from the instruction (expanded) and the stage's state. It knows its cache inputs without doing
anything, and does its work on a root filesystem that is prepared for it.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from minirt.build.cache import Inputs
from minirt.build.config_steps import copy_text, join_workdir
from minirt.build.contenthash import one_digest
from minirt.build.context import Gathered, Query, Tree
from minirt.build.copy_files import items_to_json
from minirt.build.downloads import is_address, is_git
from minirt.build.job import Job, memory_file
from minirt.build.modes import ModeChange
from minirt.build.state import StageState
from minirt.dockerfile import Add, Copy
from minirt.errors import CopyFailed, InvalidSpec, MinirtError
from minirt.model.events import WarningRaised
from minirt.model.spec import OverlayRoot, RootFilesystem, TreeRoot

__all__ = ["CopyFromImage", "CopyFromTree", "LayerWork", "MakeWorkdir", "copy_destination"]

_FILEWORK = "minirt.build.filework"


class LayerWork(Protocol):
    """One step that makes a layer."""

    def inputs(self) -> Inputs:
        """What the cache asks first; may read files, changes nothing. Raises :class:`CopyFailed`."""

    def second_inputs(self) -> Inputs | None:
        """What the cache asks when the first gave nothing and a closer look may help; None when it cannot."""

    def perform(self, root: RootFilesystem, where: Path) -> None:
        """Do it on ``root``; ``where`` holds its changes."""

    @property
    def created_by(self) -> str:
        """The line of history."""


@dataclass(slots=True)
class MakeWorkdir:
    """WORKDIR: BuildKit makes a layer even if the directory is there."""

    job: Job
    state: StageState
    path: str

    def inputs(self) -> Inputs:
        values = {"workdir": self.path, "user": self.state.config.user, **epoch_value(self.job)}
        return Inputs(self.state.chain, values)

    def second_inputs(self) -> Inputs | None:
        return None

    def perform(self, root: RootFilesystem, where: Path) -> None:
        arguments = {"path": self.path, "user": self.state.config.user, "epoch": self.job.request.epoch}
        self.job.tools.sandbox.call(f"{_FILEWORK}:workdir", arguments, root=root, cancel=self.job.cancel)

    @property
    def created_by(self) -> str:
        return f"WORKDIR {self.path}"


def epoch_value(job: Job) -> dict[str, str]:
    return {} if job.request.epoch is None else {"epoch": str(job.request.epoch)}


def copy_destination(state: StageState, one: Copy | Add) -> str:
    """Absolute, cleaned, with a slash at the end if it was written as a directory."""
    word = one.destination
    into = word in ("", ".", "..") or word.endswith(("/", "/.", "/.."))
    path = join_workdir(state.config.working_dir, word)
    return path + "/" if into and path != "/" else path


def copy_values(job: Job, state: StageState, one: Copy | Add) -> dict[str, str]:
    """What of a COPY decides its layer, beside the files."""
    values = {"destination": copy_destination(state, one), **epoch_value(job)}
    if one.chown:
        values["chown"] = one.chown
    if one.chmod:
        values["chmod"] = one.chmod
    if one.exclude:
        values["exclude"] = json.dumps(one.exclude)
    if isinstance(one, Copy) and one.parents:
        values["parents"] = "yes"
    if isinstance(one, Add):
        fetched = one.unpack is None and any(is_address(source) for source in one.sources)
        values["unpack"] = "downloads stay as they are" if fetched else str(one.unpack)
    return values


def _unpacks(one: Copy | Add, *, fetched: bool) -> bool:
    """Whether archives are unpacked: those of the context unless ``--unpack=false``, downloads only with it."""
    return isinstance(one, Add) and (one.unpack if one.unpack is not None else not fetched)


def check_copy(one: Copy | Add) -> None:
    """What can be refused without looking at any file."""
    if one.chmod:
        try:
            ModeChange(one.chmod)
        except InvalidSpec as error:
            raise CopyFailed(error.what, where=one.origin.find(one.chmod), cause=error.cause, hint=error.hint) from None
    if isinstance(one, Add) and one.checksum:
        check_checksum(one)
    if isinstance(one, Copy):
        for index, source in enumerate(one.sources):
            if is_address(source):
                raise CopyFailed(
                    "source can't be a URL for COPY",
                    where=one.locate_source(index),
                    hint="Write ADD instead of COPY: ADD downloads.",
                )


def check_checksum(one: Add) -> None:
    """``--checksum`` is for what is fetched, and a digest (of a git repository: a commit)."""
    where = one.origin.find(one.checksum)
    if not all(is_address(source) for source in one.sources) or one.files:
        raise CopyFailed(
            "checksum requires HTTP(S) or Git sources",
            where=where,
            cause="a file of the context is here already: there is nothing to be sure of",
            hint="Leave --checksum out.",
        )
    if not all(is_git(source) for source in one.sources) and not re.fullmatch(r"sha256:[0-9a-f]{64}", one.checksum):
        raise CopyFailed(
            f"invalid checksum digest format: {one.checksum}",
            where=where,
            hint="Write --checksum=sha256: and 64 hexadecimal digits, as sha256sum prints them.",
        )


def transfer_arguments(
    job: Job, state: StageState, one: Copy | Add, root: RootFilesystem, where: Path
) -> dict[str, object]:
    return {
        "destination": copy_destination(state, one),
        "chown": one.chown,
        "chmod": one.chmod,
        "epoch": job.request.epoch,
        "from": None,
        "upper": root.upper if isinstance(root, OverlayRoot) else None,
        "early": job.tools.snapshots.early(where),
    }


def source_layers(root: RootFilesystem) -> list[str]:
    """The directories that make up a root, base first: several layers, or the one tree of a copied root."""
    return list(root.lowers) if isinstance(root, OverlayRoot) else [root.path]


def warn_of_names(job: Job, one: Copy | Add, names: Sequence[str]) -> None:
    """BuildKit copies for a name it does not find as for root, without a word; here is the word."""
    for name in names:
        message = f"--chown={one.chown}: the image knows no {name}, so the files belong to root"
        job.on_event(WarningRaised("UnknownOwner", message, one.location.line))


@dataclass
class CopyFromTree:
    """COPY or ADD from the build context (or another directory of the machine), inline files and downloads."""

    job: Job
    state: StageState
    one: Copy | Add
    tree: Tree | None
    fetched: Callable[[], Sequence[Gathered]]

    @cached_property
    def gathered(self) -> tuple[Gathered, ...]:
        """Everything to copy, hashed; the order is that of the instruction's kinds: paths, downloads, heredocs."""
        check_copy(self.one)
        found = []
        paths = [(index, word) for index, word in enumerate(self.one.sources) if not is_address(word)]
        if paths:
            if self.tree is None:
                raise CopyFailed(
                    f"{self.one.keyword} needs a build context, and there is no build context here",
                    where=self.one.locate_source(paths[0][0]),
                    hint="Give a directory at the end of the command, for example: docker build -t name .",
                )
            found.append(self.tree.gather(self._query(paths)))
        return (*found, *self.fetched())

    def _query(self, paths: Sequence[tuple[int, str]]) -> Query:
        one = self.one
        return Query(
            tuple(word for _, word in paths),
            one.exclude,
            isinstance(one, Copy) and one.parents,
            locate=lambda index: one.locate_source(paths[index][0]),
            what=one.keyword,
        )

    def inputs(self) -> Inputs:
        marks = {path: mark for part in self.gathered for path, mark in part.marks.items()}
        content = one_digest([part.content for part in self.gathered])
        values = copy_values(self.job, self.state, self.one)
        parent = "" if self.linked else self.state.chain
        return Inputs(parent, values, content, marks)

    @property
    def linked(self) -> bool:
        """``--link``: the layer stands on nothing, so it stays good whatever is below."""
        return self.one.link and not self.one.chmod

    def second_inputs(self) -> Inputs | None:
        return None

    def perform(self, root: RootFilesystem, where: Path) -> None:
        from_tree = 0 if all(is_address(word) for word in self.one.sources) else 1
        rows = [
            {
                "top": source.top,
                "place": source.found.place,
                "name": source.found.name,
                "items": items_to_json(source.items),
                "unpack": _unpacks(self.one, fetched=number >= from_tree),
            }
            for number, part in enumerate(self.gathered)
            for source in part.sources
        ]
        arguments = transfer_arguments(self.job, self.state, self.one, root, where)
        with memory_file(json.dumps(rows, separators=(",", ":")).encode()) as listing, located(self.one):
            call = self.job.tools.sandbox.call
            done = call(f"{_FILEWORK}:transfer", arguments, root=root, fds=[listing], cancel=self.job.cancel)
            warn_of_names(self.job, self.one, done["unknown"])

    @property
    def created_by(self) -> str:
        return copy_text(self.one)


@dataclass
class CopyFromImage:
    """``COPY --from``: the source is a stack of layers. First its name decides; if it is new, its content does."""

    job: Job
    state: StageState
    one: Copy
    source: StageState
    name: str
    linked: bool = False

    def inputs(self) -> Inputs:
        check_copy(self.one)
        values = {
            **copy_values(self.job, self.state, self.one),
            "from": self.source.chain,
            "sources": json.dumps(self.one.sources),
        }
        return Inputs(self._parent, values)

    @property
    def _parent(self) -> str:
        return "" if self.linked else self.state.chain

    def second_inputs(self) -> Inputs | None:
        """By content: what is copied may be the same though the stage it comes from is not."""
        found = self.job.tools.sandbox.call(
            f"{_FILEWORK}:examine", {**self._selection()}, root=self._view(), cancel=self.job.cancel
        )
        values = copy_values(self.job, self.state, self.one)
        return Inputs(self._parent, values, found["content"], found["marks"])

    def _view(self) -> RootFilesystem:
        self.job.tools.snapshots.ensure(self.source.layers, self.job.cancel)
        return self.job.tools.snapshots.view([layer.diff_id for layer in self.source.layers])

    def _selection(self) -> dict[str, object]:
        return {
            "words": list(self.one.sources),
            "exclude": list(self.one.exclude),
            "parents": self.one.parents,
            "name": f"stage {self.name}" if not posixpath.isabs(self.name) else self.name,
        }

    def perform(self, root: RootFilesystem, where: Path) -> None:
        view = self._view()
        origin = {**self._selection(), "lowers": source_layers(view), "plain": isinstance(view, TreeRoot)}
        arguments = {**transfer_arguments(self.job, self.state, self.one, root, where), "from": origin}
        with located(self.one):
            call = self.job.tools.sandbox.call
            done = call(f"{_FILEWORK}:transfer", arguments, root=root, cancel=self.job.cancel)
            warn_of_names(self.job, self.one, done["unknown"])

    @property
    def created_by(self) -> str:
        return copy_text(self.one)


class located:  # noqa: N801 - used like a function
    """Gives the instruction's place to an error from the worker, which knows nothing of Dockerfiles."""

    def __init__(self, one: Copy | Add) -> None:
        self._one = one

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, InvalidSpec) and self._one.chown:
            raise CopyFailed(
                error.what, where=self._one.origin.find(self._one.chown), cause=error.cause, hint=error.hint
            ) from error
        if isinstance(error, MinirtError) and error.where is None:
            error.where = self._one.location
