"""Reads options the way docker's parser does (spf13/pflag): ``--name v``, ``--name=v``, ``-abc``, ``--rm=false``.

Options may stand between arguments, except in commands whose arguments are a command line of their own: there
everything after the first argument belongs to it. ``--`` ends the options.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from minirt.errors import UsageError

__all__ = ["FlagShape", "did_you_mean", "split"]


@dataclass(frozen=True, slots=True)
class FlagShape:
    """All the parser has to know of an option: its long name, its letter, whether it takes a value."""

    long: str
    short: str = ""
    takes_value: bool = True


def split(
    arguments: Sequence[str], shapes: Sequence[FlagShape], *, interspersed: bool = True
) -> tuple[list[tuple[str, str]], list[str]]:
    """(long name, value) pairs in order, and the arguments. A switch's value is ``"true"`` when none is given.

    Raises :class:`UsageError` in docker's words.
    """
    parser = _Parser({shape.long: shape for shape in shapes}, {shape.short: shape for shape in shapes if shape.short})
    rest: list[str] = []
    queue = iter(arguments)
    for word in queue:
        if word == "--":
            rest += queue
        elif word.startswith("--"):
            parser.long(word, queue)
        elif word.startswith("-") and word != "-":
            parser.letters(word, queue)
        else:
            rest.append(word)
            if not interspersed:
                rest += queue
    return parser.found, rest


def did_you_mean(word: str, known: Sequence[str], prefix: str = "") -> str:
    """A sentence with the nearest of ``known``, or nothing."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    starts = [name for name in known if len(word) > 1 and name.startswith(word)]
    choice = starts[:1] or near
    return f"Did you mean {prefix}{choice[0]}?" if choice else ""


class _Parser:
    def __init__(self, long: Mapping[str, FlagShape], short: Mapping[str, FlagShape]) -> None:
        self.by_name = long
        self.by_letter = short
        self.found: list[tuple[str, str]] = []

    def long(self, word: str, queue: Iterator[str]) -> None:
        name, equals, value = word[2:].partition("=")
        if not name:
            raise UsageError(f"bad flag syntax: {word}")
        shape = self.by_name.get(name)
        if shape is None:
            raise UsageError(f"unknown flag: --{name}", hint=did_you_mean(name, list(self.by_name), "--"))
        if not equals:
            value = self._next(queue, f"--{name}") if shape.takes_value else "true"
        self.found.append((shape.long, value))

    def letters(self, word: str, queue: Iterator[str]) -> None:
        rest = word[1:]
        while rest:
            letter, rest = rest[0], rest[1:]
            shape = self.by_letter.get(letter)
            if shape is None:
                # -rm is what people type for --rm.
                hint = f"Did you mean -{word}?" if word[1:] in self.by_name else ""
                raise UsageError(f"unknown shorthand flag: '{letter}' in {word}", hint=hint)
            if rest.startswith("="):
                value, rest = rest[1:], ""
            elif not shape.takes_value:
                value = "true"
            elif rest:
                value, rest = rest, ""
            else:
                value = self._next(queue, f"'{letter}' in {word}")
            self.found.append((shape.long, value))

    def _next(self, queue: Iterator[str], name: str) -> str:
        value = next(queue, None)
        if value is None:
            raise UsageError(f"flag needs an argument: {name}")
        return value
