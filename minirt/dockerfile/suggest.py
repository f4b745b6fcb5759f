"""Did you mean: the nearest of the known words."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

__all__ = ["did_you_mean", "nearest"]

_MOST_SLIPS, _MOST_CANDIDATES = 8, 256


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
