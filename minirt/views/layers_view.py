"""Images as stacks of layers: a layer that several images share is drawn once, and carries them all.

The base lies at the bottom, as in a real stack; a shared layer is as wide as everything that stands on it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from minirt.views.graph import Chip, Edge, EdgeKind, Graph, Kind, LegendItem, Look, Node
from minirt.views.tables import text_table
from minirt.views.text import clean, human_size, plural

__all__ = ["ImageStack", "LayerBox", "created_words", "layers_graph", "layers_table"]

_PAGE = 844.0
_GAP = 16.0
_NARROWEST = 199.0
_WIDEST = 460.0
_IN_A_ROW = 4
_NOISE = re.compile(r"^(?:RUN )?(?:\|\d+ .*? )?/bin/sh -c (?:#\(nop\)\s*)?|\s*# (?:buildkit|minirt/base)$")


@dataclass(frozen=True, slots=True)
class LayerBox:
    """A layer of an image. ``size`` in bytes; ``created_by`` as in the image's history.

    ``local`` says that its content was made from this machine (minirt/base): its size and id then differ elsewhere.
    """

    diff_id: str
    size: int
    created_by: str = ""
    local: bool = False


@dataclass(frozen=True, slots=True)
class ImageStack:
    """An image: its names, its id, its layers from the base up, and the instructions that made no layer."""

    name: str
    id: str
    layers: tuple[LayerBox, ...]
    config: tuple[str, ...] = ()


@dataclass(slots=True)
class _Slab:
    """A layer at one place of the tree: what stands on it, and whose it is."""

    layer: LayerBox | None
    number: int = 0
    depth: int = 0
    above: dict[str, _Slab] = field(default_factory=dict)
    tops: list[ImageStack] = field(default_factory=list)

    def images(self) -> list[ImageStack]:
        return [*self.tops, *(image for slab in self.above.values() for image in slab.images())]


def layers_graph(images: Sequence[ImageStack], *, stable: bool = False) -> Graph:
    """The picture of ``images``. ``stable`` leaves out ids, and sizes that depend on the machine."""
    ground = _tree(images)
    nodes, edges = _lanes(ground, images, stable) if images else ([_nothing()], [])
    return Graph(
        id="layers",
        title="Layers of " + ", ".join(image.name for image in images) if images else "No images yet",
        subtitle=_totals(ground, images, stable),
        nodes=tuple(nodes),
        edges=tuple(edges),
        legend=_legend(images),
        text=layers_table(images, stable=stable),
        upwards=True,
    )


def _lanes(ground: _Slab, images: Sequence[ImageStack], stable: bool) -> tuple[list[Node], list[Edge]]:
    """Up to four images side by side; more in several lanes below each other, relatives together."""
    if len(images) <= _IN_A_ROW:
        return list(_Painter(ground, len(images), stable).nodes()), list(_edges(ground))
    nodes: list[Node] = []
    edges: list[Edge] = []
    y = 0.0
    ordered = _relatives(ground)
    for number, start in enumerate(range(0, len(ordered), _IN_A_ROW)):
        lane = _tree(ordered[start : start + _IN_A_ROW])
        painted = list(_Painter(lane, _IN_A_ROW, stable, _owners(images)).nodes())
        down = y - min(node.place[1] for node in painted if node.place is not None)
        for node in painted:
            assert node.place is not None
            nodes.append(replace(node, id=f"{node.id}-{number}", place=(node.place[0], node.place[1] + down)))
        edges += [replace(e, source=f"{e.source}-{number}", target=f"{e.target}-{number}") for e in _edges(lane)]
        y = max(node.place[1] + node.height for node in nodes if node.place is not None) + 20
    return nodes, edges


def _relatives(slab: _Slab) -> list[ImageStack]:
    """All images on ``slab``, in the order in which the painter sets them from left to right."""
    return [*(image for above in slab.above.values() for image in _relatives(above)), *slab.tops]


def _owners(images: Sequence[ImageStack]) -> dict[str, list[str]]:
    """The names of the images that have each layer, by diff id."""
    owners: dict[str, list[str]] = {}
    for image in images:
        for layer in image.layers:
            owners.setdefault(layer.diff_id, []).append(image.name)
    return owners


def layers_table(images: Sequence[ImageStack], *, stable: bool = False) -> str:
    """The text twin: a row for each layer of each image, from the base up."""
    owners = _owners(images)
    rows = []
    for image in images:
        for number, layer in enumerate(image.layers, 1):
            others = [name for name in dict.fromkeys(owners[layer.diff_id]) if name != image.name]
            row = [image.name, str(number), _size(layer, stable), ", ".join(others) or "no other"]
            rows.append([*row, *(() if stable else (_short(layer.diff_id),)), created_words(layer.created_by)[:70]])
    headings = ["Image", "Layer", "Size", "Shared with", *(() if stable else ("Diff id",)), "Made by"]
    head = "Layers, from the base up. " + _totals(_tree(images), images, stable) if images else "There are no images."
    return f"{head}\n\n{text_table(headings, rows, right=(1, 2))}" if rows else head


def created_words(created_by: str) -> str:
    """A history line without what older builders wrapped around it."""
    text = clean(created_by)
    was_run = re.match(r"^(?:RUN )?(?:\|\d+ .*? )?/bin/sh -c (?!#\(nop\))", text)
    text = _NOISE.sub("", text)
    return f"RUN {text}" if was_run else text


def _tree(images: Sequence[ImageStack]) -> _Slab:
    ground = _Slab(None, depth=-1)
    count = 0
    for image in images:
        slab = ground
        for layer in image.layers:
            if layer.diff_id not in slab.above:
                slab.above[layer.diff_id] = _Slab(layer, count, slab.depth + 1)
                count += 1
            slab = slab.above[layer.diff_id]
        slab.tops.append(image)
    return ground


def _slabs(slab: _Slab) -> Iterator[_Slab]:
    for above in slab.above.values():
        yield above
        yield from _slabs(above)


class _Painter:
    """Places the tree: columns for the images, a shared slab under all that stand on it."""

    def __init__(self, ground: _Slab, images: int, stable: bool, owners: dict[str, list[str]] | None = None) -> None:
        """``owners``: whose each layer is, where more images have it than are drawn here."""
        self.ground = ground
        self.owners = owners
        self.stable = stable
        self.single = images == 1
        self.column = min(_WIDEST, max(_NARROWEST, (_PAGE - _GAP * (images - 1)) / images))
        self.deepest = max((slab.depth for slab in _slabs(ground)), default=-1) + 1
        self.row = 26 if self.deepest > 12 else 36
        self.count = 0

    def nodes(self) -> Iterator[Node]:
        yield from self._stand(self.ground, 0.0)

    def _width(self, slab: _Slab) -> float:
        parts = len(slab.tops) * self.column + sum(self._width(above) for above in slab.above.values())
        return parts + _GAP * (len(slab.tops) + len(slab.above) - 1)

    def _stand(self, slab: _Slab, left: float) -> Iterator[Node]:
        if slab.layer is not None:
            yield self._slab(slab, slab.layer, left)
        # What goes on standing comes first, so that the columns of one family stay together.
        for above in slab.above.values():
            yield from self._stand(above, left)
            left += self._width(above) + _GAP
        for image in slab.tops:
            yield self._top(slab, image, left)
            left += self.column + _GAP

    def _y(self, depth: int) -> float:
        return 56.0 + (self.deepest - 1 - depth) * (self.row + 3.0)

    def _slab(self, slab: _Slab, layer: LayerBox, left: float) -> Node:
        owners = self.owners[layer.diff_id] if self.owners else [image.name for image in slab.images()]
        shared = len(owners) > 1
        words = f"shared by {len(owners)}" if shared else "" if self.single else "only here"
        identity = "" if self.stable else _short(layer.diff_id)
        text = created_words(layer.created_by) or "(no history)"
        keyword, _, rest = text.partition(" ") if text.partition(" ")[0].isupper() else ("", "", text)
        tooltip = [text[:600], _size(layer, self.stable), f"in {', '.join(owners)}", identity and layer.diff_id]
        return Node(
            id=f"layer-{slab.number}",
            kind=Kind.LAYER,
            title=keyword,
            text=rest,
            detail=" · ".join(part for part in (words, identity) if part),
            look=Look.SHARED if shared else Look.LAYER if self.single else Look.UNIQUE,
            chips=(Chip(_size(layer, self.stable), width=62),),
            tooltip="\n".join(part for part in tooltip if part),
            width=round(self._width(slab)),
            height=self.row,
            place=(left, self._y(slab.depth)),
        )

    def _top(self, slab: _Slab, image: ImageStack, left: float) -> Node:
        self.count += 1
        identity = "" if self.stable else _short(image.id)
        config = "\n".join(f"config only: {created_words(line)[:120]}" for line in image.config[:12])
        return Node(
            id=f"image-{self.count - 1}",
            kind=Kind.IMAGE,
            title=image.name,
            text=identity,
            detail=_image_words(image, self.stable),
            look=Look.IMAGE,
            tooltip="\n".join(part for part in (image.name, _image_words(image, self.stable), config) if part),
            width=round(self.column),
            height=44,
            place=(left, self._y(slab.depth) - 44 - 8),
        )


def _image_words(image: ImageStack, stable: bool) -> str:
    words = plural(len(image.layers), "layer")
    if stable and any(layer.local for layer in image.layers):
        return words
    return f"{words}, {human_size(sum(layer.size for layer in image.layers))}"


def _edges(ground: _Slab) -> Iterator[Edge]:
    """What stands on what. Not drawn (they touch), but a viewer can trace them."""
    count = 0

    def walk(slab: _Slab) -> Iterator[Edge]:
        nonlocal count
        # In the order in which the painter numbers the images.
        for above in slab.above.values():
            if slab.layer is not None:
                yield Edge(f"layer-{slab.number}", f"layer-{above.number}", EdgeKind.STACK)
            yield from walk(above)
        for _ in slab.tops:
            if slab.layer is not None:
                yield Edge(f"layer-{slab.number}", f"image-{count}", EdgeKind.NAMES)
            count += 1

    yield from walk(ground)


def _totals(ground: _Slab, images: Sequence[ImageStack], stable: bool) -> str:
    """How much sharing saves. One diff id is one set of bytes, wherever in the tree it stands."""
    kept = {slab.layer.diff_id: slab.layer for slab in _slabs(ground) if slab.layer is not None}
    words = f"{plural(len(images), 'image')}, {plural(len(kept), 'different layer')}"
    if stable and any(layer.local for layer in kept.values()):
        return words
    stored = sum(layer.size for layer in kept.values())
    counted = sum(layer.size for image in images for layer in image.layers)
    saved = f"; without sharing it would be {human_size(counted)}" if counted > stored else ""
    return f"{words}, {human_size(stored)} on disk{saved}"


def _legend(images: Sequence[ImageStack]) -> tuple[LegendItem, ...]:
    image = LegendItem(Look.IMAGE, "image")
    if len(images) < 2:
        return (image, LegendItem(Look.LAYER, "layer")) if images else ()
    return (image, LegendItem(Look.SHARED, "layer of several images"), LegendItem(Look.UNIQUE, "layer of one image"))


def _nothing() -> Node:
    return Node(
        id="nothing",
        kind=Kind.NOTE,
        title="There are no images",
        detail="Build one with a %%dockerfile cell, or pull one.",
        place=(0.0, 0.0),
    )


def _size(layer: LayerBox, stable: bool) -> str:
    return "varies" if stable and layer.local else human_size(layer.size)


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12]
