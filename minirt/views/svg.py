"""A laid-out graph as one static SVG: no script, no style sheet, no links, no outer file.

Only the elements ``svg g rect path text title desc`` are used, which is also all that the labextension lets through.
Every node, edge and group is a ``<g>`` with the graph's own id, so that a viewer can animate from one picture to
the next; each holds a ``<title>``, which browsers show as a tooltip.
"""

from __future__ import annotations

from functools import lru_cache
from xml.sax.saxutils import quoteattr

from minirt.views.cards import draw_node
from minirt.views.dot import to_dot
from minirt.views.graph import Edge, EdgeKind, Graph, Group, Kind, Status
from minirt.views.layout import Box, Layout, Route, layout
from minirt.views.legend import draw_legend, legend_height
from minirt.views.shapes import icon, number, rectangle, text_at, title, xml_text
from minirt.views.text import shorten, text_width
from minirt.views.theme import EDGES, PAGE_INK, SANS, STATUSES

__all__ = ["to_svg"]

_MARGIN = 8.0
_MINIMUM_WIDTH = 360.0
_BESIDE_SUBTITLE = 4 * _MARGIN + 1
_WIDEST_FOR_WORDS = 640.0  # a picture of one card is made wider for its second line, up to here
_PAGE_WIDTH = 860.0

# Frames of one build differ in words and colours, seldom in shape: the same DOT need not be laid out twice.
_layout = lru_cache(maxsize=16)(layout)


def to_svg(graph: Graph) -> str:
    """The picture of ``graph``. Deterministic: equal graphs give equal text.

    Raises :class:`minirt.errors.Unsupported` if no Graphviz is installed.
    """
    place = _placed(graph) or _layout(to_dot(graph))
    body = max(place.width, _MINIMUM_WIDTH)
    width = max(body + 2 * _MARGIN, min(text_width(graph.subtitle, 11.5) + _BESIDE_SUBTITLE, _WIDEST_FOR_WORDS))
    head = 48.0 if graph.subtitle else 30.0
    foot = legend_height(graph.legend, width - 4 * _MARGIN)
    height = head + place.height + foot + _MARGIN
    parts = [_open(graph, width, height), _header(graph, width)]
    left = _MARGIN + (body - place.width) / 2
    parts.append(f'<g transform="translate({number(left)} {number(head)})">')
    parts += _body(graph, place)
    parts.append("</g>")
    if graph.legend:
        parts.append(draw_legend(graph.legend, _edge_of(graph), head + place.height + 14, width - 4 * _MARGIN))
    parts.append("</svg>\n")
    return "".join(parts)


def _placed(graph: Graph) -> Layout | None:
    """The layout that the view itself made: cards in columns, joined from side to side."""
    boxes = {}
    for node in graph.nodes:
        if node.place is None:
            return None
        boxes[node.id] = Box(*node.place, node.width, node.height)
    width = max((box.x + box.width for box in boxes.values()), default=0.0)
    height = max((box.y + box.height for box in boxes.values()), default=0.0)
    # What stands on a layer touches it: that needs no wire, only a viewer traces it.
    layers = {node.id for node in graph.nodes if node.kind is Kind.LAYER}
    wires = {
        (edge.source, edge.target): _wire(edge, boxes[edge.source], boxes[edge.target])
        for edge in graph.edges
        if edge.source not in layers
    }
    return Layout(width, height, boxes, {}, wires)


def _wire(edge: Edge, source: Box, target: Box) -> Route:
    """From the side that looks at the other card; between cards of one column, around their left side."""
    y, end = source.y + source.height / 2, target.y + target.height / 2
    arrow = 7.0 if edge.kind is EdgeKind.LEADS else 0.0
    if target.x >= source.x + source.width:
        x, stop, reach, back = source.x + source.width, target.x, 1.0, -1.0
    elif source.x >= target.x + target.width:
        x, stop, reach, back = source.x, target.x + target.width, -1.0, 1.0
    else:
        x, stop, reach, back = source.x, target.x, -1.0, -1.0
    bend = max(16.0, abs(stop - x) / 2)
    base = stop + back * arrow
    points = ((x, y), (x + reach * bend, y), (base + back * bend, end), (base, end))
    return Route(points, (stop, end) if arrow else None)


