"""The cards of the storage picture and their places: each container's thin layer on the image layers it stands on.

Up to four containers stand side by side, as wide as the page allows, and neighbours share the slabs of the layers
they share. More are drawn image by image: the containers in rows of four, the layers below all of them once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from minirt.views.graph import Chip, Kind, Look, Node
from minirt.views.layers_view import LayerBox, created_words
from minirt.views.storage_facts import StorageContainer, StoredPath, telling
from minirt.views.text import human_size, plural, printable, shorten_path, text_width

__all__ = ["WHAT", "stacked"]

_PAGE = 844.0
_GAP, _CARD, _ROW, _PATH = 16.0, 48.0, 36.0, 25.0
_WIDEST = 460.0
_IN_A_ROW = 4
_PATHS = 5
"""Rows of paths below each container; the rest is counted."""

WHAT = {"A": "new", "C": "changed, held whole", "D": "whiteout"}
"""What a path does in a storage layer."""
_SHORT = {"A": "new", "C": "changed", "D": "whiteout"}
_LOOKS = {"A": Look.VISIBLE, "C": Look.UNIQUE, "D": Look.WHITEOUT}


@dataclass(frozen=True, slots=True)
class _Placed:
    """Cards, and how high they are together."""

    nodes: tuple[Node, ...]
    height: float


def stacked(containers: Sequence[StorageContainer], stable: bool) -> _Placed:
    """The cards of all containers, from the top of the page."""
    ordered = _neighbours(containers)
    if len(ordered) <= _IN_A_ROW:
        return _side_by_side(ordered, stable)
    sharing = _sharing(ordered)
    nodes: list[Node] = []
    y = 0.0
    for number, (_, family) in enumerate(groupby(ordered, key=lambda one: [layer.diff_id for layer in one.layers])):
        for node in _family(list(family), number, sharing, stable):
            assert node.place is not None
            nodes.append(replace(node, place=(node.place[0], node.place[1] + y)))
        y = max(node.place[1] + node.height for node in nodes if node.place is not None) + 22
    return _Placed(tuple(nodes), y - 22)


def _neighbours(containers: Sequence[StorageContainer]) -> list[StorageContainer]:
    """Those that share layers side by side; else in the given order, which no digest of this machine may change."""
    seen: dict[str, int] = {}
    for one in containers:
        for layer in one.layers:
            seen.setdefault(layer.diff_id, len(seen))
    return sorted(containers, key=lambda one: [seen[layer.diff_id] for layer in one.layers])


def _side_by_side(ordered: Sequence[StorageContainer], stable: bool) -> _Placed:
    """A column a container; what lies in the thin layer is listed below its card."""
    if not ordered:
        return _Placed((), 0.0)
    column = min(_WIDEST, (_PAGE - _GAP * (len(ordered) - 1)) / len(ordered))
    deepest = max(len(one.layers) for one in ordered)
    heads = [_head(one, number, column) for number, one in enumerate(ordered)]
    tallest = max(map(_height, heads))
    nodes: list[Node] = []
    for head, one in zip(heads, ordered, strict=True):
        down = tallest - _height(head) + (deepest - len(one.layers)) * (_ROW + 3)
        nodes += [replace(node, place=(node.place[0], node.place[1] + down)) for node in head if node.place]
    for depth in range(deepest):
        nodes += _level(ordered, depth, column, tallest + 4 + (deepest - 1 - depth) * (_ROW + 3), stable)
    return _Placed(tuple(nodes), tallest + 4 + deepest * (_ROW + 3))


def _head(one: StorageContainer, number: int, column: float) -> list[Node]:
    """The container's card and its paths, from y = 0 down."""
    left = number * (column + _GAP)
    told = telling(one.paths)
    nodes = [_card(one, (left, 0.0), column)]
    shown = told if len(told) <= _PATHS else told[: _PATHS - 1]
    for row, path in enumerate(shown):
        nodes.append(_path(one, path, (left + 12, _CARD + 3 + row * (_PATH + 2)), column - 12))
    if len(shown) < len(told):
        nodes.append(
            Node(
                id=f"more-{one.name}",
                kind=Kind.MORE,
                text=f"… and {len(told) - len(shown)} more",
                tooltip="\n".join(f"{WHAT[path.kind]}: {printable(path.path)}" for path in told[len(shown) :][:30]),
                width=round(column - 12),
                height=round(_PATH),
                place=(left + 12, _CARD + 3 + len(shown) * (_PATH + 2)),
            )
        )
    return nodes


def _height(head: Sequence[Node]) -> float:
    return max(node.place[1] + node.height for node in head if node.place is not None)


