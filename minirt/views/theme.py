"""The colours, signs and letters of every picture.

Colours start from Okabe and Ito's palette, which stays distinct for the common kinds of colour blindness; still no
colour speaks alone: each status has its own icon and its word, each look its own outline. Cards bring their own
light fill and dark text, so that they read on a light and on a dark page; what is written between cards is of a
middle grey. The labextension maps each colour of :data:`COLOURS` to one for dark themes.
"""

from __future__ import annotations

from dataclasses import dataclass

from minirt.views.graph import EdgeKind, Look, Status

__all__ = [
    "ALERT",
    "COLOURS",
    "EDGES",
    "ICONS",
    "INK",
    "LOOKS",
    "MONO",
    "PAGE_INK",
    "SANS",
    "SOFT_INK",
    "STATUSES",
    "Paint",
]

SANS = "Helvetica, Arial, Liberation Sans, sans-serif"
MONO = "Liberation Mono, Menlo, Consolas, DejaVu Sans Mono, monospace"

INK = "#1c2330"
SOFT_INK = "#4d5866"
ALERT = "#a86f00"
PAGE_INK = "#7b8490"
"""For text on the page itself: 3.9 to 1 on white, 4.9 to 1 on JupyterLab's dark grey."""


@dataclass(frozen=True, slots=True)
class Paint:
    """Fill, outline and accent (the icon) of a card or chip; ``dash`` in SVG's terms, ``line`` in pixels."""

    fill: str
    stroke: str
    accent: str
    dash: str = ""
    line: float = 1.0
    icon: str = ""


STATUSES: dict[Status, Paint] = {
    Status.PLAIN: Paint("#f7f8fa", "#a9b2bd", "#5d6875"),
    Status.WAITING: Paint("#f4f5f7", "#a8b0ba", "#7d8794", dash="4 3", icon="circle"),
    Status.RUNNING: Paint("#fff3d1", "#c98500", "#a86f00", line=2.0, icon="play"),
    Status.CACHED: Paint("#e4f0fa", "#3f8fc6", "#0868a8", icon="again"),
    Status.DONE: Paint("#e2f3ec", "#2f9f7b", "#007a59", icon="check"),
    Status.FAILED: Paint("#f8c8ae", "#d55e00", "#b84a00", line=2.0, icon="cross"),
    Status.CANCELED: Paint("#f5e9f0", "#b0668f", "#94487a", dash="4 3", icon="stop"),
}

LOOKS: dict[Look, Paint] = {
    Look.PLAIN: Paint("#ffffff", "#a9b2bd", "#5d6875"),
    Look.LAYER: Paint("#ffffff", "#5d6875", "#5d6875", icon="layer"),
    Look.CONFIG: Paint("none", "#98a2ae", "#5d6875", dash="3 2"),
    Look.EMPTY: Paint("none", "none", "#7d8794"),
    Look.SHARED: Paint("#e4f0fa", "#3f8fc6", "#0868a8", line=1.6, icon="shared"),
    Look.UNIQUE: Paint("#fdf1dc", "#c98500", "#a86f00", icon="single"),
    Look.VISIBLE: Paint("#cfeadf", "#2f9f7b", "#007a59", icon="dot"),
    Look.HIDDEN: Paint("#f4f5f7", "#98a2ae", "#7d8794", dash="3 2", icon="ghost"),
    Look.WHITEOUT: Paint("#f8c8ae", "#d55e00", "#b84a00", line=1.4, icon="cross"),
    Look.IMAGE: Paint("#d6d0ee", "#7a6fb0", "#5a4f92", line=1.4, icon="tag"),
    Look.CONTAINER: Paint("#fdf1dc", "#c98500", "#a86f00", line=1.4, icon="box"),
    Look.VOLUME: Paint("#cfeadf", "#2f9f7b", "#007a59", line=1.4, icon="cylinder"),
    Look.NETWORK: Paint("#e4f0fa", "#3f8fc6", "#0868a8", line=1.4, icon="net"),
    Look.PORT: Paint("#d6d0ee", "#7a6fb0", "#5a4f92", icon="door"),
    Look.PROCESS: Paint("#fdf1dc", "#c98500", "#a86f00", icon="process"),
}

