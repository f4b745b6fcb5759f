"""The wildcard patterns of ``${v#p}``, ``${v%p}`` and ``${v/p/r}``: ``*`` and ``?``, with a backslash to escape.

BuildKit turns them into RE2 expressions, which run in linear time. Python's ``re`` backtracks, so a pattern runs
here as a non-deterministic automaton whose set of states is the bits of one integer: one step a character of the
value, whatever the pattern. As in RE2 without flags, neither wildcard matches a newline.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["InvalidPattern", "Pattern"]


class InvalidPattern(ValueError):
    """A backslash before a character that needs none; the message is the whole story."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """``steps`` are the characters to match, None for ``?``; ``loops`` has bit i set for ``*`` before step i."""

    steps: tuple[str | None, ...]
    loops: int

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """Raises :class:`InvalidPattern`."""
        steps: list[str | None] = []
        stars: set[int] = set()
        chars = iter(range(len(text)))
        for i in chars:
            char = text[i]
            if char == "*":
                stars.add(len(steps))
            elif char == "?":
                steps.append(None)
            elif char == "\\":
                following = text[i + 1 : i + 2]
                if following in ("}", "/") and following:
                    continue  # the backslash served ${}, and is not part of the pattern
                if following not in ("*", "?", "\\") or not following:
                    raise InvalidPattern(f"invalid escape '\\{following}'")
                steps.append(following)
                next(chars)
            else:
                steps.append(char)
        return cls(tuple(steps), sum(1 << star for star in stars))

    def reversed(self) -> Pattern:
        """The pattern that matches the mirrored text."""
        bits = f"{self.loops:0{len(self.steps) + 1}b}"
        return Pattern(self.steps[::-1], int(bits[::-1], 2))

    def _masks(self) -> tuple[dict[str, int], int]:
        anything = 0
        literal: dict[str, list[int]] = {}
        for i, step in enumerate(self.steps):
            if step is None:
                anything |= 1 << i
            else:
                literal.setdefault(step, []).append(i)
        masks = {char: anything if char != "\n" else 0 for char in literal}
        for char, places in literal.items():
            for i in places:
                masks[char] |= 1 << i
        return masks, anything

    def match(self, value: str, start: int = 0, *, longest: bool) -> int | None:
        """The end of the match that begins at ``start``, or None."""
        masks, anything = self._masks()
        accept = 1 << len(self.steps)
        states, end = 1, None
        if states & accept:
            end = start
            if not longest:
                return end
        for i in range(start, len(value)):
            char = value[i]
            wild = char != "\n"
            states = ((states & masks.get(char, anything if wild else 0)) << 1) | (states & self.loops if wild else 0)
            if states & accept:
                end = i + 1
                if not longest:
                    return end
            if not states:
                break
        return end

    def starts(self, value: str) -> list[int]:
        """Every index of ``value`` at which a match begins, ascending (its end included, for empty matches)."""
        mirror = self.reversed()
        masks, anything = mirror._masks()
        accept = 1 << len(mirror.steps)
        states = 1
        found = [len(value)] if states & accept else []
        for i in range(len(value) - 1, -1, -1):
            char = value[i]
            wild = char != "\n"
            stay = states & mirror.loops if wild else 0
            states = ((states & masks.get(char, anything if wild else 0)) << 1) | stay | 1
            if states & accept:
                found.append(i)
        return found[::-1]

    def trim_prefix(self, value: str, *, longest: bool) -> str:
        end = self.match(value, longest=longest)
        return value if end is None else value[end:]

    def trim_suffix(self, value: str, *, longest: bool) -> str:
        end = self.reversed().match(value[::-1], longest=longest)
        return value if end is None else value[: len(value) - end]

    def replace(self, value: str, replacement: str, *, everywhere: bool) -> str:
        """Leftmost, longest matches. An empty match right behind another match does not count, as in Go."""
        parts: list[str] = []
        kept = search = 0
        for start in self.starts(value):
            if start < search:
                continue
            end = self.match(value, start, longest=True)
            assert end is not None
            parts.append(value[kept:start])
            if end > kept or start == 0:
                parts.append(replacement)
            kept = end
            search = max(end, start + 1)
            if not everywhere:
                break
        return "".join(parts) + value[kept:]
