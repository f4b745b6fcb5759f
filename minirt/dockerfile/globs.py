"""Path patterns of ``.dockerignore`` and ``--exclude``: ``*``, ``?``, ``[a-z]`` and ``**``.

``*`` and ``?`` stop at a slash. ``**/`` is any number of directories, none included; ``**`` at the end is
everything. A backslash escapes. Source: moby/patternmatcher, and Go's ``filepath.Match`` for what is malformed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

__all__ = ["BadPattern", "matcher"]

# More of these than this and an automaton runs instead of a regular expression, which could backtrack for ever.
_DEEP_LIMIT = 2


class BadPattern(ValueError):
    """A bracket is not closed, a range is not one, or a backslash ends the pattern."""


@dataclass(frozen=True, slots=True)
class _Token:
    """``kind`` is one of char, star, any (``?``), dirs (``**/``), rest (``**`` at the end)."""

    kind: str
    regex: str = ""


@lru_cache(maxsize=1024)
def matcher(pattern: str) -> Callable[[str], bool]:
    """A function that says whether a path, with slashes and no leading one, matches. Raises :class:`BadPattern`."""
    tokens = _tokens(pattern)
    if all(token.kind == "char" and len(token.regex) == 1 for token in tokens):
        return "".join(token.regex for token in tokens).__eq__
    if sum(token.kind == "dirs" for token in tokens) > _DEEP_LIMIT:
        return _Automaton(tokens).match
    compiled = re.compile(_regex(tokens), re.DOTALL)
    return lambda path: compiled.fullmatch(path) is not None


def _tokens(pattern: str) -> tuple[_Token, ...]:
    tokens: list[_Token] = []
    position = 0
    while position < len(pattern):
        char = pattern[position]
        position += 1
        if char == "*" and pattern.startswith("*", position):
            position += 1
            position += pattern.startswith("/", position)
            tokens.append(_Token("rest" if position >= len(pattern) else "dirs"))
        elif char == "*":
            tokens.append(_Token("star"))
        elif char == "?":
            tokens.append(_Token("any"))
        elif char == "[":
            regex, position = _character_class(pattern, position)
            tokens.append(_Token("char", regex))
        elif char == "\\":
            if position >= len(pattern):
                raise BadPattern("a backslash at the end escapes nothing")
            tokens.append(_Token("char", re.escape(pattern[position])))
            position += 1
        else:
            tokens.append(_Token("char", re.escape(char)))
    return tuple(tokens)


def _character_class(pattern: str, position: int) -> tuple[str, int]:
    """Read after ``[``; the closing bracket is included in what is read."""
    begin = position
    negated = pattern.startswith("^", position)
    position += negated
    parts: list[str] = []
    while not (pattern.startswith("]", position) and parts):
        low, position = _class_character(pattern, position)
        high = low
        if pattern.startswith("-", position):
            high, position = _class_character(pattern, position + 1)
        if high < low:
            raise BadPattern(f"the range {low}-{high} is the wrong way round")
        parts.append(re.escape(low) if low == high else f"{re.escape(low)}-{re.escape(high)}")
        if position >= len(pattern):
            raise BadPattern(f"the bracket of [{pattern[begin:]} is not closed")
    return f"[{'^' * negated}{''.join(parts)}]", position + 1


def _class_character(pattern: str, position: int) -> tuple[str, int]:
    if position < len(pattern) and pattern[position] == "\\":
        position += 1
    elif position >= len(pattern) or pattern[position] in "-]":
        raise BadPattern("a bracket is empty, or not closed")
    if position >= len(pattern):
        raise BadPattern("a bracket is not closed")
    return pattern[position], position + 1


def _regex(tokens: tuple[_Token, ...]) -> str:
    """Two stars of one component never need to be tried together: the first can take its earliest place for good."""
    parts: list[str] = []
    star: int | None = None
    for token in tokens:
        if token.kind == "star":
            if star is not None:
                parts[star] = "(?>[^/]*?"
                parts.append(")")
            star = len(parts)
            parts.append("[^/]*")
        elif token.kind == "any":
            parts.append("[^/]")
        elif token.kind == "dirs":
            parts.append("(?:.*/)?")
            star = None
        elif token.kind == "rest":
            parts.append(".*")
        else:
            if token.regex == "/" or token.regex.startswith("["):
                star = None
            parts.append(token.regex)
    return "".join(parts)


class _Automaton:
    """States are ``(token index, inside)``; ``inside`` is true after ``**/`` has taken a character."""

    def __init__(self, tokens: tuple[_Token, ...]):
        self._tokens = tokens
        self._tests = [re.compile(token.regex, re.DOTALL) if token.regex else None for token in tokens]

    def match(self, path: str) -> bool:
        states = self._closure({(0, False)})
        for char in path:
            states = self._closure({after for state in states for after in self._step(state, char)})
            if not states:
                return False
        return (len(self._tokens), False) in states

    def _closure(self, states: set[tuple[int, bool]]) -> set[tuple[int, bool]]:
        todo = list(states)
        while todo:
            index, inside = todo.pop()
            if index < len(self._tokens) and not inside and self._tokens[index].kind in ("star", "dirs", "rest"):
                after = (index + 1, False)
                if after not in states:
                    states.add(after)
                    todo.append(after)
        return states

    def _step(self, state: tuple[int, bool], char: str) -> list[tuple[int, bool]]:
        index, _ = state
        if index >= len(self._tokens):
            return []
        kind = self._tokens[index].kind
        if kind == "dirs":
            return [(index, True), (index + 1, False)] if char == "/" else [(index, True)]
        if kind == "rest":
            return [state]
        if kind == "star":
            return [state] if char != "/" else []
        if kind == "any":
            return [(index + 1, False)] if char != "/" else []
        test = self._tests[index]
        return [(index + 1, False)] if test is not None and test.fullmatch(char) else []
