"""A Dockerfile cut into its instructions, as text."""

from __future__ import annotations

from minirt.dockerfile.instructions import From
from minirt.dockerfile.parser import parse

__all__ = ["instruction_texts"]


def instruction_texts(text: str, source: str = "Dockerfile") -> tuple[str, ...]:
    """The lines of each instruction with the comments above it; all up to the first FROM is one text.

    Blank lines between instructions are left out; nothing else is. Raises :class:`DockerfileError`.
    """
    lines = text.split("\n")
    found: list[str] = []
    start, begun = 0, False
    instructions = parse(text, source).instructions()
    for instruction in instructions:
        begun = begun or isinstance(instruction, From)
        if not begun:
            continue  # directives, comments and ARGs go with the FROM they stand before
        end = instruction.origin.last_line if instruction is not instructions[-1] else len(lines)
        found.append("\n".join(lines[start:end]).strip("\n"))
        start = end
    return tuple(found)
