"""The plan of a build: which stages the target needs, in which order, and what each of their steps is.

Nothing is done here. A plan is a frozen value made from the Dockerfile, the target and the build arguments alone,
so that it can be drawn before anything runs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from minirt.build.scope import Scope, make_scope
from minirt.dockerfile import Add, Copy, Dockerfile, From, Instruction, Run, Stage, Workdir
from minirt.dockerfile.expansion import expand
from minirt.dockerfile.mounts import BindMount, CacheMount, Mount, UnresolvedMount
from minirt.dockerfile.suggest import did_you_mean
from minirt.errors import DockerfileError, Location, MinirtError
from minirt.model.events import PlannedStage, PlannedStep
from minirt.model.platform import Platform

__all__ = ["Kind", "Plan", "SourceRef", "StagePlan", "Step", "make_plan"]

SCRATCH = "scratch"


class Kind(Enum):
    """The value is the word of the events."""

    BASE = "base"
    FILESYSTEM = "filesystem"
    CONFIG = "config"


@dataclass(frozen=True, slots=True)
class SourceRef:
    """Where files come from: a stage by its number, or an image or named build context by its name."""

    stage: int | None = None
    name: str = ""
    where: Location | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction. ``sources`` are keyed by the text of ``--from`` or ``from=``."""

    id: str
    instruction: Instruction
    kind: Kind
    sources: Mapping[str, SourceRef] = field(default_factory=dict)
    trigger: bool = False

    @property
    def text(self) -> str:
        prefix = "ONBUILD " if self.trigger else ""
        return prefix + self.instruction.original


@dataclass(frozen=True, slots=True)
class StagePlan:
    """``base`` is where it starts; None for scratch. ``steps`` leave out the FROM, which is ``base_step``."""

    index: int
    name: str
    base: SourceRef | None
    base_name: str
    base_step: Step
    steps: tuple[Step, ...]
    platform: Platform | None = None

    @property
    def id(self) -> str:
        return str(self.index)

    @property
    def needs(self) -> tuple[int, ...]:
        """Numbers of the stages that must be done before a step of this one."""
        found = [self.base.stage] if self.base and self.base.stage is not None else []
        found += [ref.stage for step in self.steps for ref in step.sources.values() if ref.stage is not None]
        return tuple(dict.fromkeys(found))

    @property
    def images(self) -> tuple[SourceRef, ...]:
        """Images (or named contexts) it copies or mounts from."""
        found = {ref.name: ref for step in self.steps for ref in step.sources.values() if ref.stage is None}
        return tuple(found.values())

    def event(self) -> PlannedStage:
        steps = (self.base_step, *self.steps)
        planned = tuple(PlannedStep(s.id, s.text, s.kind.value, s.instruction.location.line) for s in steps)
        return PlannedStage(self.id, self.name, self.base_name, planned, tuple(str(one) for one in self.needs))


@dataclass(frozen=True, slots=True)
class Plan:
    """``stages`` are the needed ones, in the order of the file; the last one is the target."""

    dockerfile: Dockerfile
    stages: tuple[StagePlan, ...]
    scope: Scope
    platform: Platform

    @property
    def target(self) -> StagePlan:
        return self.stages[-1]

    def stage(self, index: int) -> StagePlan:
        return next(stage for stage in self.stages if stage.index == index)

    def events(self) -> tuple[PlannedStage, ...]:
        return tuple(stage.event() for stage in self.stages)


def make_plan(
    dockerfile: Dockerfile,
    target: str = "",
    build_args: Mapping[str, str | None] | None = None,
    platform: Platform | None = None,
) -> Plan:
    """Raises :class:`DockerfileError`: no such target, a source that is no stage, a cycle, a bad FROM."""
    chosen = platform or Platform.host()
    last = _find_target(dockerfile, target)
    scope = make_scope(dockerfile, build_args or {}, chosen, target or last.name)
    planner = _Planner(dockerfile, scope, chosen)
    needed: dict[int, StagePlan] = {}
    todo = [last.index]
    while todo:
        index = todo.pop()
        if index not in needed:
            needed[index] = planner.stage(dockerfile.stages[index])
            todo.extend(needed[index].needs)
    return Plan(dockerfile, tuple(needed[index] for index in sorted(needed)), scope, chosen)


def _find_target(dockerfile: Dockerfile, target: str) -> Stage:
    if not target:
        return dockerfile.stages[-1]
    found = dockerfile.find_stage(target)
    if found is None:
        names = [stage.name for stage in dockerfile.stages if stage.name]
        raise DockerfileError(
            f'target stage "{target}" could not be found',
            where=dockerfile.stages[-1].base.location,
            hint=did_you_mean(target, names)
            or (f"The stages are: {', '.join(names)}." if names else "No stage has a name yet: write FROM … AS name."),
        )
    return found


