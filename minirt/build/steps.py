"""One stage, step by step: each instruction expanded, then done, or found in the cache."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from minirt.build.cache import CachedStep, Inputs, slot
from minirt.build.config_steps import apply_config, next_workdir
from minirt.build.contenthash import FileHashes
from minirt.build.context import Gathered, Query, Tree
from minirt.build.downloads import download, is_address
from minirt.build.failed import HINT, FailedStep, debug_config
from minirt.build.job import Job, timestamp
from minirt.build.plan import SourceRef, StagePlan, Step
from minirt.build.run_mounts import MountPlan
from minirt.build.run_step import RunCommand
from minirt.build.state import StageState
from minirt.build.work import CopyFromImage, CopyFromTree, LayerWork, MakeWorkdir
from minirt.dockerfile import Add, Arg, Copy, InlineFile, Instruction, Run, Workdir, expand_instruction
from minirt.errors import Cancelled, CopyFailed, MinirtError, RunFailed, SandboxError
from minirt.model.events import (
    CacheMissed,
    LayerCommitted,
    StepCached,
    StepFailed,
    StepFinished,
    StepStarted,
    WarningRaised,
    WhiteoutWritten,
)
from minirt.snapshots.contract import LayerSource

__all__ = ["StageRunner"]


class StageRunner:
    """Carries out the steps of one stage. ``source`` waits for another stage, or finds an image."""

    def __init__(self, job: Job, stage: StagePlan, source: Callable[[SourceRef], StageState]) -> None:
        self.job = job
        self.stage = stage
        self.source = source
        self.no_cache = job.request.no_cache or (
            bool(stage.name) and stage.name in {name.lower() for name in job.request.no_cache_stages}
        )

    def run(self, state: StageState) -> StageState:
        """From the base's state to the stage's last. Raises what the first failing step raises."""
        for step in self.stage.steps:
            self.job.check()
            for ref in step.sources.values():
                if ref.stage is not None:
                    self.source(ref)  # a step that waits for another stage has not started yet
            with self._reported(step):
                state = self._step(step, state)
        return state

    @contextmanager
    def _reported(self, step: Step) -> Iterator[None]:
        started = time.monotonic()
        self.job.on_event(StepStarted(step.id))
        try:
            yield
        except Cancelled:
            self.job.on_event(StepFailed(step.id, "interrupted", time.monotonic() - started))
            raise
        except MinirtError as error:
            if error.where is None:
                error.where = step.instruction.location
            self.job.on_event(StepFailed(step.id, error.what, time.monotonic() - started))
            raise

    def _step(self, step: Step, state: StageState) -> StageState:
        started = time.monotonic()
        if isinstance(step.instruction, Arg):
            # ARG expands its defaults one by one, each seeing those before it.
            after = self.job.plan.scope.declare(state, step.instruction)
        else:
            escape = self.job.plan.scope.escape
            one = expand_instruction(step.instruction, state.environment, escape=escape).instruction
            work = self._work(step, state, one)
            if work is not None:
                return self._layer(step, self._configured(state, one), work, started)
            after = apply_config(state, one)
        self.job.on_event(StepFinished(step.id, time.monotonic() - started))
        return after

    @staticmethod
    def _configured(state: StageState, one: Instruction) -> StageState:
        """WORKDIR is the only instruction that changes the config and makes a layer."""
        if not isinstance(one, Workdir):
            return state
        path = next_workdir(state.config.working_dir, one.path)
        return replace(state, config=replace(state.config, working_dir=path))

    def _work(self, step: Step, state: StageState, one: Instruction) -> LayerWork | None:
        job = self.job
        match one:
            case Run():
                cwd = state.config.working_dir or "/"
                mounts = MountPlan(job, one, lambda name: self.source(step.sources[name]), self._mount_tree(step), cwd)
                return RunCommand(job, state, one, step.id, mounts)
            case Copy() if one.from_ and self._named_tree(one.from_) is None:
                return CopyFromImage(job, state, one, self.source(step.sources[one.from_]), one.from_, one.link)
            case Copy() | Add():
                tree = self._named_tree(one.from_ if isinstance(one, Copy) else "")
                return CopyFromTree(job, state, one, tree, lambda: self._fetched(one))
            case Workdir():
                path = next_workdir(state.config.working_dir, one.path)
                return None if path == "/" else MakeWorkdir(job, state, path)
        return None

    def _named_tree(self, name: str) -> Tree | None:
        return self.job.contexts.get(name)

    def _mount_tree(self, step: Step) -> Callable[[str], Tree | None]:
        def find(name: str) -> Tree | None:
            return None if name in step.sources and name not in self.job.contexts else self._named_tree(name)

        return find

    def _fetched(self, one: Copy | Add) -> Sequence[Gathered]:
        """Downloads and heredocs, as files of their own."""
        found = []
        if isinstance(one, Add):
            for index, source in enumerate(one.sources):
                if is_address(source):
                    found.append(download(one, index, self.job.scratchpad.new("fetched"), self.job.cancel))
        found += [self._inline(one, file) for file in one.files]
        return found

    def _inline(self, instruction: Copy | Add, file: InlineFile) -> Gathered:
        where = self.job.scratchpad.new("inline")
        name = file.name.lstrip("/")
        if "/" in name:
            raise CopyFailed(
                f"a heredoc is one file, and {file.name} names a directory too",
                where=instruction.origin.find(f"<<{file.name}"),
                hint=f"Write <<{os.path.basename(name)}, and the directory as the destination.",
            )
        where.mkdir()
        path = where / name
        path.write_bytes(file.data.encode("utf-8", "surrogateescape"))
        path.chmod(0o644)
        return Tree(str(where), "the heredoc", None, FileHashes(None)).gather(Query((name,), literal=True))

    def _layer(self, step: Step, state: StageState, work: LayerWork, started: float) -> StageState:
        inputs = work.inputs()
        self._warn_of_files(step, work)
        found = None if self.no_cache else self._cached(step, work, inputs)
        if found is None:
            found = self._done(step, state, work, inputs)
            self._announce(step, found)
            self.job.on_event(StepFinished(step.id, time.monotonic() - started))
        else:
            self._announce(step, found)
            self.job.on_event(StepCached(step.id))
        return state.with_layer(found.layer, found.created, work.created_by)

    def _warn_of_files(self, step: Step, work: LayerWork) -> None:
        if isinstance(work, CopyFromTree):
            for path in (path for part in work.gathered for path in part.sockets):
                line = step.instruction.location.line
                self.job.on_event(
                    WarningRaised("SocketNotCopied", f"{path} is a socket; the image gets an empty file", line, step.id)
                )
            for what in (sentence for part in work.gathered for sentence in part.sparse):
                words = f"{what}: a layer has no holes, so who pulls the image pulls them all"
                self.job.on_event(WarningRaised("SparseFile", words, step.instruction.location.line, step.id))

    def _cached(self, step: Step, work: LayerWork, inputs: Inputs) -> CachedStep | None:
        cache = self.job.tools.cache
        found = cache.find(inputs)
        if found is not None:
            return found
        second = work.second_inputs()
        if second is not None:
            found = cache.find(second)
            if found is not None:
                cache.add(self._slot(step), inputs, found)
                return found
        reason = cache.why(self._slot(step), second or inputs)
        self.job.on_event(CacheMissed(step.id, reason))
        return None

    def _slot(self, step: Step) -> str:
        main = self.job.contexts.get("")
        same = [one for one in self.stage.steps if one.text == step.text]
        return slot(main.top if main else "", self.stage.name or self.stage.id, step.text, str(same.index(step)))

    def _done(self, step: Step, state: StageState, work: LayerWork, inputs: Inputs) -> CachedStep:
        job, tools = self.job, self.job.tools
        below = () if getattr(work, "linked", False) else state.layers
        tools.snapshots.ensure(below, job.cancel)
        where = job.scratchpad.new(f"step-{step.id}")
        try:
            root = tools.snapshots.prepare([layer.diff_id for layer in below], where, volatile=True)
            work.perform(root, where)
            job.check()
            creator = getattr(work, "creator", (0, 0))
            made = tools.snapshots.commit(where, epoch=job.request.epoch, creator=creator)
        except BaseException as error:
            if not self._kept(step, state, where, error):
                self._discard(where)
            raise
        source = LayerSource(made.descriptor, made.diff_id)
        created = timestamp(job.request.epoch)
        result = CachedStep(source, created, made.content_bytes, made.entries, made.whiteouts)
        self._remember(step, work, inputs, result)
        return result

    def _kept(self, step: Step, state: StageState, where: Path, error: BaseException) -> bool:
        """Whether what the failed command left is kept to be looked at; then the error says how."""
        # A command that could not even start has left nothing, and there may be no program to look with.
        if not isinstance(error, RunFailed) or isinstance(error.__cause__, SandboxError):
            return False
        line = step.instruction.location.line
        config = debug_config(state, timestamp(None))
        kept = self.job.tools.failed.keep(where, FailedStep(step.text, line, error.status, config, state.layers))
        if kept:
            error.hint = f"{error.hint} {HINT}".strip()
        return kept

    def _discard(self, where: Path) -> None:
        try:
            self.job.tools.snapshots.discard(where)
        except (MinirtError, OSError):
            pass  # the scratchpad tries once more at the end, and what it leaves goes at the next build

    def _remember(self, step: Step, work: LayerWork, inputs: Inputs, result: CachedStep) -> None:
        cache, place = self.job.tools.cache, self._slot(step)
        cache.add(place, inputs, result)
        second = work.second_inputs()
        if second is not None:
            cache.add(place, second, result)

    def _announce(self, step: Step, result: CachedStep) -> None:
        for mark in result.whiteouts:
            self.job.on_event(WhiteoutWritten(step.id, mark.path, mark.opaque))
        self.job.on_event(
            LayerCommitted(
                step.id, str(result.layer.diff_id), result.content_bytes, result.entries, len(result.whiteouts)
            )
        )
