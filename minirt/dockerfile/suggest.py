"""Did you mean: the nearest of the known words, by a rule that is kind to typing slips, and by BuildKit's."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

__all__ = ["Misspellings", "did_you_mean", "nearest"]

_MOST_SLIPS, _MOST_CANDIDATES = 8, 256
_FAR = 3  # edits that are too many for BuildKit


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that is fewest typing slips away, at most a third of its length; empty if none is near."""
    word = word.lower()
    if not 1 < len(word) <= 32:
        return ""
    alike = islice((one for one in known if abs(len(one) - len(word)) <= _MOST_SLIPS), _MOST_CANDIDATES)
    ranked = sorted((_slips(word, one.lower()), one) for one in alike)
    if ranked and ranked[0][0] <= max(1, (len(ranked[0][1]) + 1) // 3):
        return ranked[0][1]
    return ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint, or nothing."""
    found = nearest(word, known)
    return f"did you mean {found}?" if found else ""


def _slips(a: str, b: str) -> int:
    """Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment)."""
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, x in enumerate(a):
        older, before, row = before, row, [i + 1]
        for j, y in enumerate(b):
            cost = min(before[j + 1] + 1, row[j] + 1, before[j] + (x != y))
            if i and j and x == b[j - 1] and a[i - 1] == y:
                cost = min(cost, older[j - 1] + 1)
            row.append(cost)
    return row[-1]


class Misspellings:
    """BuildKit's suggestions: fewer than three edits away, in the same case; of equals the first.

    One object serves a whole check and spends at most ``effort`` characters on comparisons, so that thousands of
    undefined names beside thousands of known ones take no longer than reading them; names after that get no suggestion.
    Source: moby/buildkit, util/suggest/error.go.
    """

    def __init__(self, effort: int = 1_000_000) -> None:
        self._effort = effort

    def nearest(self, word: str, known: Iterable[str]) -> str:
        """The name that was likely meant; empty if none is near, or if the word itself is known."""
        found, distance = "", _FAR
        for one in known:
            if self._effort <= 0:
                return ""
            if one == word:
                return ""
            self._effort -= 1
            if abs(len(one) - len(word)) < distance:
                self._effort -= min(len(one), len(word))
                edits = _edits(word, one, distance)
                if edits < distance:
                    found, distance = one, edits
        return found


def _edits(a: str, b: str, limit: int) -> int:
    """Insertions, deletions and substitutions (Levenshtein), counted up to ``limit``."""
    same = 0
    while same < len(a) and same < len(b) and a[same] == b[same]:
        same += 1
    a, b = a[same:], b[same:]
    if not a or not b or limit == 0:
        return min(limit, max(len(a), len(b)))
    return 1 + min(_edits(*pair, limit - 1) for pair in ((a[1:], b[1:]), (a[1:], b), (a, b[1:])))
