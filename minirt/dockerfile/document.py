"""A whole Dockerfile: its directives, its stages, and what is worth saying about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from minirt.dockerfile.instructions import Arg, From, Instruction
from minirt.dockerfile.source import Source
from minirt.errors import Location

__all__ = ["Directive", "Dockerfile", "Notice", "Stage"]


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that the parser itself has to say and that does not stop the build; advice is for the checks."""

    name: str
    message: str
    location: Location


@dataclass(frozen=True, slots=True)
class Directive:
    """``# name=value`` at the top of the file."""

    name: str
    value: str
    location: Location


@dataclass(frozen=True, slots=True)
class Stage:
    """A FROM and what follows it. ``index`` counts from 0; a stage without AS has an empty name."""

    index: int
    base: From
    instructions: tuple[Instruction, ...] = ()

    @property
    def name(self) -> str:
        return self.base.name


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """The whole file. ``directives`` are by name: escape, syntax, check. ``escape`` is a backslash or a backquote."""

    source: Source
    stages: tuple[Stage, ...]
    meta_args: tuple[Arg, ...] = ()
    directives: Mapping[str, Directive] = field(default_factory=dict)
    escape: str = "\\"
    warnings: tuple[Notice, ...] = ()

    def find_stage(self, name: str, *, before: int | None = None) -> Stage | None:
        """A stage by name in any case, among the first ``before``; the last one of that name wins."""
        return next((one for one in reversed(self.stages[:before]) if one.name == name.lower() != ""), None)

    def instructions(self) -> tuple[Instruction, ...]:
        """Every instruction in the order of the file."""
        within = (one for stage in self.stages for one in (stage.base, *stage.instructions))
        return (*self.meta_args, *within)
