"""What is written about a build: one place for the words of the picture, the tooltips and the table."""

from __future__ import annotations

from collections import Counter

from minirt.model.events import PlannedStage
from minirt.views.build_state import BuildState, StepState, base_stage
from minirt.views.graph import Chip, Look, Status
from minirt.views.tables import text_table
from minirt.views.text import clean, human_size, human_time, plural, shorten_path

__all__ = ["base_word", "build_table", "build_title", "build_totals", "step_chip", "step_detail", "step_tooltip"]

_WORDS = {
    Status.WAITING: "waiting",
    Status.RUNNING: "running",
    Status.CACHED: "from cache",
    Status.DONE: "done",
    Status.FAILED: "failed",
    Status.CANCELED: "stopped",
}
_ORDER = ("from cache", "done", "pulling", "running", "waiting", "failed", "stopped", "not run")
_OVER = (Status.DONE, Status.FAILED, Status.CANCELED)


def build_title(state: BuildState) -> str:
    """One line: what is built and how it stands."""
    name = ", ".join(dict.fromkeys(state.tags)) or state.name or "an image"
    return {
        Status.WAITING: f"Build of {name}",
        Status.RUNNING: f"Building {name}",
        Status.DONE: f"Built {name}",
        Status.FAILED: f"Build of {name} failed",
        Status.CANCELED: f"Build of {name} stopped",
    }.get(state.status, f"Build of {name}")


def build_totals(state: BuildState, *, stable: bool) -> str:
    """Steps by outcome, layers and bytes made, and (unless ``stable``) the time."""
    words = Counter(step_word(step, state) for step in state.steps.values())
    counts = [f"{words[word]} {word}" for word in _ORDER if words[word]]
    parts = [f"{plural(len(state.steps), 'step')}: {', '.join(counts)}"] if counts else []
    layers = [step.layer for step in state.steps.values() if step.layer is not None]
    if layers:
        parts.append(f"{plural(len(layers), 'layer')} made, {human_size(sum(layer.size for layer in layers))}")
    if state.seconds is not None and not stable:
        parts.append(human_time(state.seconds))
    return " · ".join(parts)


def step_word(step: StepState, state: BuildState) -> str:
    if step.status is Status.WAITING and state.status in _OVER:
        return "not run"
    if step.pull is not None and step.status is Status.RUNNING and not step.pull.finished:
        return "pulling"
    return _WORDS[step.status]


def step_detail(step: StepState, state: BuildState, *, stable: bool, at: float | None = None) -> str:
    """The small line of a step's card."""
    parts = [_word_and_time(step, state, stable, at)]
    if step.pull is not None and step.pull.total_bytes and not step.pull.finished:
        parts.append(f"{human_size(step.pull.done_bytes)} of {human_size(step.pull.total_bytes)}")
    if step.status is Status.FAILED:
        parts.append(step.message or step.last_line)
    elif step.status is Status.RUNNING and step.last_line:
        parts.append(step.last_line)
    elif step.missed and _warm(state) and step.status in (Status.RUNNING, Status.DONE):
        parts.append(f"not cached: {step.missed}")
    hidden = _hidden_count(step)
    if hidden:
        parts.insert(1, plural(hidden, "whiteout"))
    return " · ".join(part for part in parts if part)


def base_word(stage: PlannedStage, state: BuildState) -> str:
    """What a stage starts from."""
    if base_stage(stage, state.stages) is not None:
        return "earlier stage"
    return "empty" if stage.base == "scratch" else "base image"


def step_chip(step: StepState, base: str = "base image") -> Chip:
    """The block at the right: the layer that the step made, or that it makes none."""
    if step.plan.kind == "config":
        return Chip("config only", "no layer", Look.CONFIG)
    if step.layer is not None:
        return Chip(human_size(step.layer.size), plural(step.layer.entries, "path"), Look.LAYER)
    if step.plan.kind == "base":
        layers = len(step.pull.layers) if step.pull is not None else 0
        return (
            Chip(plural(layers, "layer"), human_size(step.pull.total_bytes), Look.LAYER)
            if layers and step.pull
            else (Chip(base, "", Look.EMPTY))
        )
    if step.status in (Status.CACHED, Status.DONE):
        return Chip("layer", "", Look.LAYER)
    return Chip("", "", Look.EMPTY)