class _Planner:
    def __init__(self, dockerfile: Dockerfile, scope: Scope, platform: Platform) -> None:
        self.dockerfile = dockerfile
        self.scope = scope
        self.platform = platform

    def stage(self, stage: Stage) -> StagePlan:
        base_name = self._expanded(stage.base.base, stage.base)
        platform = self._platform(stage.base)
        steps = tuple(
            self.step(stage, f"{stage.index}.{number}", one) for number, one in enumerate(stage.instructions, start=1)
        )
        return StagePlan(
            stage.index,
            stage.name,
            self._base(stage, base_name),
            base_name,
            Step(f"{stage.index}.0", stage.base, Kind.BASE),
            steps,
            platform,
        )

    def step(self, stage: Stage, step_id: str, one: Instruction, *, trigger: bool = False) -> Step:
        return Step(step_id, one, _kind(one), self._sources(stage, one), trigger)

    def _base(self, stage: Stage, name: str) -> SourceRef | None:
        if name == SCRATCH:
            return None
        # FROM takes names only, and only in lower case: "FROM 0" and "FROM Stage" are images, as in BuildKit.
        found = self.dockerfile.find_stage(name, before=stage.index) if name == name.lower() else None
        return SourceRef(None if found is None else found.index, name, stage.base.locate_base())

    def _expanded(self, word: str, base: From) -> str:
        expanded = expand(word, self.scope.outer, escape=self.dockerfile.escape, where=base.locate_base())
        if not expanded.text:
            names = ", ".join(expanded.undefined)
            raise DockerfileError(
                f"base name ({word}) should not be blank",
                where=base.locate_base(),
                cause=f"{names} has no value here" if names else "",
                hint="Only an ARG before the first FROM is seen in a FROM line; give it a default or use --build-arg.",
            )
        return expanded.text

    def _platform(self, base: From) -> Platform | None:
        if not base.platform:
            return None
        text = expand(base.platform, self.scope.outer, escape=self.dockerfile.escape, where=base.location).text
        if not text:
            raise DockerfileError(f"empty platform value from expression {base.platform}", where=base.location)
        try:
            return Platform.parse(text)
        except MinirtError as error:
            raise DockerfileError(error.what, where=base.location, cause=error.cause, hint=error.hint) from error

    def _sources(self, stage: Stage, one: Instruction) -> dict[str, SourceRef]:
        if isinstance(one, Copy) and one.from_:
            return {one.from_: self._source(stage, one.from_, one.locate_from())}
        if isinstance(one, Run):
            names = [name for name in map(_mount_source, one.mounts) if name]
            return {name: self._source(stage, name, one.origin.find(name)) for name in names}
        return {}

    def _source(self, stage: Stage, name: str, where: Location) -> SourceRef:
        if "$" in name:
            raise DockerfileError(
                "variable expansion is not supported for --from",
                where=where,
                hint="Define a stage with FROM and an ARG of the global scope, and name that stage here.",
            )
        if name.isascii() and name.isdigit():
            return self._numbered(stage, int(name[:9]), where)
        found = self.dockerfile.find_stage(name)
        if found is not None and found.index >= stage.index:
            earlier = self.dockerfile.find_stage(name, before=stage.index)
            if earlier is None:
                raise self._too_late(stage, name, found, where)
            found = earlier
        return SourceRef(None if found is None else found.index, name, where)

    def _numbered(self, stage: Stage, number: int, where: Location) -> SourceRef:
        if number >= len(self.dockerfile.stages):
            raise DockerfileError(
                f"invalid stage index {number}",
                where=where,
                hint=f"Stages are counted from 0; this is stage {stage.index}.",
            )
        if number >= stage.index:
            raise self._too_late(stage, str(number), self.dockerfile.stages[number], where)
        return SourceRef(number, str(number), where)

    @staticmethod
    def _too_late(stage: Stage, name: str, found: Stage, where: Location) -> DockerfileError:
        if found.index == stage.index:
            return DockerfileError(
                f"circular dependency detected on stage: {name}",
                where=where,
                cause="the stage copies from itself",
                hint="Copy from an earlier stage, or with RUN cp inside this one.",
            )
        return DockerfileError(
            f'cannot copy from stage "{name}", it needs to be defined before current stage '
            f'"{stage.name or stage.index}"',
            where=where,
            hint="Move that stage further up in the Dockerfile.",
        )


def _mount_source(mount: Mount) -> str:
    if isinstance(mount, UnresolvedMount):
        found = re.search(r"(?:^|,)from=([^,]+)", mount.text, re.IGNORECASE)
        return found[1] if found else ""
    return mount.from_ if isinstance(mount, BindMount | CacheMount) else ""


def _kind(one: Instruction) -> Kind:
    if isinstance(one, Run | Copy | Add):
        return Kind.FILESYSTEM
    if isinstance(one, Workdir) and one.path.strip("\"'") != "/":
        return Kind.FILESYSTEM
    return Kind.CONFIG


def with_triggers(plan: Plan, index: int, triggers: tuple[Instruction, ...]) -> Plan:
    """The plan in which stage ``index`` runs its base's ONBUILD triggers first; its steps are numbered anew."""
    planner = _Planner(plan.dockerfile, plan.scope, plan.platform)
    stage = plan.dockerfile.stages[index]
    old = plan.stage(index)
    steps = [
        planner.step(stage, f"{index}.{number}", one, trigger=number <= len(triggers))
        for number, one in enumerate((*triggers, *(step.instruction for step in old.steps)), start=1)
    ]
    new = StagePlan(old.index, old.name, old.base, old.base_name, old.base_step, tuple(steps), old.platform)
    stages = {one.index: one for one in plan.stages} | {index: new}
    todo = list(new.needs)
    while todo:
        needed = todo.pop()
        if needed not in stages:
            stages[needed] = planner.stage(plan.dockerfile.stages[needed])
            todo.extend(stages[needed].needs)
    return Plan(plan.dockerfile, tuple(stages[number] for number in sorted(stages)), plan.scope, plan.platform)
