"""The line of signs under a picture, wrapped to its width."""

from __future__ import annotations

from collections.abc import Sequence

from minirt.views.graph import EdgeKind, LegendItem, Look, Status
from minirt.views.shapes import icon, number, rectangle, text_at
from minirt.views.text import text_width
from minirt.views.theme import EDGES, LOOKS, PAGE_INK, STATUSES

__all__ = ["draw_legend", "legend_height"]

_ROW = 22.0
_SIZE = 11.0
_SIGN = 27.0
_GAP = 16.0


def legend_height(items: Sequence[LegendItem], width: float) -> float:
    """Pixels needed below the picture."""
    return 14 + _ROW * len(_rows(items, width)) if items else 0.0


def draw_legend(items: Sequence[LegendItem], x: float, y: float, width: float) -> str:
    """The signs and their words from the left upper corner ``x``, ``y``."""
    parts = ['<g class="legend">']
    for row, members in enumerate(_rows(items, width)):
        at = x
        for item in members:
            parts.append(_sign(item, at, y + row * _ROW))
            parts.append(text_at(at + _SIGN, y + row * _ROW + 12, item.text, _SIZE, PAGE_INK))
            at += _width(item)
    parts.append("</g>")
    return "".join(parts)


def _rows(items: Sequence[LegendItem], width: float) -> list[list[LegendItem]]:
    rows: list[list[LegendItem]] = [[]]
    used = 0.0
    for item in items:
        if rows[-1] and used + _width(item) - _GAP > width:
            rows.append([])
            used = 0.0
        rows[-1].append(item)
        used += _width(item)
    return rows


def _width(item: LegendItem) -> float:
    return _SIGN + text_width(item.text, _SIZE) + _GAP


def _sign(item: LegendItem, x: float, y: float) -> str:
    if isinstance(item.sign, EdgeKind):
        stroke, dash, line = EDGES[item.sign]
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        d = f"M{number(x)} {number(y + 8)}H{number(x + 21)}"
        return f'<path d="{d}" fill="none" stroke="{stroke}" stroke-width="{number(line)}"{dashes}/>'
    paint = STATUSES[item.sign] if isinstance(item.sign, Status) else LOOKS[Look(item.sign)]
    frame = rectangle(x, y, 21, 16, 4, paint.fill, paint.stroke, line=paint.line, dash=paint.dash)
    return frame + icon(paint.icon, x + 4.5, y + 2, paint.accent, scale=0.75)