def step_tooltip(step: StepState, state: BuildState, *, stable: bool) -> str:
    """Everything known about a step, a few short lines."""
    lines = [_cut(step.plan.text, 600), _word_and_time(step, state, stable, None)]
    if step.plan.line:
        lines[1] += f" · line {step.plan.line} of the Dockerfile"
    if step.plan.kind == "config":
        lines.append("Changes only the image's configuration: no layer is made.")
    if step.missed:
        lines.append(f"Not from cache: {step.missed}")
    if step.layer is not None:
        lines.append(f"Layer: {human_size(step.layer.size)} in {plural(step.layer.entries, 'path')}")
        if not stable:
            lines[-1] += f", {step.layer.diff_id[:19]}"
    for whiteout in step.whiteouts[:8]:
        lines.append(f"Hides {whiteout.path}{' (all below it)' if whiteout.opaque else ''}")
    if len(step.whiteouts) > 8:
        lines.append(f"Hides {len(step.whiteouts) - 8} more")
    if step.lines:
        lines.append(f"{plural(step.lines, 'line')} of output; the last: {step.last_line}")
    if step.message:
        lines.append(step.message)
    for warning in step.warnings:
        lines.append(f"Warning {warning.rule}: {_cut(warning.message, 300)}")
        if warning.why:
            lines.append(warning.why)
    return "\n".join(lines)


def build_table(state: BuildState, *, stable: bool) -> str:
    """The text twin of the picture."""
    several = len(state.stages) > 1
    headings = [
        *(("Stage",) if several else ()),
        "Step",
        "Instruction",
        "Result",
        *(() if stable else ("Time",)),
        "Layer",
    ]
    rows = []
    for stage in state.stages:
        for number, plan in enumerate(stage.steps):
            step = state.steps[plan.id]
            row = [stage.name or stage.id] if several else []
            row += [str(number), _cut(plan.text, 64), step_word(step, state)]
            if not stable:
                row.append(human_time(step.seconds) if step.seconds and step.seconds >= 0.0005 else "")
            rows.append([*row, _layer_words(step, base_word(stage, state))])
    total = build_totals(state, stable=stable)
    parts = [". ".join(part for part in (build_title(state), total) if part)]
    if rows:
        right = [headings.index(name) for name in ("Step", "Time") if name in headings]
        parts += ["", text_table(headings, rows, right=right)]
    if state.message:
        parts += ["", state.message]
    # A cell counts its own lines, the first with ``%%``: so it is said which these are.
    places = (f" (line {w.line} of the Dockerfile)" if w.line else "" for w in state.warnings)
    parts += [f"Warning {w.rule}{place}: {w.message}" for w, place in zip(state.warnings, places, strict=True)]
    return "\n".join(parts)


def _layer_words(step: StepState, base: str) -> str:
    chip = step_chip(step, base)
    if chip.look is Look.CONFIG:
        return "none, config only"
    words = ", ".join(part for part in (chip.text, chip.detail) if part)
    hidden = _hidden_count(step)
    return f"{words}, {plural(hidden, 'whiteout')}" if hidden else words


def _word_and_time(step: StepState, state: BuildState, stable: bool, at: float | None) -> str:
    word = step_word(step, state)
    if stable:
        return word
    if step.status is Status.RUNNING and at is not None and step.started is not None:
        return f"{word} · {human_time(max(0.0, at - step.started))}"
    if step.seconds is None or step.seconds < 0.0005 or step.status is Status.CACHED:
        return word
    return f"{word} {'after' if step.status is Status.FAILED else 'in'} {human_time(step.seconds)}"


def _warm(state: BuildState) -> bool:
    """Whether some of it came from the cache: only then is it news that a step did not."""
    return any(step.status is Status.CACHED for step in state.steps.values())


def _hidden_count(step: StepState) -> int:
    return max(len(step.whiteouts), step.layer.whiteouts if step.layer is not None else 0)


def _cut(text: str, letters: int) -> str:
    text = clean(text)
    return (
        text if len(text) <= letters else shorten_path(text, letters) if " " not in text else text[: letters - 1] + "…"
    )
