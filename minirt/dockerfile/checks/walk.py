"""What the checks look at, and the way through it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field

from minirt.dockerfile.document import Dockerfile
from minirt.dockerfile.ignore import Ignore
from minirt.dockerfile.instructions import Instruction
from minirt.model.platform import Platform

__all__ = ["Subject", "step_of", "steps"]


@dataclass(frozen=True, slots=True)
class Subject:
    """A Dockerfile and what is known around it; what is not given is not checked against.

    ``base_environments`` and ``base_platforms`` are by a stage's index, for stages on images from outside, and
    ``base_shells`` are those of them whose image has a SHELL of its own;
    ``contexts`` are names of build contexts;
    ``target`` is the platform that is built for; ``ignore`` is the context's ``.dockerignore``.
    """

    dockerfile: Dockerfile
    ignore: Ignore | None = None
    build_args: Mapping[str, str] = field(default_factory=dict)
    target: Platform = field(default_factory=Platform.host)
    base_environments: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    base_platforms: Mapping[int, Platform] = field(default_factory=dict)
    base_shells: Set[int] = frozenset()
    contexts: Set[str] = frozenset()


def step_of(stage: int, index: int) -> str:
    """The id of a step as the build's events have it; index 0 is the FROM."""
    return f"{stage}.{index}"


def steps(dockerfile: Dockerfile) -> Iterator[tuple[str, Instruction]]:
    """Every instruction inside a stage, its FROM first, with its step's id."""
    for stage in dockerfile.stages:
        for index, instruction in enumerate((stage.base, *stage.instructions)):
            yield step_of(stage.index, index), instruction
