"""What a build has told so far: its events folded, one by one, into one value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from minirt.errors import MinirtError
from minirt.model import events as ev
from minirt.model.reference import Reference
from minirt.views.graph import Status
from minirt.views.text import clean

__all__ = ["BuildState", "PullState", "StepState", "base_stage", "find_stage", "fold"]


@dataclass(frozen=True, slots=True)
class PullState:
    """Bytes of a base image on their way: ``layers`` are (digest, bytes), ``done`` the bytes here by digest."""

    name: str
    layers: tuple[tuple[str, int], ...] = ()
    done: dict[str, int] = field(default_factory=dict)
    finished: bool = False

    @property
    def total_bytes(self) -> int:
        return sum(size for _, size in self.layers)

    @property
    def done_bytes(self) -> int:
        return sum(min(size, self.done.get(digest, 0)) for digest, size in self.layers)


@dataclass(frozen=True, slots=True)
class StepState:
    """One step and everything that was said about it. ``started`` is the caller's clock, in seconds."""

    plan: ev.PlannedStep
    status: Status = Status.WAITING
    started: float | None = None
    seconds: float | None = None
    layer: ev.LayerCommitted | None = None
    missed: str = ""
    whiteouts: tuple[ev.WhiteoutWritten, ...] = ()
    lines: int = 0
    last_line: str = ""
    message: str = ""
    warnings: tuple[ev.WarningRaised, ...] = ()
    pull: PullState | None = None
    rest: bytes = b""


@dataclass(frozen=True, slots=True)
class BuildState:
    """The whole build. ``steps`` are keyed by the plan's step id, in the plan's order."""

    name: str = ""
    stages: tuple[ev.PlannedStage, ...] = ()
    steps: dict[str, StepState] = field(default_factory=dict)
    status: Status = Status.WAITING
    seconds: float | None = None
    image_id: str = ""
    tags: tuple[str, ...] = ()
    message: str = ""
    warnings: tuple[ev.WarningRaised, ...] = ()


def find_stage(name: str, stages: Sequence[ev.PlannedStage]) -> ev.PlannedStage | None:
    """A stage by its name (in any case, the last one wins) or number."""
    found = [stage for stage in stages if stage.name.lower() == name.lower() or stage.id == name]
    return found[-1] if found else None


def base_stage(stage: ev.PlannedStage, stages: tuple[ev.PlannedStage, ...]) -> ev.PlannedStage | None:
    """The earlier stage that ``stage`` is FROM, if it is one."""
    return find_stage(stage.base, stages[: stages.index(stage)])


def fold(state: BuildState, event: ev.Event, at: float | None = None) -> BuildState:
    """The state after ``event``; events that say nothing about a build leave it as it is. Never raises."""
    handler = _HANDLERS.get(type(event))
    return state if handler is None else handler(state, event, at)


def _on_step(state: BuildState, step: str, **changes: Any) -> BuildState:
    known = state.steps.get(step)
    if known is None:
        return state
    return replace(state, steps={**state.steps, step: replace(known, **changes)})


def _build_started(state: BuildState, event: ev.BuildStarted, at: float | None) -> BuildState:
    steps = {plan.id: StepState(plan) for stage in event.stages for plan in stage.steps}
    # Checks run before the plan is made, so their warnings may have come first.
    fresh = BuildState(name=event.name, stages=event.stages, steps=steps, status=Status.RUNNING)
    for warning in state.warnings:
        fresh = _warning(fresh, warning, at)
    return fresh


def _step_started(state: BuildState, event: ev.StepStarted, at: float | None) -> BuildState:
    return _on_step(state, event.step, status=Status.RUNNING, started=at)


def _step_cached(state: BuildState, event: ev.StepCached, at: float | None) -> BuildState:
    return _on_step(state, event.step, status=Status.CACHED)


def _cache_missed(state: BuildState, event: ev.CacheMissed, at: float | None) -> BuildState:
    return _on_step(state, event.step, missed=clean(event.reason))


def _step_output(state: BuildState, event: ev.StepOutput, at: float | None) -> BuildState:
    known = state.steps.get(event.step)
    if known is None:
        return state
    *whole, rest = (known.rest + event.data).split(b"\n")
    # A line may come in pieces, and a progress bar may never end its line: keep a bounded tail.
    latest = next((text for raw in (rest, *reversed(whole)) if (text := _line(raw))), known.last_line)
    return _on_step(state, event.step, lines=known.lines + len(whole), last_line=latest, rest=rest[-4096:])


def _line(raw: bytes) -> str:
    return clean(raw[-4096:].rstrip(b"\r").rpartition(b"\r")[2].decode(errors="replace"))[:300]


def _whiteout(state: BuildState, event: ev.WhiteoutWritten, at: float | None) -> BuildState:
    known = state.steps.get(event.step)
    return state if known is None else _on_step(state, event.step, whiteouts=(*known.whiteouts, event))


