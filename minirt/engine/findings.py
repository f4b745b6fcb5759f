"""One thing that ``docker system check`` found, and what mends it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Finding", "Problem"]


@dataclass(frozen=True, slots=True)
class Problem:
    """``where`` is a path in the home or a thing of the machine; ``cure`` says what ``--repair`` does, empty if only a
    human can decide: then ``what`` says how.
    """

    where: str
    what: str
    cure: str = ""
    repaired: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """``repair`` raises ``OSError`` or :class:`MinirtError` when it cannot."""

    problem: Problem
    repair: Callable[[], None] | None = None
