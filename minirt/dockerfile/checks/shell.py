"""A rough look into RUN's command lines: enough for advice, never for decisions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from minirt.dockerfile.forms import ExecForm
from minirt.dockerfile.instructions import Run

__all__ = ["ShellCommand", "commands"]

_SEPARATOR = re.compile(r"&&|\|\||[;|&\n(){}]")
_WORD = re.compile(r"""[^\s'"]+|'[^']*'|"[^"]*\"""")
_ASSIGNMENT = re.compile(r"\w+=")
_LEADING = ("sudo", "exec", "time", "env", "then", "do", "else", "!")


@dataclass(frozen=True, slots=True)
class ShellCommand:
    """A program and its words; variable assignments before it are dropped. ``flags`` are the words with a dash."""

    program: str
    words: tuple[str, ...]

    @property
    def flags(self) -> tuple[str, ...]:
        return tuple(word for word in self.words if word.startswith("-"))

    @property
    def arguments(self) -> tuple[str, ...]:
        return tuple(word for word in self.words if not word.startswith("-"))

    def runs(self, *words: str) -> bool:
        """Whether the first arguments that are no flags are these."""
        return self.arguments[: len(words)] == words


def commands(run: Run) -> Iterator[ShellCommand]:
    """The simple commands of a RUN, in order."""
    text = " ".join(run.command.words) if isinstance(run.command, ExecForm) else run.script
    for piece in _SEPARATOR.split(text):
        words = [word.strip("'\"") for word in _WORD.findall(piece)]
        first = next((i for i, word in enumerate(words) if word not in _LEADING and not _ASSIGNMENT.match(word)), None)
        if first is not None:
            yield ShellCommand(words[first].rpartition("/")[2], tuple(words[first + 1 :]))
