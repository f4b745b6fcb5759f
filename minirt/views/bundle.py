"""A graph as the representations that Jupyter's front ends choose from."""

from __future__ import annotations

from typing import Any

from minirt.views.graph import Graph
from minirt.views.svg import to_svg

__all__ = ["GRAPH_MIME", "mimebundle", "to_json"]

GRAPH_MIME = "application/vnd.minirt.graph+json"

_LIVE_SVG_NODES = 60
"""Above this, frames on the way carry the picture once (inside the JSON) and not twice."""


def to_json(graph: Graph, svg: str) -> dict[str, Any]:
    """What the labextension draws: version, title, status, SVG, what joins what, and the text twin.

    ``nodes`` maps each id to its kind, status and group; ``edges`` are ``[source, target, kind]``.
    """
    return {
        "version": 1,
        "id": graph.id,
        "title": graph.title,
        "status": str(graph.status),
        "svg": svg,
        "nodes": {
            node.id: {"kind": str(node.kind), "status": str(node.status), "group": node.group} for node in graph.nodes
        },
        "edges": [[edge.source, edge.target, str(edge.kind)] for edge in graph.edges],
        "text": graph.text,
    }


def mimebundle(graph: Graph, final: bool = False) -> dict[str, Any]:
    """The data of a ``display_data`` message. The ``final`` one holds all representations.

    Raises :class:`minirt.errors.Unsupported` if no Graphviz is installed; ``text/plain`` alone is then at hand as
    ``graph.text``.
    """
    svg = to_svg(graph)
    bundle: dict[str, Any] = {GRAPH_MIME: to_json(graph, svg)}
    if final or len(graph.nodes) <= _LIVE_SVG_NODES:
        bundle["image/svg+xml"] = svg
    bundle["text/plain"] = graph.text
    return bundle
