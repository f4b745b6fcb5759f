"""Where written bytes are: image layers below, shared; each container's own thin layer on top; volumes beside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from minirt.views.graph import Chip, Graph, Kind, LegendItem, Look, Node
from minirt.views.layers_view import LayerBox, created_words
from minirt.views.tables import text_table
from minirt.views.text import human_size, plural

__all__ = ["StorageContainer", "StorageVolume", "VolumeUse", "storage_graph", "storage_table", "volumes_graph"]

_PAGE, _GAP, _TOP, _ROW = 844.0, 16.0, 52.0, 36.0
_NARROWEST, _WIDEST = 200.0, 460.0


@dataclass(frozen=True, slots=True)
class StorageContainer:
    """A container and its storage layer: ``size`` in bytes, and how many paths it adds, changes and deletes."""

    name: str
    status: str
    image: str
    layers: tuple[LayerBox, ...]
    size: int = 0
    added: int = 0
    changed: int = 0
    deleted: int = 0


@dataclass(frozen=True, slots=True)
class VolumeUse:
    """A container that has the volume at ``destination``."""

    container: str
    destination: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class StorageVolume:
    """``size`` in bytes of file content."""

    name: str
    size: int = 0
    users: tuple[VolumeUse, ...] = ()


def storage_graph(
    containers: Sequence[StorageContainer], volumes: Sequence[StorageVolume], *, stable: bool = False
) -> Graph:
    """The picture. ``stable`` leaves out sizes that depend on the machine."""
    ordered = sorted(containers, key=lambda one: [layer.diff_id for layer in one.layers])
    column = min(_WIDEST, max(_NARROWEST, (_PAGE - _GAP * (len(ordered) - 1)) / max(1, len(ordered))))
    deepest = max((len(one.layers) for one in ordered), default=0)
    nodes = [*_stacks(ordered, column, stable), *_volume_row(volumes, _TOP + 8 + deepest * (_ROW + 3) + 20)]
    own = sum(one.size for one in containers)
    return Graph(
        id="storage",
        title="Storage: what is shared, what is a container's own, what outlives it",
        subtitle=f"{plural(len(containers), 'container')} with {human_size(own)} of their own, "
        f"{plural(len(volumes), 'volume')} with {human_size(sum(one.size for one in volumes))}",
        nodes=tuple(nodes) or (_nothing("There are no containers and no volumes"),),
        legend=(
            LegendItem(Look.UNIQUE, "storage layer: gone with docker rm"),
            LegendItem(Look.SHARED, "image layer of several containers"),
            LegendItem(Look.LAYER, "image layer"),
            LegendItem(Look.VISIBLE, "volume: outlives containers"),
        ),
        text=storage_table(containers, volumes),
    )


def storage_table(containers: Sequence[StorageContainer], volumes: Sequence[StorageVolume]) -> str:
    """The text twin: a row a container, then a row a volume."""
    rows = [
        [one.name, one.status, one.image, human_size(one.size), str(one.added), str(one.changed), str(one.deleted)]
        for one in containers
    ]
    parts = []
    if rows:
        headings = ["Container", "Status", "Image", "Storage layer", "Added", "Changed", "Deleted"]
        parts.append(text_table(headings, rows, right=(3, 4, 5, 6)))
    if volumes:
        kept = [[one.name, human_size(one.size), _users(one) or "nobody"] for one in volumes]
        parts.append(text_table(["Volume", "Size", "Used by"], kept, right=(1,)))
    return "\n\n".join(parts) or "There are no containers and no volumes."


def volumes_graph(volumes: Sequence[StorageVolume]) -> Graph:
    """Volumes alone: how much each holds, and who has it where."""
    return Graph(
        id="volumes",
        title="Volumes",
        subtitle=f"{plural(len(volumes), 'volume')}, {human_size(sum(one.size for one in volumes))}",
        nodes=tuple(_volume_row(volumes, 0.0)) or (_nothing("There are no volumes"),),
        legend=(LegendItem(Look.VISIBLE, "in use"), LegendItem(Look.PLAIN, "used by nobody")),
        text=storage_table((), volumes) if volumes else "There are no volumes.",
    )


def _stacks(ordered: Sequence[StorageContainer], column: float, stable: bool) -> Iterator[Node]:
    deepest = max((len(one.layers) for one in ordered), default=0)
    for number, one in enumerate(ordered):
        words = f"{one.added} added, {one.changed} changed, {one.deleted} deleted"
        yield Node(
            id=f"container-{one.name}",
            kind=Kind.CONTAINER,
            title=one.name,
            text=one.status,
            detail=words,
            look=Look.UNIQUE,
            chips=(Chip(human_size(one.size), width=62),),
            tooltip=f"{one.name}: {one.status}\nstorage layer on {one.image}\n{words}\n{human_size(one.size)}",
            width=round(column),
            height=round(_TOP),
            place=(number * (column + _GAP), (deepest - len(one.layers)) * (_ROW + 3)),
        )
    for depth in range(deepest):
        yield from _level(ordered, depth, column, _TOP + 8 + (deepest - 1 - depth) * (_ROW + 3), stable)


def _level(ordered: Sequence[StorageContainer], depth: int, column: float, y: float, stable: bool) -> Iterator[Node]:
    """The layers at one height; neighbours that have the same one below the same ones share its slab."""

    def below(pair: tuple[int, StorageContainer]) -> tuple[str, ...]:
        return tuple(layer.diff_id for layer in pair[1].layers[: depth + 1])

    for _, members in groupby(enumerate(ordered), key=below):
        group = list(members)
        first, one = group[0]
        if len(one.layers) <= depth:
            continue
        layer, shared = one.layers[depth], len(group) > 1
        size = "varies" if stable and layer.local else human_size(layer.size)
        text = created_words(layer.created_by) or "(no history)"
        yield Node(
            id=f"layer-{depth}-{first}",
            kind=Kind.LAYER,
            text=text,
            detail=f"shared by {len(group)}" if shared else "",
            look=Look.SHARED if shared else Look.LAYER,
            chips=(Chip(size, width=62),),
            tooltip=f"{text[:600]}\n{size}\nread by {', '.join(member.name for _, member in group)}",
            width=round(len(group) * column + (len(group) - 1) * _GAP),
            height=round(_ROW),
            place=(first * (column + _GAP), y),
        )


def _volume_row(volumes: Sequence[StorageVolume], y: float) -> Iterator[Node]:
    for number, one in enumerate(volumes):
        yield Node(
            id=f"volume-{one.name}",
            kind=Kind.VOLUME,
            title=one.name[:12] if len(one.name) == 64 else one.name,
            detail=_users(one) or "used by nobody",
            look=Look.VISIBLE if one.users else Look.PLAIN,
            chips=(Chip(human_size(one.size), width=62),),
            tooltip=f"volume {one.name}\n{human_size(one.size)}\n{_users(one) or 'used by nobody'}",
            width=round(_WIDEST),
            height=44,
            place=(0.0, y + number * 50.0),
        )


def _users(one: StorageVolume) -> str:
    return ", ".join(f"{use.container} at {use.destination}{' (ro)' if use.read_only else ''}" for use in one.users)


def _nothing(title: str) -> Node:
    return Node(id="nothing", kind=Kind.NOTE, title=title, detail="docker run makes one.", place=(0.0, 0.0))
