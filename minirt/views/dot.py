"""A graph in Graphviz's language: sizes, order and frames. Colours and letters are ours to draw.

The DOT is complete in itself (paste it into any Graphviz viewer), but its labels are plain: the bundled Graphviz has
no HTML-like labels, and cards as we want them would need those.
"""

from __future__ import annotations

from typing import Any

from minirt.views.graph import Edge, EdgeKind, Graph, Group, Node

__all__ = ["to_dot"]

_POINTS = 72.0
_WEIGHTS = {EdgeKind.THEN: "100", EdgeKind.STACK: "10", EdgeKind.BESIDE: "100", EdgeKind.MAKES: "100"}


def to_dot(graph: Graph) -> str:
    """The picture as a DOT program; deterministic for equal graphs. One pixel of ours is one point of Graphviz's."""
    import graphviz

    digraph = graphviz.Digraph(name=graph.id)
    digraph.attr(
        "graph",
        rankdir="BT" if graph.upwards else "TB",
        nodesep=_inches(44 if graph.groups else 22),
        ranksep=_inches(graph.gap),
        pad="0",
        margin="0",
        splines="true",
    )
    digraph.attr("node", shape="box", style="rounded", fixedsize="true")
    for group in graph.groups:
        _add_group(digraph, group, [node for node in graph.nodes if node.group == group.id])
    for node in graph.nodes:
        if not node.group:
            _add_node(digraph, node)
    for edge in graph.edges:
        _add_edge(digraph, edge)
    return str(digraph.source)


def _add_group(digraph: Any, group: Group, nodes: list[Node]) -> None:
    import graphviz

    with digraph.subgraph(name=f"cluster_{group.id}") as cluster:
        # The frame's title is one line of 16 pixels; Graphviz keeps room for it.
        cluster.attr(
            label=graphviz.escape(group.title or " "), labeljust="l", fontsize="13", margin="12", style="rounded"
        )
        for node in nodes:
            _add_node(cluster, node)


def _add_node(digraph: Any, node: Node) -> None:
    import graphviz

    label = " ".join(part for part in (node.title, node.text) if part)
    digraph.node(
        node.id,
        label=graphviz.escape(label),
        width=_inches(node.width),
        height=_inches(node.height),
    )


def _add_edge(digraph: Any, edge: Edge) -> None:
    attributes = {"weight": _WEIGHTS.get(edge.kind, "1")}
    if edge.kind in (EdgeKind.BUILDS_ON, EdgeKind.MAKES):
        # Two ranks, so that the frame around the nodes keeps clear of what comes after it.
        attributes["minlen"] = "2"
    if edge.kind is EdgeKind.BESIDE:
        attributes["style"] = "invis"
    digraph.edge(edge.source, edge.target, **attributes)


def _inches(pixels: float) -> str:
    return f"{pixels / _POINTS:.4f}"
