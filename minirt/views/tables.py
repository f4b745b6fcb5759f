"""Text twins: the same facts as a picture in an aligned table, for a screen reader or a plain terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

__all__ = ["text_table"]


def text_table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    """Columns padded to one width, two spaces apart; those numbered in ``right`` end at their right edge.

    No rulers and no boxes: a screen reader would spell them out.
    """
    table = [list(headings), *(list(row) for row in rows)]
    widths = [max(_cells(row[column]) for row in table) for column in range(len(headings))]
    lines = []
    for row in table:
        cells = []
        for column, cell in enumerate(row):
            padding = " " * (widths[column] - _cells(cell))
            cells.append(padding + cell if column in right else cell + padding)
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _cells(text: str) -> int:
    """How many cells of a terminal ``text`` takes: East Asian letters take two."""
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )
