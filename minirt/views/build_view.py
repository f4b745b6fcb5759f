"""The picture of a build while it happens: stages as frames, steps as cards, the layers they make beside them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from minirt.model.events import Event, PlannedStage
from minirt.views.build_state import BuildState, StepState, base_stage, find_stage, fold
from minirt.views.build_words import (
    base_word,
    build_table,
    build_title,
    build_totals,
    step_chip,
    step_detail,
    step_tooltip,
)
from minirt.views.graph import Chip, Edge, EdgeKind, Graph, Group, Kind, LegendItem, Look, Node, Status
from minirt.views.text import clean, human_size, plural

__all__ = ["BuildView"]

_WIDTHS = {1: 640, 2: 376}
_NARROW = 310
_MANY_STEPS = 12
_FROM_FLAG = re.compile(r"--from=(\S+)")
_KINDS = {"base": Kind.BASE, "filesystem": Kind.STEP, "config": Kind.CONFIG}


class BuildView:
    """Folds the events of one build; :meth:`graph` is a pure function of the events so far.

    ``stable`` leaves out what differs from run to run (times and ids), so that two saved pictures can be compared.
    """

    def __init__(self, *, stable: bool = False) -> None:
        self.state = BuildState()
        self.stable = stable

    def add(self, event: Event, at: float | None = None) -> None:
        """Take one event in; ``at`` is any steady clock in seconds, for the time that running steps show."""
        self.state = fold(self.state, event, at)

    @property
    def started(self) -> bool:
        """Whether there is anything to draw yet."""
        return bool(self.state.stages)

    @property
    def finished(self) -> bool:
        return self.state.status in (Status.DONE, Status.FAILED, Status.CANCELED)

    def table(self) -> str:
        """The text twin."""
        return build_table(self.state, stable=self.stable)

    def graph(self, at: float | None = None) -> Graph:
        """The picture now; ``at`` is the clock of :meth:`add`."""
        state = self.state
        compact = len(state.steps) > _MANY_STEPS
        size = (_WIDTHS.get(_columns(state.stages), _NARROW), 28 if compact else 44)
        nodes = [self._node(step, stage, size, at) for stage in state.stages for step in _steps(state, stage)]
        if state.stages:
            nodes.append(self._image(size))
        return Graph(
            id="build",
            title=build_title(state),
            subtitle=build_totals(state, stable=self.stable),
            nodes=tuple(nodes),
            edges=tuple(_edges(state)),
            groups=tuple(Group(_stage_id(stage), _stage_title(stage)) for stage in state.stages),
            legend=_legend(state),
            status=state.status,
            text=self.table(),
            gap=8 if compact else 14,
        )

    def _node(self, step: StepState, stage: PlannedStage, size: tuple[int, int], at: float | None) -> Node:
        keyword, _, rest = clean(step.plan.text).partition(" ")
        pulling = step.pull is not None and step.status is Status.RUNNING and step.pull.total_bytes > 0
        return Node(
            id=_step_id(step.plan.id),
            kind=_KINDS.get(step.plan.kind, Kind.STEP),
            title=keyword.upper(),
            text=rest,
            detail=step_detail(step, self.state, stable=self.stable, at=at),
            status=step.status,
            # What failed made no layer: its message has the room.
            chips=() if step.status is Status.FAILED else (step_chip(step, base_word(stage, self.state)),),
            tooltip=step_tooltip(step, self.state, stable=self.stable),
            group=_stage_id(stage),
            width=size[0],
            height=size[1],
            progress=step.pull.done_bytes / step.pull.total_bytes if pulling and step.pull is not None else None,
            alert="; ".join(warning.rule for warning in step.warnings),
        )

    def _image(self, size: tuple[int, int]) -> Node:
        state = self.state
        name = ", ".join(dict.fromkeys(state.tags)) or state.name or "image"
        identity = "" if self.stable else state.image_id.removeprefix("sha256:")[:12]
        made = [step.layer for stage in _lineage(state) for step in _steps(state, stage) if step.layer is not None]
        word = {Status.DONE: "image ready", Status.FAILED: "no image", Status.CANCELED: "no image"}
        return Node(
            id="image",
            kind=Kind.IMAGE,
            title=name,
            text=identity,
            detail=word.get(state.status, "the image to be"),
            status=Status.WAITING if state.status is Status.RUNNING else state.status,
            chips=(Chip(human_size(sum(layer.size for layer in made)), plural(len(made), "new layer"), Look.LAYER),)
            if made and state.status is not Status.FAILED
            else (),
            tooltip=f"{build_title(state)}\n{build_totals(state, stable=self.stable)}",
            width=size[0],
            height=size[1],
        )


def _steps(state: BuildState, stage: PlannedStage) -> list[StepState]:
    return [state.steps[plan.id] for plan in stage.steps]


def _step_id(step: str) -> str:
    # A dot in an id would have to be escaped in every CSS selector.
    return "step-" + step.replace(".", "-")


def _stage_id(stage: PlannedStage) -> str:
    return f"stage-{stage.id}"


def _stage_title(stage: PlannedStage) -> str:
    return f"stage {stage.id}" + (f": {stage.name}" if stage.name and stage.name != stage.id else "")


def _columns(stages: tuple[PlannedStage, ...]) -> int:
    """How many stages stand side by side: those that do not build on each other."""
    depth: dict[str, int] = {}
    for stage in stages:
        below = base_stage(stage, stages)
        depth[stage.id] = depth.get(below.id, 0) + 1 if below is not None else 0
    rows = list(depth.values())
    return max((rows.count(row) for row in set(rows)), default=1)


def _lineage(state: BuildState) -> list[PlannedStage]:
    """The stages whose layers are the image's own: the last one, and those it builds on."""
    chain = [state.stages[-1]]
    while (base := base_stage(chain[-1], state.stages)) is not None:
        chain.append(base)
    return chain


def _edges(state: BuildState) -> Iterator[Edge]:
    stages = state.stages
    for stage in stages:
        ids = [_step_id(step.id) for step in stage.steps]
        base = base_stage(stage, stages)
        if base is not None and base.steps and ids:
            yield Edge(_step_id(base.steps[-1].id), ids[0], EdgeKind.BUILDS_ON, f"builds on {_stage_title(base)}")
        yield from (Edge(one, other) for one, other in itertools.pairwise(ids))
        yield from _copies(stage, stages)
    if stages and stages[-1].steps:
        yield Edge(_step_id(stages[-1].steps[-1].id), "image", EdgeKind.MAKES)


def _copies(stage: PlannedStage, stages: tuple[PlannedStage, ...]) -> Iterator[Edge]:
    for step in stage.steps:
        match = _FROM_FLAG.search(step.text)
        source = find_stage(match[1], stages) if match else None
        if source is not None and source is not stage and source.steps:
            yield Edge(
                _step_id(source.steps[-1].id),
                _step_id(step.id),
                EdgeKind.COPIES,
                f"copies files from {_stage_title(source)}",
            )


def _legend(state: BuildState) -> tuple[LegendItem, ...]:
    """All signs that may come up, from the first frame on, so that the picture does not grow under the reader."""
    items = [
        LegendItem(Status.WAITING, "waiting"),
        LegendItem(Status.RUNNING, "running"),
        LegendItem(Status.CACHED, "from cache"),
        LegendItem(Status.DONE, "done"),
        LegendItem(Status.FAILED, "failed"),
        LegendItem(Look.LAYER, "makes a layer"),
        LegendItem(Look.CONFIG, "config only, no layer"),
    ]
    kinds = {edge.kind for edge in _edges(state)}
    if EdgeKind.COPIES in kinds:
        items.append(LegendItem(EdgeKind.COPIES, "copies from a stage"))
    if EdgeKind.BUILDS_ON in kinds:
        items.append(LegendItem(EdgeKind.BUILDS_ON, "builds on a stage"))
    return tuple(items)
