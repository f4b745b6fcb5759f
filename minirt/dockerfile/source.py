"""Where instructions come from: the text as lines, and the way back from an instruction to its place in them.

Instructions keep no location of their own words; they keep an :class:`Origin`, from which a location is worked
out only when an error, a warning or a tooltip wants one. That keeps parsing cheap and every place exact.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass

from minirt.errors import DockerfileError, Location

__all__ = ["BLANKS", "GO_SPACE", "Origin", "Source", "Span", "printable"]

# What BuildKit splits words at (RE2 class [\t\v\f\r ]), and what Go's unicode.IsSpace calls a space.
BLANKS = "\t\v\f\r "
GO_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007"
    "\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)

Span = tuple[int, int]
"""Start and end of a piece of an instruction's text, in characters from 0, the end not included."""

_WORD = re.compile(r"[^\t\v\f\r ]+")


_UNPRINTABLE = re.compile("[\0\ud800-\udfff]")


def printable(text: str) -> str:
    """The text with a mark, as wide, for each character that cannot be shown: NUL, and bytes that are not UTF-8."""
    return text if text.isascii() and "\0" not in text else _UNPRINTABLE.sub("\ufffd", text)


@dataclass(frozen=True, slots=True, repr=False)
class Source:
    """A Dockerfile's name, as errors show it, and its lines without their newlines."""

    name: str
    lines: tuple[str, ...]

    def location(self, line: int, column: int = 1, length: int = 1) -> Location:
        """``line`` and ``column`` count from 1."""
        text = self.lines[line - 1].rstrip("\r") if 0 < line <= len(self.lines) else ""
        return Location(self.name, max(line, 1), column, max(length, 1), printable(text))

    def whole_line(self, line: int) -> Location:
        """The line without its indentation."""
        text = self.lines[line - 1].rstrip() if 0 < line <= len(self.lines) else ""
        indent = len(text) - len(text.lstrip())
        return self.location(line, indent + 1, len(text) - indent)


@dataclass(frozen=True, slots=True, repr=False)
class Origin:
    """One instruction's text, its continuation lines joined, and where each part of it stands.

    ``pieces`` are ``(offset in text, line from 1, column from 0)``, ascending; ``comments`` are the comment lines
    above, without ``#``; ``last_line`` includes heredocs; ``blank_lines`` are the empty lines inside.
    """

    source: Source
    text: str
    pieces: tuple[tuple[int, int, int], ...]
    last_line: int
    comments: tuple[str, ...] = ()
    blank_lines: tuple[int, ...] = ()

    @property
    def first_line(self) -> int:
        return self.pieces[0][1]

    @property
    def text_end(self) -> int:
        """The last line before heredocs: ``last_line`` where there are none."""
        return max(self.pieces[-1][1], *self.blank_lines, 1)

    @property
    def keyword(self) -> str:
        """The first word as it was typed, such as ``from``."""
        match = _WORD.match(self.text)
        return match.group() if match else ""

    def locate(self, span: Span) -> Location:
        """A span of ``text``; one that crosses lines is cut at the end of its first."""
        start, end = span
        index = max(0, bisect_right(self.pieces, start, key=lambda piece: piece[0]) - 1)
        offset, line, column = self.pieces[index]
        if index + 1 < len(self.pieces):
            end = min(end, self.pieces[index + 1][0])
        return self.source.location(line, column + start - offset + 1, end - start)

    @property
    def location(self) -> Location:
        """The whole instruction, or its first line when it has several."""
        return self.locate((0, len(self.text)))

    def words(self) -> tuple[Span, ...]:
        """The spans between blanks, the keyword first."""
        return tuple(match.span() for match in _WORD.finditer(self.text))

    def find(self, text: str, *, nth: int = 0) -> Location:
        """The ``nth`` place of ``text`` after the keyword; the whole instruction if it is not there as written."""
        start = len(self.keyword)
        for _ in range(nth + 1):
            start = self.text.find(text, start + 1) if text else -1
            if start < 0:
                return self.location
        return self.locate((start, start + len(text)))

    def tail(self, start: int) -> Origin:
        """The part from ``start`` on, as an origin of its own: what ONBUILD holds."""
        pieces = [(offset - start, line, column) for offset, line, column in self.pieces]
        while len(pieces) > 1 and pieces[1][0] <= 0:
            pieces.pop(0)
        offset, line, column = pieces[0]
        pieces[0] = (0, line, column - offset)
        return Origin(self.source, self.text[start:], tuple(pieces), self.last_line, self.comments, self.blank_lines)

    def error(self, what: str, span: Span | None = None, *, cause: str = "", hint: str = "") -> DockerfileError:
        """The error at a span of the text, or at the whole instruction."""
        where = self.location if span is None else self.locate(span)
        return DockerfileError(what, where=where, cause=cause, hint=hint)
