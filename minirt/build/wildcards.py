r"""The wildcards of COPY and ADD: Go's ``filepath.Match`` (pkg.go.dev/path/filepath#Match).

``*`` any run of characters but ``/``, ``?`` one of them, ``[a-z]`` and ``[^a-z]`` a class, ``\`` takes the next
character as it is. ``**`` is nothing special here; it is in ``--parents`` and ``--exclude``, which have the rules
of .dockerignore.
"""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["BadPattern", "compile_pattern", "has_wildcards", "split_wildcards"]


class BadPattern(ValueError):
    """A class that is not closed, or a backslash at the end."""


def has_wildcards(text: str) -> bool:
    """Whether ``text`` has a wildcard that no backslash takes away; in a text without any, backslashes are plain."""
    position = 0
    while position < len(text):
        if text[position] == "\\":
            position += 1
        elif text[position] in "*?[":
            return True
        position += 1
    return False


def split_wildcards(path: str) -> tuple[str, str]:
    """The leading directories without wildcards, and the rest of the path, a pattern (may be empty)."""
    parts = [part for part in path.split("/") if part]
    for index, part in enumerate(parts):
        if has_wildcards(part):
            return "/".join(parts[:index]), "/".join(parts[index:])
    return "/".join(parts), ""


@lru_cache(maxsize=256)
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """The pattern as a regular expression for ``fullmatch``. Raises :class:`BadPattern`."""
    out, position = [], 0
    while position < len(pattern):
        char = pattern[position]
        position += 1
        if char == "*":
            # Runs of stars are one star: two greedy ones in a row could take quadratic time.
            while pattern[position : position + 1] == "*":
                position += 1
            out.append("[^/]*")
        elif char == "?":
            out.append("[^/]")
        elif char == "[":
            piece, position = _class(pattern, position)
            out.append(piece)
        elif char == "\\":
            if position == len(pattern):
                raise BadPattern("a backslash at the end")
            out.append(re.escape(pattern[position]))
            position += 1
        else:
            out.append(re.escape(char))
    return re.compile("".join(out), re.DOTALL)


def _class(pattern: str, position: int) -> tuple[str, int]:
    negated = pattern[position : position + 1] == "^"
    position += negated
    ranges: list[str] = []
    while True:
        if ranges and pattern[position : position + 1] == "]":
            break
        low, position = _class_char(pattern, position)
        high = low
        if pattern[position : position + 1] == "-":
            high, position = _class_char(pattern, position + 1)
        if low <= high:
            ranges.append(f"{re.escape(low)}-{re.escape(high)}")
        else:
            ranges.append("")
    body = "".join(ranges)
    if negated:
        return (f"[^/{body}]" if body else "[^/]"), position + 1
    return (f"(?!/)[{body}]" if body else "(?!)"), position + 1


def _class_char(pattern: str, position: int) -> tuple[str, int]:
    char = pattern[position : position + 1]
    if char == "\\":
        position += 1
        char = pattern[position : position + 1]
        if char:
            return char, position + 1
    if char in ("", "-", "]"):
        raise BadPattern("a class [...] that is not closed")
    return char, position + 1