def _open(graph: Graph, width: float, height: float) -> str:
    # An exported page shows the SVG as an image, which it may clip but not shrink.
    scale = min(1.0, _PAGE_WIDTH / width)
    w, h = number(width * scale), number(height * scale)
    # A light page is not assumed: there is no background.
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" '
        f'viewBox="0 0 {number(width)} {number(height)}" role="img" '
        f'aria-label={quoteattr(_spoken(graph))} class="minirt-graph" font-family="{SANS}" '
        f'style="max-width:100%;height:auto"><title>{xml_text(graph.title)}</title><desc>{xml_text(_spoken(graph))}</desc>'
    )


def _edge_of(graph: Graph) -> float:
    """Where cards or frames begin: words above and below begin there too."""
    return _MARGIN + (8.0 if graph.groups else 0.0)


def _spoken(graph: Graph) -> str:
    return ". ".join(part for part in (graph.title, graph.subtitle) if part)


def _header(graph: Graph, width: float) -> str:
    paint = STATUSES[graph.status]
    x = _edge_of(graph)
    parts = []
    if graph.status is not Status.PLAIN:
        parts.append(icon(paint.icon, x, 5, paint.accent))
        x += 22
    room = width - x - _MARGIN
    parts.append(text_at(x, 18, shorten(graph.title, room, 14, bold=True), 14, PAGE_INK, bold=True))
    if graph.subtitle:
        parts.append(text_at(_edge_of(graph), 36, shorten(graph.subtitle, width - 4 * _MARGIN, 11.5), 11.5, PAGE_INK))
    return '<g class="header">' + "".join(parts) + "</g>"


def _body(graph: Graph, place: Layout) -> list[str]:
    # Frames lie lowest, then edges, then the cards.
    parts = [_group(group, place.groups[group.id]) for group in graph.groups if group.id in place.groups]
    for edge in graph.edges:
        route = place.edges.get((edge.source, edge.target))
        if route is not None and edge.kind is not EdgeKind.BESIDE:
            parts.append(_edge(edge, route))
    parts += [draw_node(node, place.nodes[node.id]) for node in graph.nodes]
    return parts


def _group(group: Group, box: Box) -> str:
    heading = shorten(group.title, box.width - 24, 12, bold=True)
    return (
        f'<g id={quoteattr(group.id)} class="group {group.status}">'
        + rectangle(box.x, box.y, box.width, box.height, 9, PAGE_INK, PAGE_INK, opacity=0.07)
        + text_at(box.x + 12, box.y + 19, heading, 12, PAGE_INK, bold=True)
        + "</g>"
    )


def _edge(edge: Edge, route: Route) -> str:
    stroke, dash, line = EDGES[edge.kind]
    start, *rest = route.points
    bends = " ".join(f"{number(x)} {number(y)}" for x, y in rest)
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    parts = [
        f'<g id={quoteattr(edge.id)} class="edge {edge.kind}">',
        title(edge.tooltip),
        f'<path d="M{number(start[0])} {number(start[1])}C{bends}" fill="none" stroke="{stroke}" '
        f'stroke-width="{number(line)}"{dashes}/>',
    ]
    if route.tip is not None:
        parts.append(_arrow(route.points[-1], route.tip, stroke))
    parts.append("</g>")
    return "".join(parts)


def _arrow(base: tuple[float, float], tip: tuple[float, float], colour: str) -> str:
    dx, dy = tip[0] - base[0], tip[1] - base[1]
    length = (dx * dx + dy * dy) ** 0.5 or 1.0
    # A slim head, always 7 long and 7 wide, standing on the tip.
    ux, uy = dx / length, dy / length
    bx, by = tip[0] - ux * 7, tip[1] - uy * 7
    d = (
        f"M{number(base[0])} {number(base[1])}L{number(bx)} {number(by)}M{number(tip[0])} {number(tip[1])}"
        f"L{number(bx - uy * 3.5)} {number(by + ux * 3.5)}L{number(bx + uy * 3.5)} {number(by - ux * 3.5)}Z"
    )
    return f'<path d="{d}" fill="{colour}" stroke="{colour}" stroke-width="1"/>'
