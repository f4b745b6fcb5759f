"""The small values that instructions are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["ArgDeclaration", "Command", "ExecForm", "Heredoc", "InlineFile", "Pair", "ShellForm"]


@dataclass(frozen=True, slots=True)
class ShellForm:
    """A command line that the image's shell runs; ``text`` is everything after the flags."""

    text: str


@dataclass(frozen=True, slots=True)
class ExecForm:
    """A JSON array: the program and its arguments, with no shell."""

    words: tuple[str, ...]


Command: TypeAlias = ShellForm | ExecForm


@dataclass(frozen=True, slots=True)
class Heredoc:
    """``<<NAME`` and the lines up to ``NAME``.

    ``content`` is as written, newlines included; ``expand`` is false when the delimiter was quoted; ``chomp`` is
    ``<<-``: see :attr:`body`. ``fd`` is the number before ``<<``, 0 when there is none.
    """

    name: str
    content: str
    expand: bool = True
    chomp: bool = False
    fd: int = 0

    @property
    def body(self) -> str:
        """The content as a file or a script gets it: without leading tabs if ``<<-``."""
        if not self.chomp:
            return self.content
        return "\n".join(line.lstrip("\t") for line in self.content.split("\n"))


@dataclass(frozen=True, slots=True)
class InlineFile:
    """A heredoc that COPY or ADD writes as a file called ``name``."""

    name: str
    data: str
    expand: bool = True


@dataclass(frozen=True, slots=True)
class Pair:
    """``name=value`` of ENV and LABEL, quotes still in."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class ArgDeclaration:
    """``default`` is None in ``ARG NAME``, and empty in ``ARG NAME=``."""

    name: str
    default: str | None = None
