"""Pictures: events and images in; a graph, an SVG and a text table out. Pure: no engine, no disk, no clock."""

from minirt.views.build_view import BuildView
from minirt.views.bundle import GRAPH_MIME, mimebundle
from minirt.views.dot import to_dot
from minirt.views.graph import Graph
from minirt.views.layout import warm
from minirt.views.svg import to_svg

__all__ = ["GRAPH_MIME", "BuildView", "Graph", "mimebundle", "to_dot", "to_svg", "warm"]
