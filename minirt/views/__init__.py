"""Pictures: events and images in; a graph, an SVG and a text table out. Pure: no engine, no disk, no clock."""

from minirt.views.build_view import BuildView
from minirt.views.bundle import GRAPH_MIME, mimebundle
from minirt.views.dot import to_dot
from minirt.views.files_view import files_graph, files_table
from minirt.views.graph import Graph
from minirt.views.layers_view import ImageStack, LayerBox, layers_graph, layers_table
from minirt.views.layout import warm
from minirt.views.svg import to_svg
from minirt.views.union import FileEntry, FileLayer

__all__ = [
    "GRAPH_MIME",
    "BuildView",
    "FileEntry",
    "FileLayer",
    "Graph",
    "ImageStack",
    "LayerBox",
    "files_graph",
    "files_table",
    "layers_graph",
    "layers_table",
    "mimebundle",
    "to_dot",
    "to_svg",
    "warm",
]
