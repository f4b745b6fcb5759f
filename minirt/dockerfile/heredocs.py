"""Heredocs: which words of RUN, COPY and ADD open one, and the lines that belong to it.

A word such as ``<<EOF``, ``<<-EOF`` or ``3<<"EOF"`` opens one; the lines up to ``EOF`` alone are its content, comments
and backslashes included. Any quote in the word keeps the content from being expanded. Source: Dockerfile
reference, "Here-Documents"; which words count is read from BuildKit's ``parser.go``.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from minirt.dockerfile.expansion import Mode, expand
from minirt.dockerfile.forms import Heredoc
from minirt.errors import DockerfileError

__all__ = ["heredocs_of_line", "is_heredoc_word", "read_bodies"]

_OPENING = re.compile(r"(\d*)<<(-?)([^<]*)")
_AS_WRITTEN = Mode(keep_quotes=True, keep_escapes=True, keep_unset=True)
_UNQUOTED = Mode(keep_unset=True)
_QUOTES_KEPT = Mode(keep_quotes=True, keep_unset=True)


def parse_heredoc(word: str) -> Heredoc | None:
    """The heredoc that a word opens, with no content yet."""
    match = _OPENING.fullmatch(word)
    if not match or not match[3]:
        return None
    try:
        names = expand(match[3], {}, mode=_UNQUOTED).words
        raw = expand(match[3], {}, mode=_QUOTES_KEPT).words
    except DockerfileError:
        return None
    if len(names) != 1 or len(raw) != 1:
        return None
    quoted = _count_quotes(raw[0]) != _count_quotes(names[0])
    return Heredoc(names[0], "", expand=not quoted, chomp=bool(match[2]), fd=int(match[1][:9] or 0))


def is_heredoc_word(word: str) -> bool:
    return "<<" in word and parse_heredoc(word) is not None


def heredocs_of_line(text: str) -> tuple[Heredoc, ...]:
    """Those that a whole instruction opens, in order. A line that cannot be read as words opens none."""
    if "<<" not in text:
        return ()
    try:
        words = expand(text, {}, mode=_AS_WRITTEN).words
    except DockerfileError:
        return ()
    found = (parse_heredoc(word) for word in words if "<<" in word)
    return tuple(heredoc for heredoc in found if heredoc is not None)


def read_bodies(
    heredocs: tuple[Heredoc, ...], next_line: Callable[[], str | None]
) -> tuple[tuple[Heredoc, ...], Heredoc | None]:
    """Take the content of each from ``next_line`` (with its newline; None at the end of the file).

    Returns them filled, and the first that the file does not close.
    """
    filled: list[Heredoc] = []
    for heredoc in heredocs:
        lines: list[str] = []
        while (line := next_line()) is not None:
            end = line.rstrip("\r\n")
            if (end.lstrip("\t") if heredoc.chomp else end) == heredoc.name:
                break
            lines.append(line)
        else:
            return tuple(filled), heredoc
        filled.append(Heredoc(heredoc.name, "".join(lines), heredoc.expand, heredoc.chomp, heredoc.fd))
    return tuple(filled), None


def _count_quotes(word: str) -> int:
    return word.count("'") + word.count('"')
