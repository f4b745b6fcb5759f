"""One node as a card: icon, bold title, monospaced text, a small second line, chips at the right end."""

from __future__ import annotations

from xml.sax.saxutils import quoteattr

from minirt.views.graph import Chip, Kind, Look, Node, Status
from minirt.views.layout import Box
from minirt.views.shapes import icon, rectangle, text_at, title
from minirt.views.text import shorten, text_width
from minirt.views.theme import ALERT, INK, LOOKS, SOFT_INK, STATUSES, Paint

__all__ = ["draw_node"]

_SIGNS = {Kind.FILE: "file", Kind.FOLDER: "folder", Kind.WHITEOUT: "gone"}
_SIGNS |= {Kind.CONTAINER: "box", Kind.VOLUME: "cylinder", Kind.PROCESS: "process"}
_TWO_LINES = 36
"""From this height (in pixels) on, a card has a second line if there is anything to say on it."""


def draw_node(node: Node, box: Box) -> str:
    """The card of ``node`` at ``box``."""
    paint = _paint(node)
    look = "" if node.status is not Status.PLAIN else f" {node.look}"
    parts = [
        f'<g id={quoteattr(node.id)} class="node {node.kind} {node.status}{look}">',
        title(node.tooltip),
        rectangle(box.x, box.y, box.width, box.height, 7, paint.fill, paint.stroke, line=paint.line, dash=paint.dash),
    ]
    left = box.x + 8 + node.indent
    sign = _SIGNS.get(node.kind, paint.icon)
    if sign:
        parts.append(icon(sign, left, box.y + (box.height - 16) / 2, paint.accent))
        left += 23
    right = box.x + box.width - 6
    for chip in reversed(node.chips):
        right -= chip.width
        parts.append(_chip(chip, right, box))
        right -= 5
    parts.append(_words(node, left, right - 3, box, paint))
    if node.progress is not None:
        parts.append(_progress(node.progress, box, paint))
    parts.append("</g>")
    return "".join(parts)


def _paint(node: Node) -> Paint:
    if node.kind is Kind.IMAGE and node.status is Status.DONE:
        return LOOKS[Look.IMAGE]
    return LOOKS[node.look] if node.status is Status.PLAIN else STATUSES[node.status]


def _words(node: Node, left: float, right: float, box: Box, paint: Paint) -> str:
    """The texts of the card between ``left`` and ``right``, each cut to the room there is."""
    two_lines = box.height >= _TWO_LINES and node.detail != ""
    baseline = box.y + (box.height / 2 - 3.5 if two_lines else box.height / 2 + 4)
    parts = []
    detail_right = right
    if node.detail and not two_lines:
        detail = shorten(node.detail, (right - left) * 0.4, 10.5)
        parts.append(text_at(right, baseline, detail, 10.5, SOFT_INK, anchor="end"))
        detail_right -= text_width(detail, 10.5) + 8
    elif node.detail:
        detail = shorten(node.detail, right - left, 11)
        parts.append(text_at(left, box.y + box.height / 2 + 13, detail, 11, SOFT_INK))
    x = left
    if node.title:
        heading = shorten(node.title, detail_right - x, 12.5, bold=True)
        parts.append(text_at(x, baseline, heading, 12.5, INK, bold=True, struck=node.struck and not node.text))
        x += text_width(heading, 12.5, bold=True) + 7
    if node.alert:
        parts.append(icon("warning", x, baseline - 12, ALERT, scale=0.9))
        x += 20
    if node.text and detail_right - x > 20:
        ink = SOFT_INK if node.struck else INK
        shown = shorten(node.text, detail_right - x, 12, mono=True)
        parts.append(text_at(x, baseline, shown, 12, ink, mono=True, struck=node.struck))
    return "".join(parts)


def _chip(chip: Chip, x: float, box: Box) -> str:
    paint = LOOKS[chip.look]
    height = min(box.height - 8, 32.0)
    y = box.y + (box.height - height) / 2
    parts = []
    if chip.look is not Look.EMPTY:
        parts.append(rectangle(x, y, chip.width, height, 5, paint.fill, paint.stroke, line=paint.line, dash=paint.dash))
    middle = x + chip.width / 2
    room = chip.width - 8.0
    if paint.icon and chip.width >= 64:
        parts.append(icon(paint.icon, x + 5, y + (height - 14) / 2, paint.accent, scale=0.875))
        middle += 9
        room -= 18
    elif paint.icon and not chip.text:
        parts.append(icon(paint.icon, middle - 7, y + (height - 14) / 2, paint.accent, scale=0.875))
    if chip.detail and height >= 26:
        parts.append(_centred(chip.text, middle, y + height / 2 - 2.5, room, 11, INK, bold=True))
        parts.append(_centred(chip.detail, middle, y + height / 2 + 10, room, 10, SOFT_INK))
    else:
        strong = chip.look not in (Look.EMPTY, Look.CONFIG, Look.HIDDEN)
        ink = INK if strong else SOFT_INK
        parts.append(_centred(chip.text, middle, y + height / 2 + 4, room, 11, ink, bold=strong))
    return "".join(parts)


def _centred(text: str, x: float, y: float, room: float, size: float, fill: str, *, bold: bool = False) -> str:
    return text_at(x, y, shorten(text, room, size, bold=bold), size, fill, bold=bold, anchor="middle")


def _progress(done: float, box: Box, paint: Paint) -> str:
    width = (box.width - 16) * min(1.0, max(0.0, done))
    return rectangle(box.x + 8, box.y + box.height - 4, width, 2.5, 1.2, paint.accent, "none")
