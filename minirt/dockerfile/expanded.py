"""The result of an expansion, and text that is joined once."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TypeAlias

from minirt.dockerfile.source import GO_SPACE

__all__ = ["Expanded", "Rope", "join"]

_SPACES = re.compile(f"[{re.escape(GO_SPACE)}]")

Rope: TypeAlias = "str | list[Rope]"  # text in parts, so that a deep word is joined once and not at each level


def join(rope: Rope) -> str:
    """Depth first, with a stack of our own."""
    texts: list[str] = []
    todo: list[Rope] = [rope]
    while todo:
        part = todo.pop()
        if isinstance(part, str):
            texts.append(part)
        else:
            todo.extend(reversed(part))
    return "".join(texts)


@dataclass(frozen=True, slots=True)
class Expanded:
    """``used`` and ``undefined`` are the names met, in order, once each; ``words`` splits at unquoted spaces."""

    text: str
    used: tuple[str, ...] = ()
    undefined: tuple[str, ...] = ()
    segments: tuple[tuple[str, bool], ...] = field(default=(), repr=False)

    @property
    def words(self) -> tuple[str, ...]:
        """The words after expansion: what a variable holds is split, what stands in quotes is not."""
        found: list[str] = []
        word: list[str] = []
        for text, splits in self.segments:
            if not splits:
                word.append(text)
                continue
            first, *more = _SPACES.split(text)
            word.append(first)
            for piece in more:
                found.append("".join(word))
                word = [piece]
        found.append("".join(word))
        return tuple(one for one in found if one)