# stroke, dash and width of each kind of edge; BESIDE is not drawn.
EDGES: dict[EdgeKind, tuple[str, str, float]] = {
    EdgeKind.THEN: ("#8b95a1", "", 1.3),
    EdgeKind.COPIES: ("#3f8fc6", "5 3", 1.6),
    EdgeKind.MAKES: ("#7a6fb0", "", 1.6),
    EdgeKind.BUILDS_ON: ("#7a6fb0", "", 1.8),
    EdgeKind.STACK: ("#8b95a1", "", 1.6),
    EdgeKind.WIRE: ("#3f8fc6", "", 1.8),
    EdgeKind.LEADS: ("#7a6fb0", "5 3", 1.6),
    EdgeKind.NAMES: ("#7a6fb0", "2 3", 1.4),
}

# Drawn in a 16 by 16 box with strokes of the accent colour; "F" at the start asks for a fill instead.
ICONS = {
    "circle": "M8 3a5 5 0 1 0 0 10a5 5 0 1 0 0-10",
    "play": "FM4.5 2.5L13 8L4.5 13.5Z",
    "again": "M12.6 5.4A5.2 5.2 0 1 0 13.2 8M13.2 2.6V5.8H10",
    "check": "M3 8.6L6.4 12L13 4.6",
    "cross": "M4 4L12 12M12 4L4 12",
    "stop": "FM4 4H12V12H4Z",
    "layer": "M8 3L14 6L8 9L2 6ZM2 9.4L8 12.4L14 9.4",
    "shared": "M4 12V8.5Q4 6.5 8 6.5Q12 6.5 12 8.5V12M8 6.5V3M2.6 12H5.4M10.6 12H13.4",
    "single": "M8 2.8V12M5.6 12H10.4",
    "dot": "FM8 4a4 4 0 1 0 0 8a4 4 0 1 0 0-8",
    "ghost": "M8 4a4 4 0 1 0 0 8a4 4 0 1 0 0-8",
    "file": "M4 2.5H9.5L12 5V13.5H4ZM9.5 2.5V5H12",
    "folder": "M2 4H6.5L8 5.5H14V13H2Z",
    "gone": "M4 2.5H9.5L12 5V13.5H4ZM6.2 7L9.8 11M9.8 7L6.2 11",
    "tag": "M2.5 7.5V2.5H7.5L13.5 8.5L8.5 13.5ZM5.2 5.2V5.3",
    "box": "M2.5 5L8 2.5L13.5 5V11L8 13.5L2.5 11ZM2.5 5L8 7.5L13.5 5M8 7.5V13.5",
    "cylinder": "M3 4.4C3 2.4 13 2.4 13 4.4V11.6C13 13.6 3 13.6 3 11.6ZM3 4.4C3 6.4 13 6.4 13 4.4",
    "process": "M2 3.5H14V12.5H2ZM4.5 6L6.8 8L4.5 10M8.5 10.3H11.5",
    "net": "M8 2.5V8M3 12.5V8H13V12.5M1.6 13.5H4.4M11.6 13.5H14.4M6.6 2H9.4",
    "door": "M2 8H10.5M7.5 5L10.5 8L7.5 11M13.5 3V13",
    "warning": "M8 2.5L14 13H2ZM8 6.5V9.4M8 11V11.2",
}


def _all_colours() -> tuple[str, ...]:
    paints = (*STATUSES.values(), *LOOKS.values())
    found = {colour for paint in paints for colour in (paint.fill, paint.stroke, paint.accent)}
    found |= {stroke for stroke, _, _ in EDGES.values()} | {INK, SOFT_INK, PAGE_INK}
    return tuple(sorted(found - {"none"}))


COLOURS = _all_colours()
"""Every colour that a picture may hold."""