def _layer(state: BuildState, event: ev.LayerCommitted, at: float | None) -> BuildState:
    return _on_step(state, event.step, layer=event)


def _step_finished(state: BuildState, event: ev.StepFinished, at: float | None) -> BuildState:
    known = state.steps.get(event.step)
    if known is None:
        return state
    status = known.status if known.status is Status.CACHED else Status.DONE
    return _on_step(state, event.step, status=status, seconds=event.seconds)


def _step_failed(state: BuildState, event: ev.StepFailed, at: float | None) -> BuildState:
    return _on_step(state, event.step, status=Status.FAILED, seconds=event.seconds, message=clean(event.message))


def _warning(state: BuildState, event: ev.WarningRaised, at: float | None) -> BuildState:
    state = replace(state, warnings=(*state.warnings, event))
    step = event.step or next((s.plan.id for s in state.steps.values() if s.plan.line == event.line > 0), "")
    known = state.steps.get(step)
    return state if known is None else _on_step(state, step, warnings=(*known.warnings, event))


def _build_finished(state: BuildState, event: ev.BuildFinished, at: float | None) -> BuildState:
    return replace(state, status=Status.DONE, seconds=event.seconds, image_id=event.image_id)


def _build_failed(state: BuildState, event: ev.BuildFailed, at: float | None) -> BuildState:
    # What was still running when another step failed, or when the user interrupted, was stopped.
    steps = {
        key: replace(step, status=Status.CANCELED) if step.status is Status.RUNNING else step
        for key, step in state.steps.items()
    }
    failed = any(step.status is Status.FAILED for step in steps.values())
    stopped = any(step.status is Status.CANCELED for step in steps.values())
    status = Status.CANCELED if stopped and not failed else Status.FAILED
    return replace(state, status=status, seconds=event.seconds, message=clean(event.message), steps=steps)


def _tagged(state: BuildState, event: ev.ImageTagged, at: float | None) -> BuildState:
    return replace(state, tags=(*state.tags, event.name), image_id=state.image_id or event.image_id)


def _pull_started(state: BuildState, event: ev.PullStarted, at: float | None) -> BuildState:
    pull = PullState(event.name, event.layers, {d: size for d, size in event.layers if d in event.present})
    for key in _steps_that_pull(state, event.name):
        state = _on_step(state, key, pull=pull)
    return state


def _steps_that_pull(state: BuildState, name: str) -> list[str]:
    bases = [stage for stage in state.stages if stage.steps and stage.steps[0].kind == "base"]
    named = [stage.steps[0].id for stage in bases if _same_image(stage.base, name)]
    running = [stage.steps[0].id for stage in bases if state.steps[stage.steps[0].id].status is Status.RUNNING]
    return named or running[:1]


def _same_image(one: str, other: str) -> bool:
    try:
        return Reference.parse(one) == Reference.parse(other)
    except MinirtError:
        return False


def _on_pull(state: BuildState, digest: str, done: int | None) -> BuildState:
    for key, step in state.steps.items():
        pull = step.pull
        if pull is None or pull.finished:
            continue
        size = next((size for known, size in pull.layers if known == digest), None)
        if size is not None:
            got = {**pull.done, digest: size if done is None else done}
            state = _on_step(state, key, pull=replace(pull, done=got))
    return state


def _layer_progress(state: BuildState, event: ev.LayerProgress, at: float | None) -> BuildState:
    return _on_pull(state, event.digest, event.done)


def _layer_fetched(state: BuildState, event: ev.LayerFetched, at: float | None) -> BuildState:
    return _on_pull(state, event.digest, None)


def _pull_finished(state: BuildState, event: ev.PullFinished, at: float | None) -> BuildState:
    for key, step in state.steps.items():
        if step.pull is not None and _same_image(step.pull.name, event.name):
            state = _on_step(state, key, pull=replace(step.pull, finished=True))
    return state


_HANDLERS: dict[type[ev.Event], Callable[[BuildState, Any, float | None], BuildState]] = {
    ev.BuildStarted: _build_started,
    ev.StepStarted: _step_started,
    ev.StepCached: _step_cached,
    ev.CacheMissed: _cache_missed,
    ev.StepOutput: _step_output,
    ev.WhiteoutWritten: _whiteout,
    ev.LayerCommitted: _layer,
    ev.StepFinished: _step_finished,
    ev.StepFailed: _step_failed,
    ev.WarningRaised: _warning,
    ev.BuildFinished: _build_finished,
    ev.BuildFailed: _build_failed,
    ev.ImageTagged: _tagged,
    ev.PullStarted: _pull_started,
    ev.LayerProgress: _layer_progress,
    ev.LayerFetched: _layer_fetched,
    ev.PullFinished: _pull_finished,
}
