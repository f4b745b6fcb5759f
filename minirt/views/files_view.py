"""The union of an image as a sheet: a row for each path, a column for each layer, what is seen and what is hidden."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from minirt.views.files_rows import Row, rows_of
from minirt.views.graph import Chip, Graph, Kind, LegendItem, Look, Node
from minirt.views.layers_view import LayerBox, created_words
from minirt.views.tables import text_table
from minirt.views.text import human_size, plural, shorten_path
from minirt.views.union import FileLayer, History, Mark, unite

__all__ = ["files_graph", "files_table"]

_WIDTH = 800
_ROW = 26
_LAYER_ROW = 28
_CELL = 30
_COLUMNS = 12
"""With more layers than this there is one column that names the layer."""

_LONGEST = 60
"""Letters of a name in the text twin: one of 255 would push the other columns out of sight."""

_LOOKS = {Mark.VISIBLE: Look.VISIBLE, Mark.HIDDEN: Look.HIDDEN, Mark.WHITEOUT: Look.WHITEOUT}


def files_graph(name: str, layers: Sequence[FileLayer], *, limit: int = 40, stable: bool = False) -> Graph:
    """The files of the image ``name``; ``layers`` from the base up, at most ``limit`` rows.

    ``stable`` leaves out numbers of layers that depend on the machine (:attr:`LayerBox.local`).
    """
    union = unite(layers)
    rows = rows_of(union, layers, limit=limit, stable=stable)
    totals = _totals(union, layers, stable)
    nodes = [*_stack(layers, stable)]
    top = len(layers) * (_LAYER_ROW + 3) + 14.0
    nodes.append(_headings(layers, top))
    nodes += [_row(row, layers, index, top + (index + 1) * (_ROW + 2)) for index, row in enumerate(rows)]
    return Graph(
        id="files",
        title=f"Files of {name}",
        subtitle=totals,
        nodes=tuple(nodes),
        legend=(
            LegendItem(Look.VISIBLE, "this layer's version is seen"),
            LegendItem(Look.HIDDEN, "hidden by a layer above, but still in the image"),
            LegendItem(Look.WHITEOUT, "whiteout: hides the path"),
        ),
        text=_table(name, layers, rows, totals, stable),
    )


def files_table(name: str, layers: Sequence[FileLayer], *, limit: int = 40, stable: bool = False) -> str:
    """The text twin: each path, whether a container sees it, and what each layer did to it."""
    union = unite(layers)
    rows = rows_of(union, layers, limit=limit, stable=stable)
    return _table(name, layers, rows, _totals(union, layers, stable), stable)


def _table(name: str, layers: Sequence[FileLayer], rows: Sequence[Row], totals: str, stable: bool) -> str:
    stack = [
        [str(number), _size(layer.layer, stable), created_words(layer.layer.created_by)[:70]]
        for number, layer in enumerate(layers, 1)
    ]
    lines = [
        ["  " * row.depth + shorten_path(row.name, _LONGEST), "yes" if row.seen else "no", row.words, _story(row)]
        for row in rows
    ]
    parts = [f"Files of {name}. {totals}".rstrip(), text_table(("Layer", "Size", "Made by"), stack, right=(0, 1))]
    if lines:
        parts.append(text_table(("Path", "Seen", "Size", "Layers"), lines, right=(2,)))
    return "\n\n".join(parts)


def _stack(layers: Sequence[FileLayer], stable: bool) -> Iterator[Node]:
    """The layers above the sheet, newest first: what the columns' numbers mean."""
    for index, (number, layer) in enumerate(reversed(list(enumerate(layers, 1)))):
        words = created_words(layer.layer.created_by)
        yield Node(
            id=f"layer-{number}",
            kind=Kind.LAYER,
            title=f"layer {number}",
            text=words,
            look=Look.LAYER,
            chips=(Chip(_size(layer.layer, stable), look=Look.EMPTY, width=74),),
            tooltip=f"layer {number}\n{words[:600]}",
            width=_WIDTH,
            height=_LAYER_ROW,
            place=(0.0, index * (_LAYER_ROW + 3.0)),
        )


def _headings(layers: Sequence[FileLayer], y: float) -> Node:
    if len(layers) > _COLUMNS:
        chips: tuple[Chip, ...] = (Chip("layer", look=Look.EMPTY, width=92),)
    else:
        chips = tuple(Chip(str(number), look=Look.EMPTY, width=_CELL) for number in range(1, len(layers) + 1))
    return Node(
        id="headings",
        kind=Kind.NOTE,
        title="path in the container",
        detail="from layer",
        chips=chips,
        width=_WIDTH,
        height=_ROW,
        place=(0.0, y),
    )


def _row(row: Row, layers: Sequence[FileLayer], index: int, y: float) -> Node:
    kind = Kind.MORE if row.more else Kind.FOLDER if row.folder else Kind.FILE
    return Node(
        id=f"path-{index}" if not row.path else f"path-{row.path.replace('/', '-').replace(' ', '_')}-{index}",
        kind=kind if row.seen else Kind.WHITEOUT,
        text=row.name,
        detail=row.words,
        chips=_cells(row, len(layers)),
        tooltip=f"/{row.path}\n{_story(row)}" if row.path else _story(row),
        width=_WIDTH,
        height=_ROW,
        indent=row.depth * 16,
        look=Look.PLAIN if row.seen else Look.HIDDEN,
        struck=not row.seen,
        place=(0.0, y),
    )


def _cells(row: Row, layers: int) -> tuple[Chip, ...]:
    if layers > _COLUMNS:
        number, mark = max(row.marks.items(), default=(0, None))
        return (Chip(f"layer {number + 1}", look=_LOOKS[mark], width=92),) if mark else ()
    looks = [_LOOKS[row.marks[number]] if number in row.marks else Look.EMPTY for number in range(layers)]
    return tuple(Chip("", look=look, width=_CELL) for look in looks)


def _story(row: Row) -> str:
    """What each layer did, in words."""
    verbs = {Mark.VISIBLE: "from layer", Mark.HIDDEN: "hidden in layer", Mark.WHITEOUT: "whiteout in layer"}
    return ", ".join(f"{verbs[mark]} {number + 1}" for number, mark in sorted(row.marks.items()))


def _totals(union: dict[str, History], layers: Sequence[FileLayer], stable: bool) -> str:
    whiteouts = sum(Mark.WHITEOUT in history.marks.values() for history in union.values())
    varies = {number for number, layer in enumerate(layers) if stable and layer.layer.local}
    hidden = [
        history
        for history in union.values()
        if Mark.HIDDEN in history.marks.values() and not history.directory and not set(history.marks) <= varies
    ]
    shipped = sum(history.bytes_hidden(varies) for history in hidden)
    parts = []
    if not (stable and any(layer.layer.local for layer in layers)):
        seen = sum(history.seen and not history.directory for history in union.values())
        parts.append(f"{plural(seen, 'file')} seen")
    parts.append(f"{plural(len(hidden), 'file')} hidden" if hidden else "nothing hidden")
    if whiteouts:
        parts.append(f"{plural(whiteouts, 'whiteout')}")
    if shipped:
        parts.append(f"{human_size(shipped)} hidden but still in the image")
    return ", ".join(parts)


def _size(layer: LayerBox, stable: bool) -> str:
    return "varies" if stable and layer.local else human_size(layer.size)
