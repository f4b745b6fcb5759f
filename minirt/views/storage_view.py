"""Where written bytes are: image layers below, shared; each container's own thin layer on top; volumes beside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from minirt.views.graph import Chip, Graph, Kind, LegendItem, Look, Node
from minirt.views.storage_facts import StorageContainer, StorageVolume, StoredPath, VolumeUse, telling
from minirt.views.storage_stacks import WHAT, stacked
from minirt.views.tables import text_table
from minirt.views.text import human_size, plural, printable, shorten_path

__all__ = [
    "StorageContainer",
    "StorageVolume",
    "StoredPath",
    "VolumeUse",
    "storage_graph",
    "storage_table",
    "volumes_graph",
]

_VOLUME_WIDTH, _VOLUME_HEIGHT = 414, 46
_EMPTY_WIDTH = 560
_ROWS = 40
"""Paths in the text twin."""


def storage_graph(
    containers: Sequence[StorageContainer], volumes: Sequence[StorageVolume], *, stable: bool = False
) -> Graph:
    """The picture. ``stable`` leaves out sizes that depend on the machine."""
    placed = stacked(containers, stable)
    nodes = (*placed.nodes, *_volume_cards(volumes, placed.height + 20 if placed.nodes else 0.0))
    own = sum(one.size for one in containers)
    return Graph(
        id="storage",
        title="Storage: what is shared, what is a container's own, what outlives it" if containers else "Storage",
        subtitle=f"{plural(len(containers), 'container')} with {human_size(own)} of their own, "
        f"{plural(len(volumes), 'volume')} with {human_size(sum(one.size for one in volumes))}",
        nodes=nodes or (_nothing("There are no containers and no volumes"),),
        legend=_legend(containers, volumes),
        text=storage_table(containers, volumes),
    )


def _legend(containers: Sequence[StorageContainer], volumes: Sequence[StorageVolume]) -> tuple[LegendItem, ...]:
    items = []
    if containers:
        items += [
            LegendItem(Look.CONTAINER, "container's storage layer: gone with docker rm"),
            LegendItem(Look.SHARED, "image layer of several containers"),
            LegendItem(Look.LAYER, "image layer of one"),
            LegendItem(Look.VISIBLE, "new in the storage layer"),
            LegendItem(Look.UNIQUE, "changed, so held whole"),
            LegendItem(Look.WHITEOUT, "whiteout: hides the image's"),
        ]
    if volumes:
        items.append(LegendItem(Look.VOLUME, "volume: outlives containers"))
    return tuple(items)


def storage_table(containers: Sequence[StorageContainer], volumes: Sequence[StorageVolume]) -> str:
    """The text twin: a row a container, a row a path in its storage layer, a row a volume."""
    rows = [
        [printable(one.name), one.status, one.image, human_size(one.size), *(str(one.count(kind)) for kind in "ACD")]
        for one in containers
    ]
    parts = []
    if rows:
        headings = ["Container", "Status", "Image", "Storage layer", "Added", "Changed", "Deleted"]
        parts.append(text_table(headings, rows, right=(3, 4, 5, 6)))
    held = [
        [printable(one.name), WHAT[path.kind], printable(path.path)]
        for one in containers
        for path in telling(one.paths)
    ]
    if held:
        table = text_table(["In the storage layer of", "is", "Path"], held[:_ROWS])
        parts.append(table if len(held) <= _ROWS else f"{table}\n… and {len(held) - _ROWS} more")
    if volumes:
        kept = [[printable(one.name), human_size(one.size), _users(one) or "nobody"] for one in volumes]
        parts.append(text_table(["Volume", "Size", "Used by"], kept, right=(1,)))
    return "\n\n".join(parts) or "There are no containers and no volumes."


def volumes_graph(volumes: Sequence[StorageVolume]) -> Graph:
    """Volumes alone: how much each holds, and who has it where."""
    return Graph(
        id="volumes",
        title="Volumes",
        subtitle=f"{plural(len(volumes), 'volume')}, {human_size(sum(one.size for one in volumes))}",
        nodes=tuple(_volume_cards(volumes, 0.0)) or (_nothing("There are no volumes"),),
        legend=(LegendItem(Look.VOLUME, "a container has it"), LegendItem(Look.PLAIN, "nobody has it"))
        if volumes
        else (),
        text=storage_table((), volumes) if volumes else "There are no volumes.",
    )


def _volume_cards(volumes: Sequence[StorageVolume], y: float) -> Iterator[Node]:
    for number, one in enumerate(volumes):
        row, column = divmod(number, 2)
        name = one.name[:12] if len(one.name) == 64 else shorten_path(printable(one.name), 60)
        used = _users(one) or "used by nobody"
        yield Node(
            id=f"volume-{one.name}",
            kind=Kind.VOLUME,
            title=name,
            detail=used,
            look=Look.VOLUME if one.users else Look.PLAIN,
            chips=(Chip(human_size(one.size), width=62),),
            tooltip=f"volume {one.name}\n{human_size(one.size)}\n{used}",
            width=_VOLUME_WIDTH,
            height=_VOLUME_HEIGHT,
            place=(column * (_VOLUME_WIDTH + 16.0), y + row * (_VOLUME_HEIGHT + 8.0)),
        )


def _users(one: StorageVolume) -> str:
    uses = (f"{printable(use.container)} at {printable(use.destination)}" for use in one.users)
    return ", ".join(f"{words}{' (ro)' if use.read_only else ''}" for words, use in zip(uses, one.users, strict=True))


def _nothing(title: str) -> Node:
    detail = "docker run makes one."
    return Node(id="nothing", kind=Kind.NOTE, title=title, detail=detail, width=_EMPTY_WIDTH, place=(0.0, 0.0))
