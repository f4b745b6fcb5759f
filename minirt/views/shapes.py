"""The few SVG elements that pictures are made of, as text."""

from __future__ import annotations

import re
from xml.sax.saxutils import escape

from minirt.views.text import text_width
from minirt.views.theme import ICONS, MONO

__all__ = ["icon", "number", "rectangle", "text_at", "title", "xml_text"]

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def xml_text(text: str) -> str:
    """``text`` inside an element. A picture is not shown at all if it holds one character that XML forbids."""
    return escape(_NOT_XML.sub("\ufffd", text))


def number(value: float) -> str:
    """A coordinate with at most one decimal: enough for the eye, short, and the same on every machine."""
    text = f"{value:.1f}"
    return text[:-2] if text.endswith(".0") else text


def title(text: str) -> str:
    """A tooltip, or nothing."""
    return f"<title>{xml_text(text)}</title>" if text else ""


def rectangle(
    x: float,
    y: float,
    width: float,
    height: float,
    radius: float,
    fill: str,
    stroke: str,
    *,
    line: float = 1.0,
    dash: str = "",
    opacity: float | None = None,
) -> str:
    """A rounded rectangle. ``opacity`` is that of the fill alone."""
    faint = f' fill-opacity="{opacity:g}" stroke-opacity="0.45"' if opacity is not None else ""
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<rect x="{number(x)}" y="{number(y)}" width="{number(width)}" height="{number(height)}" '
        f'rx="{number(radius)}" fill="{fill}"{faint} stroke="{stroke}" stroke-width="{number(line)}"{dashes}/>'
    )


def text_at(
    x: float,
    y: float,
    text: str,
    size: float,
    fill: str,
    *,
    bold: bool = False,
    mono: bool = False,
    struck: bool = False,
    anchor: str = "start",
) -> str:
    """One line of text with its baseline at ``y``. It keeps its measured width in any font."""
    if not text:
        return ""
    width = text_width(text, size, bold=bold, mono=mono)
    # Only longer texts can run over: a word of three letters squeezed by a pixel would merely look odd.
    keep = f' textLength="{number(width)}" lengthAdjust="spacingAndGlyphs"' if len(text) > 3 else ""
    style = (
        (f' font-family="{MONO}"' if mono else "")
        + (' font-weight="bold"' if bold else "")
        + (' text-decoration="line-through"' if struck else "")
        + (f' text-anchor="{anchor}"' if anchor != "start" else "")
    )
    return (
        f'<text x="{number(x)}" y="{number(y)}" font-size="{number(size)}" fill="{fill}"{style}{keep}>'
        f"{xml_text(text)}</text>"
    )


def icon(name: str, x: float, y: float, colour: str, *, scale: float = 1.0) -> str:
    """One of the theme's 16-pixel icons with its upper left corner at ``x``, ``y``."""
    path = ICONS.get(name)
    if path is None:
        return ""
    filled = path.startswith("F")
    paint = f'fill="{colour}" stroke="none"' if filled else f'fill="none" stroke="{colour}" stroke-width="1.8"'
    grow = f" scale({scale:g})" if scale != 1.0 else ""
    return (
        f'<path class="icon" transform="translate({number(x)} {number(y)}){grow}" d="{path.removeprefix("F")}" {paint} '
        'stroke-linecap="round" stroke-linejoin="round"/>'
    )
