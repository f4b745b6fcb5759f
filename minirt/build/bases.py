"""Where stages begin: FROM resolved to an image, and the ONBUILD triggers that come with it."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from minirt.build.job import Job
from minirt.build.plan import Kind, Plan, SourceRef, StagePlan, with_triggers
from minirt.build.request import BuildRequest, Known, ResolvedImage, Resolver
from minirt.build.state import StageState, first_state
from minirt.dockerfile import Instruction, OnBuild, parse_trigger
from minirt.dockerfile.suggest import did_you_mean
from minirt.errors import ImageNotFound, InvalidReference, MinirtError, RegistryError, TooManyLayers
from minirt.model.events import StepFailed, StepFinished, StepStarted
from minirt.model.platform import Platform
from minirt.model.reference import Reference

__all__ = ["MOST_LAYERS", "Bases", "check_depth", "known_starts"]

MOST_LAYERS = 127
_IMAGE = "docker-image://"


@dataclass(slots=True)
class Bases:
    """Images by name and platform, each looked up once, from whichever thread asks first."""

    resolver: Resolver
    job: Job
    _found: dict[tuple[str, Platform], Future[ResolvedImage]] = field(default_factory=dict)
    _mutex: threading.Lock = field(default_factory=threading.Lock)

    def start_of(self, stage: StagePlan) -> tuple[StageState, tuple[str, ...]]:
        """The state after FROM, and the base's triggers; reported as step 0."""
        started = time.monotonic()
        self.job.on_event(StepStarted(stage.base_step.id))
        platform = stage.platform or self.job.plan.platform
        triggers: tuple[str, ...] = ()
        try:
            if stage.base is None:
                state = first_state(None, (), platform)
            else:
                image = self.image(stage.base, platform)
                state, triggers = first_state(image.config, image.layers, platform), image.config.config.on_build
            check_depth(stage, state)
        except MinirtError as error:
            self.job.on_event(StepFailed(stage.base_step.id, error.what, time.monotonic() - started))
            raise
        self.job.on_event(StepFinished(stage.base_step.id, time.monotonic() - started))
        return state, triggers

    def image(self, ref: SourceRef, platform: Platform) -> ResolvedImage:
        """Raises ImageNotFound, RegistryError … with the place in the Dockerfile."""
        if ref.name in self.job.request.images:
            return self.job.request.images[ref.name]
        name = self.job.request.contexts.get(ref.name, ref.name).removeprefix(_IMAGE)
        with self._mutex:
            future = self._found.get((name, platform))
            mine = future is None
            if future is None:
                future = self._found[name, platform] = Future()
        if mine:
            try:
                reference = Reference.parse(name)
                request = self.job.request
                future.set_result(self.resolver(reference, platform, request.pull, self.job.on_event, self.job.cancel))
            except BaseException as error:
                future.set_exception(error)
        try:
            return future.result()
        except MinirtError as error:
            raise self._pointing(error, ref) from error

    def _pointing(self, error: MinirtError, ref: SourceRef) -> MinirtError:
        if error.where is None:
            error.where = ref.where
        if isinstance(error, ImageNotFound | RegistryError):
            stages = [stage.name for stage in self.job.plan.dockerfile.stages if stage.name]
            hint = did_you_mean(ref.name, [*stages, "minirt/base", "scratch"])
            if hint:
                error.hint = hint[0].upper() + hint[1:] + (f" {error.hint}" if error.hint else "")
        return error


def known_starts(plan: Plan, request: BuildRequest, known: Known) -> dict[int, StageState]:
    """The states after FROM of the stages whose image is here already, for who only wants to look."""
    found = {}
    for stage in plan.stages:
        ref = stage.base
        if ref is None or ref.stage is not None:
            continue
        platform = stage.platform or plan.platform
        image = request.images.get(ref.name)
        if image is None:
            try:
                reference = Reference.parse(request.contexts.get(ref.name, ref.name).removeprefix(_IMAGE))
            except InvalidReference:
                continue
            image = known(reference, platform)
        if image is not None:
            found[stage.index] = first_state(image.config, image.layers, platform)
    return found


def triggers_of(stage: StagePlan, texts: Sequence[str], plan: Plan) -> tuple[Instruction, ...]:
    """The triggers that run at the start of ``stage``: its base image's, or those of the stage it is FROM."""
    if stage.base is not None and stage.base.stage is not None:
        written = plan.dockerfile.stages[stage.base.stage].instructions
        texts = [one.expression for one in written if isinstance(one, OnBuild)]
    try:
        return tuple(parse_trigger(text) for text in texts)
    except MinirtError as error:
        raise type(error)(
            f"the base {stage.base_name} has an ONBUILD trigger that cannot be read: {error.what}",
            where=stage.base_step.instruction.location,
            cause=error.cause,
            hint=error.hint,
        ) from error


def with_all_triggers(plan: Plan, texts: dict[int, tuple[str, ...]]) -> Plan:
    """The plan with the triggers of every stage's base in their places."""
    for stage in plan.stages:
        triggers = triggers_of(stage, texts.get(stage.index, ()), plan)
        if triggers:
            plan = with_triggers(plan, stage.index, triggers)
    return plan


def check_depth(stage: StagePlan, state: StageState) -> None:
    """Raises :class:`TooManyLayers` before anything is built, if the stage would be too deep."""
    makers = [step for step in stage.steps if step.kind is Kind.FILESYSTEM]
    total = len(state.layers) + len(makers)
    if total <= MOST_LAYERS:
        return
    first_too_many = makers[max(0, MOST_LAYERS - len(state.layers))]
    by_keyword: dict[str, list[int]] = {}
    for step in makers:
        by_keyword.setdefault(step.instruction.keyword, []).append(step.instruction.location.line)
    made = ", ".join(f"{len(lines)} {word} (lines {_ranges(lines)})" for word, lines in by_keyword.items())
    raise TooManyLayers(
        f"the image would have {total} layers, and {MOST_LAYERS} is the most that can be mounted",
        where=first_too_many.instruction.location,
        cause=f"these instructions make a layer each: {made}; the base has {len(state.layers)}",
        hint="Join RUN lines with &&, COPY several files at once, or COPY --from a stage that did the work.",
    )


def _ranges(lines: list[int]) -> str:
    """``2-5, 8`` for [2, 3, 4, 5, 8]."""
    runs: list[list[int]] = []
    for line in lines:
        if runs and line == runs[-1][-1] + 1:
            runs[-1][1:] = [line]
        else:
            runs.append([line])
    return ", ".join("-".join(str(end) for end in run) for run in runs)