def _card(one: StorageContainer, place: tuple[float, float], width: float) -> Node:
    counts = [f"{one.count(kind)} {word}" for kind, word in (("A", "new"), ("C", "changed"), ("D", "deleted"))]
    held = ", ".join(count for count in counts if not count.startswith("0 "))
    words = f"{held or 'nothing written'}, {human_size(one.size)}"
    tooltip = f"container {one.name}: {one.status}\nstorage layer on {one.image}\n{words}"
    return Node(
        id=f"container-{one.name}",
        kind=Kind.CONTAINER,
        title=printable(one.name),
        detail=" · ".join(filter(None, (one.status, held))),
        look=Look.CONTAINER,
        chips=(Chip(human_size(one.size), width=62),),
        tooltip=tooltip,
        width=round(width),
        height=round(_CARD),
        place=place,
    )


def _path(one: StorageContainer, path: StoredPath, place: tuple[float, float], width: float) -> Node:
    shown = printable(path.path)
    return Node(
        id=f"path-{one.name}-{path.path}",
        kind=Kind.WHITEOUT if path.kind == "D" else Kind.FILE,
        text=shorten_path(shown, max(8, int((width - 46 - text_width(_SHORT[path.kind], 10.5)) / 7.3))),
        detail=_SHORT[path.kind],
        look=_LOOKS[path.kind],
        struck=path.kind == "D",
        tooltip=f"{shown}\n{WHAT[path.kind]}",
        width=round(width),
        height=round(_PATH),
        place=place,
    )


def _level(ordered: Sequence[StorageContainer], depth: int, column: float, y: float, stable: bool) -> Iterator[Node]:
    """The layers at one height; neighbours that have the same one below the same ones share its slab."""

    def below(pair: tuple[int, StorageContainer]) -> tuple[str, ...]:
        return tuple(layer.diff_id for layer in pair[1].layers[: depth + 1])

    for _, members in groupby(enumerate(ordered), key=below):
        group = list(members)
        first, one = group[0]
        if len(one.layers) <= depth:
            continue
        width = len(group) * column + (len(group) - 1) * _GAP
        names = [member.name for _, member in group]
        yield _slab(one.layers[depth], f"layer-{depth}-{first}", names, (first * (column + _GAP), y), width, stable)


def _slab(
    layer: LayerBox, identity: str, names: Sequence[str], place: tuple[float, float], width: float, stable: bool
) -> Node:
    size = "varies" if stable and layer.local else human_size(layer.size)
    text = created_words(layer.created_by) or "(no history)"
    keyword, _, rest = text.partition(" ") if text.partition(" ")[0].isupper() else ("", "", text)
    shared = len(names) > 1
    readers = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    return Node(
        id=identity,
        kind=Kind.LAYER,
        title=keyword,
        text=rest,
        detail=f"shared by {len(names)}" if shared else "",
        look=Look.SHARED if shared else Look.LAYER,
        chips=(Chip(size, width=62),),
        tooltip=f"image layer\n{text[:600]}\n{size}\nread by {readers}",
        width=round(width),
        height=round(_ROW),
        place=place,
    )


def _sharing(containers: Sequence[StorageContainer]) -> dict[str, list[str]]:
    """Who reads each layer, by diff id."""
    readers: dict[str, list[str]] = {}
    for one in containers:
        for layer in one.layers:
            readers.setdefault(layer.diff_id, []).append(one.name)
    return readers


def _family(
    family: Sequence[StorageContainer], number: int, sharing: dict[str, list[str]], stable: bool
) -> Iterator[Node]:
    """The containers of one image in rows of four, its layers below them."""
    width = (_PAGE - _GAP * (_IN_A_ROW - 1)) / _IN_A_ROW
    for index, one in enumerate(family):
        row, column = divmod(index, _IN_A_ROW)
        yield _card(one, (column * (width + _GAP), row * (_CARD + 6)), width)
    y = -(-len(family) // _IN_A_ROW) * (_CARD + 6) + 2
    layers = family[0].layers
    if not layers:
        yield Node(
            id=f"gone-{number}",
            kind=Kind.NOTE,
            title=f"{plural(len(family), 'container')} whose image is not here any more",
            width=round(_PAGE),
            height=round(_ROW),
            place=(0.0, y),
        )
    for depth, layer in enumerate(reversed(layers)):
        place = (0.0, y + depth * (_ROW + 3))
        yield _slab(layer, f"layer-{len(layers) - 1 - depth}-{number}", sharing[layer.diff_id], place, _PAGE, stable)
