"""What a picture says, before any picture is drawn: nodes, edges and groups as frozen values.

A view (build, layers, files) turns events or images into a :class:`Graph`; everything after that (DOT, layout, SVG,
JSON) knows only this file. Ids are stable from frame to frame, so that a viewer can move a node instead of
redrawing it, and nothing here holds a time of day or a random number, so that two runs can be compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Chip", "Edge", "EdgeKind", "Graph", "Group", "Kind", "LegendItem", "Look", "Node", "Status"]


class Status(StrEnum):
    """How far a node is. ``plain`` is for things that do not run, such as a layer of an image."""

    PLAIN = "plain"
    WAITING = "waiting"
    RUNNING = "running"
    CACHED = "cached"
    DONE = "done"
    FAILED = "failed"
    CANCELED = "canceled"


class Kind(StrEnum):
    """What a node is."""

    BASE = "base"
    STEP = "step"
    CONFIG = "config"
    IMAGE = "image"
    LAYER = "layer"
    FILE = "file"
    FOLDER = "folder"
    WHITEOUT = "whiteout"
    MORE = "more"
    CONTAINER = "container"
    VOLUME = "volume"
    PROCESS = "process"
    NETWORK = "network"
    PORT = "port"
    NOTE = "note"


class Look(StrEnum):
    """How a chip (or a whole plain node) is painted; each differs in outline or icon too, not in colour alone."""

    PLAIN = "plain"
    LAYER = "layer"
    CONFIG = "config"
    EMPTY = "empty"
    SHARED = "shared"
    UNIQUE = "unique"
    VISIBLE = "visible"
    HIDDEN = "hidden"
    WHITEOUT = "whiteout"
    IMAGE = "image"
    CONTAINER = "container"
    VOLUME = "volume"
    PROCESS = "process"
    NETWORK = "network"
    PORT = "port"


class EdgeKind(StrEnum):
    """Why two nodes are joined."""

    THEN = "then"
    COPIES = "copies"
    BUILDS_ON = "builds-on"
    MAKES = "makes"
    STACK = "stack"
    NAMES = "names"
    WIRE = "wire"
    LEADS = "leads"
    BESIDE = "beside"
    """Not drawn: it only keeps two nodes above each other."""


@dataclass(frozen=True, slots=True)
class Chip:
    """A small block at the right end of a node; ``width`` in pixels."""

    text: str
    detail: str = ""
    look: Look = Look.PLAIN
    width: int = 96


@dataclass(frozen=True, slots=True)
class Node:
    """One card. ``title`` is bold, ``text`` monospaced behind it, ``detail`` the small second line.

    ``width`` and ``height`` are in pixels; ``progress`` from 0 to 1 draws a thin bar; ``struck`` strikes the text
    through; ``alert`` draws a warning sign, and is told by the tooltip. ``place`` is the upper left corner in views
    that are plain stacks and lists; without it Graphviz decides.
    """

    id: str
    kind: Kind
    title: str = ""
    text: str = ""
    detail: str = ""
    status: Status = Status.PLAIN
    look: Look = Look.PLAIN
    chips: tuple[Chip, ...] = ()
    tooltip: str = ""
    group: str = ""
    width: int = 420
    height: int = 44
    indent: int = 0
    progress: float | None = None
    struck: bool = False
    alert: str = ""
    place: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Edge:
    """From ``source`` to ``target`` (node ids), in the direction in which bytes flow."""

    source: str
    target: str
    kind: EdgeKind = EdgeKind.THEN
    tooltip: str = ""

    @property
    def id(self) -> str:
        return f"{self.source}--{self.target}"


@dataclass(frozen=True, slots=True)
class Group:
    """A frame around the nodes whose ``group`` is this id."""

    id: str
    title: str
    status: Status = Status.PLAIN


@dataclass(frozen=True, slots=True)
class LegendItem:
    """One entry under the picture: the sign and what it means."""

    sign: Status | Look | EdgeKind
    text: str


@dataclass(frozen=True, slots=True)
class Graph:
    """A whole picture. ``text`` is its twin for those who do not see it: an aligned table.

    ``upwards`` lays the nodes out from the bottom to the top, as layers lie on each other; ``gap`` is the room
    between two rows in pixels.
    """

    id: str
    title: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...] = ()
    groups: tuple[Group, ...] = ()
    legend: tuple[LegendItem, ...] = ()
    subtitle: str = ""
    status: Status = Status.PLAIN
    text: str = ""
    upwards: bool = False
    gap: int = 14
