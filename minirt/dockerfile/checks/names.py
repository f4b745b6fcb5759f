"""Checks of names and of upper and lower case."""

from __future__ import annotations

from collections.abc import Iterator

from minirt.dockerfile.checks.findings import Finding
from minirt.dockerfile.checks.walk import Subject, step_of, steps
from minirt.dockerfile.instructions import From
from minirt.errors import Location

__all__ = ["check_names"]

_RESERVED = ("context", "scratch")


def check_names(subject: Subject) -> Iterator[Finding]:
    yield from _instruction_casing(subject)
    seen: set[str] = set()
    for stage in subject.dockerfile.stages:
        base = stage.base
        step = step_of(stage.index, 0)
        if base.name_as_written != base.name:
            better = _with_last_word(base, base.name)
            message = f"Stage name '{base.name_as_written}' should be lowercase"
            yield Finding("StageNameCasing", message, base.locate_name(), step, better)
        yield from _as_casing(base, step)
        if base.name in _RESERVED:
            message = f'Stage name should not use the same name as reserved stage "{base.name}"'
            yield Finding("ReservedStageName", message, base.locate_name(), step)
        if base.name and base.name in seen:
            message = f'Duplicate stage name "{base.name}", stage names should be unique'
            yield Finding("DuplicateStageName", message, base.locate_name(), step)
        seen.add(base.name)


def _with_last_word(base: From, word: str) -> str:
    begin, _ = base.origin.words()[-1]
    return base.original[:begin] + word


def _as_casing(base: From, step: str) -> Iterator[Finding]:
    if not base.name:
        return
    span = base.origin.words()[-2]
    written, keyword = base.original[slice(*span)], base.origin.keyword
    # BuildKit: a FROM of mixed case goes with everything.
    if (keyword.isupper() and not written.isupper()) or (keyword.islower() and not written.islower()):
        other = "as" if keyword.lower() == keyword else "AS"
        better = base.original[: span[0]] + other + base.original[span[1] :]
        message = f"'{written}' and '{keyword}' keywords' casing do not match"
        yield Finding("FromAsCasing", message, base.origin.locate(span), step, better)


def _instruction_casing(subject: Subject) -> Iterator[Finding]:
    """The majority decides; a word such as ``Run`` belongs to neither side. Upper case wins a draw."""
    written = [(step, one, one.origin.keyword) for step, one in steps(subject.dockerfile)]
    lower = sum(word == word.lower() for _, _, word in written)
    upper = sum(word == word.upper() for _, _, word in written)
    casing, wanted = ("lowercase", str.lower) if lower > upper else ("uppercase", str.upper)
    for step, one, word in written:
        if word != wanted(word):
            where: Location = one.origin.locate((0, len(word)))
            message = f"Command '{word}' should match the case of the command majority ({casing})"
            better = wanted(word) + one.original[len(word) :]
            yield Finding("ConsistentInstructionCasing", message, where, step, better)
