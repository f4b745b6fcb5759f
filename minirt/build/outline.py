"""What a Dockerfile offers, without building: ``docker build --call=outline`` and ``--call=targets``.

Documents have the fields of BuildKit's (frontend/subrequests/outline, targets).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from minirt.build.plan import Plan, make_plan
from minirt.build.request import BuildRequest
from minirt.dockerfile import Arg, Dockerfile, Run, SecretMount, SshMount, Stage, parse
from minirt.dockerfile.expansion import expand
from minirt.dockerfile.source import Origin

__all__ = ["Entry", "Outline", "Target", "outline_of", "targets_of"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A build argument, a secret or an agent: ``value`` is None for none, ``line`` counts from 1."""

    name: str
    line: int
    description: str = ""
    value: str | None = None
    required: bool = False

    def to_json(self) -> dict[str, Any]:
        fields = {"name": self.name, "description": self.description, "value": self.value, "required": self.required}
        return {**{name: value for name, value in fields.items() if value}, "location": location(self.line)}


@dataclass(frozen=True, slots=True)
class Outline:
    """What can be given to a build of the target."""

    name: str
    description: str
    arguments: tuple[Entry, ...]
    secrets: tuple[Entry, ...]
    agents: tuple[Entry, ...]

    def to_json(self) -> dict[str, Any]:
        lists = {"args": self.arguments, "secrets": self.secrets, "ssh": self.agents}
        found: dict[str, Any] = {"name": self.name, "description": self.description}
        found |= {name: [entry.to_json() for entry in entries] for name, entries in lists.items()}
        return {name: value for name, value in found.items() if value}


@dataclass(frozen=True, slots=True)
class Target:
    """A stage that may be built."""

    name: str
    description: str
    base: str
    line: int
    default: bool

    def to_json(self) -> dict[str, Any]:
        fields = {"name": self.name, "default": self.default, "description": self.description, "base": self.base}
        return {**{name: value for name, value in fields.items() if value}, "location": location(self.line)}


def targets_of(request: BuildRequest) -> tuple[Target, ...]:
    """Every stage. Raises :class:`DockerfileError`."""
    dockerfile = parse(request.dockerfile, request.source)
    last = len(dockerfile.stages) - 1
    return tuple(
        Target(
            stage.name, _described(stage.base.origin, stage.name), stage.base.base,
            stage.base.location.line, stage.index == last,
        )
        for stage in dockerfile.stages
    )  # fmt: skip


def outline_of(request: BuildRequest) -> Outline:
    """What the stages of the target take. Raises :class:`DockerfileError`."""
    dockerfile = parse(request.dockerfile, request.source)
    plan = make_plan(dockerfile, request.target, request.build_args, request.platform)
    stages = [dockerfile.stages[stage.index] for stage in plan.stages]
    runs = [one for stage in stages for one in stage.instructions if isinstance(one, Run)]
    target = dockerfile.stages[plan.target.index]
    return Outline(
        target.name,
        _described(target.base.origin, target.name),
        _last(_arguments(plan, dockerfile, stages)),
        _unique(
            Entry(mount.id, one.location.line, required=mount.required)
            for one in runs
            for mount in one.mounts
            if isinstance(mount, SecretMount)
        ),
        _unique(
            Entry(mount.id, one.location.line, required=mount.required)
            for one in runs
            for mount in one.mounts
            if isinstance(mount, SshMount)
        ),
    )


def _arguments(plan: Plan, dockerfile: Dockerfile, stages: list[Stage]) -> Iterator[Entry]:
    """Those before the first FROM that a FROM uses, then those of the stages.

    An ARG of a stage without a value takes the value, the place and the description of the one before the first FROM.
    """
    words = " ".join(f"{stage.base.base} {stage.base.platform}" for stage in stages)
    before = {}
    for instruction in dockerfile.meta_args:
        for one in instruction.args:
            before[one.name] = _entry(instruction, one.name, plan.scope.outer.get(one.name))
            if f"${one.name}" in words or f"${{{one.name}" in words:
                yield before[one.name]
    for stage in stages:
        seen: dict[str, str] = {}
        for each in stage.instructions:
            if isinstance(each, Arg):
                for one in each.args:
                    default = None if one.default is None else _expanded(one.default, seen, dockerfile)
                    value = plan.scope.given.get(one.name, default)
                    value = plan.scope.outer.get(one.name) if value is None else value
                    seen[one.name] = value or ""
                    taken = before.get(one.name) if one.default is None else None
                    yield replace(taken, value=value) if taken else _entry(each, one.name, value)


def _expanded(text: str, seen: Mapping[str, str], dockerfile: Dockerfile) -> str:
    return expand(text, seen, escape=dockerfile.escape).text


def _entry(instruction: Arg, name: str, value: str | None) -> Entry:
    return Entry(name, instruction.location.line, _described(instruction.origin, name), value)


def _unique(entries: Iterator[Entry]) -> tuple[Entry, ...]:
    found: dict[str, Entry] = {}
    for entry in entries:
        found.setdefault(entry.name, entry)
    return tuple(found.values())


def _last(entries: Iterator[Entry]) -> tuple[Entry, ...]:
    """Of each name the last, in the order of the file."""
    return tuple(sorted({entry.name: entry for entry in entries}.values(), key=lambda entry: entry.line))


def _described(origin: Origin, name: str) -> str:
    """``# NAME what it is``, the first such comment above."""
    parts = (comment.strip().partition(" ") for comment in origin.comments)
    return next((rest.strip() for first, _, rest in parts if name and first == name), "")


def location(line: int) -> dict[str, Any]:
    """A place as BuildKit writes it."""
    return {"ranges": [{"start": {"line": line}, "end": {"line": line}}]}
