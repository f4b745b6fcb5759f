"""Cuts a Go template into texts and actions, and actions into words."""

from __future__ import annotations

import re
from dataclasses import dataclass

from minirt.errors import InvalidInput, Location

__all__ = ["Token", "pieces", "syntax_error"]

_ACTION = re.compile(r"\{\{(?:-(?=\s))?((?:\"(?:\\.|[^\"\\])*\"|`[^`]*`|(?!\}\}).)*?)(?:(?<=\s)-)?\}\}", re.DOTALL)
_WORD = re.compile(
    r"""\s*(?:
        (?P<string>"(?:\\.|[^"\\])*" | `[^`]*`)
      | (?P<number>-?\d+(?:\.\d+)?)
      | (?P<field>(?:\.[^\W\d]\w*)+)
      | (?P<dot>\.)
      | (?P<variable>\$\w*)
      | (?P<word>[^\W\d]\w*)
      | (?P<mark>:=|[=|(),])
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Token:
    """One word of an action. ``glued``: no white space before it, so a field belongs to what stands before."""

    kind: str
    text: str
    at: int
    glued: bool


def syntax_error(message: str, source: str, at: int) -> InvalidInput:
    """A template's error, with the place in the template. ``at`` is an offset."""
    line = source.count("\n", 0, at) + 1
    start = source.rfind("\n", 0, at) + 1
    text = source[start:].split("\n", 1)[0]
    error = InvalidInput(
        f"template parsing error: template: :{line}: {message}",
        where=Location("--format", line, at - start + 1, 1, text),
    )
    error.exit_code = 1
    return error


def pieces(source: str) -> list[str | list[Token]]:
    """Texts and actions in turn; an action is its tokens."""
    found: list[str | list[Token]] = []
    position, trim = 0, False
    while True:
        opening = source.find("{{", position)
        text = source[position : opening if opening >= 0 else len(source)]
        if trim:
            text = text.lstrip()
        if opening < 0:
            found.append(text)
            return found
        match = _ACTION.match(source, opening)
        if match is None:
            raise syntax_error("unclosed action", source, opening)
        raw = match.group(0)
        if re.match(r"\{\{-\s", raw):
            text = text.rstrip()
        found.append(text)
        trim = re.search(r"\s-\}\}$", raw) is not None
        if not re.fullmatch(r"\s*/\*.*\*/\s*", match.group(1), re.DOTALL):
            found.append(_tokens(source, match.start(1), match.end(1)))
        position = match.end()


def _tokens(source: str, start: int, end: int) -> list[Token]:
    tokens = []
    while source[start:end].strip():
        match = _WORD.match(source, start, end)
        if match is None or match.lastgroup is None:
            at = start + len(source[start:end]) - len(source[start:end].lstrip())
            raise syntax_error(f"unexpected {source[at]!r} in command", source, at)
        at = match.start(match.lastgroup)
        tokens.append(Token(match.lastgroup, match.group(match.lastgroup), at, at == start))
        start = match.end()
    if not tokens:
        raise syntax_error("missing value for command", source, end)
    return tokens
