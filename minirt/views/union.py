"""The union of an image's layers, path by path: who wrote it, what hides it, what a container sees."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from minirt.views.layers_view import LayerBox

__all__ = ["FileEntry", "FileLayer", "History", "Mark", "unite"]


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One entry of a layer. ``path`` is relative to the root, without ``./`` and without ``.wh.``.

    ``kind`` is ``file``, ``directory``, ``symbolic link``, …; ``whiteout`` hides ``path`` of lower layers,
    ``opaque`` all that lower layers have below the directory ``path``.
    """

    path: str
    kind: str = "file"
    size: int = 0
    whiteout: bool = False
    opaque: bool = False


@dataclass(frozen=True, slots=True)
class FileLayer:
    """A layer with its entries."""

    layer: LayerBox
    entries: tuple[FileEntry, ...]


class Mark(StrEnum):
    """What one layer does to one path."""

    VISIBLE = "visible"
    HIDDEN = "hidden"
    WHITEOUT = "whiteout"


@dataclass(slots=True)
class History:
    """A path through all layers (numbered from 0, the base): ``marks`` by layer, ``size`` of the version seen."""

    path: str
    directory: bool = False
    kind: str = "file"
    marks: dict[int, Mark] = field(default_factory=dict)
    size: int = 0
    sizes: dict[int, int] = field(default_factory=dict)

    @property
    def seen(self) -> bool:
        return Mark.VISIBLE in self.marks.values()

    @property
    def layer(self) -> int | None:
        """The number of the layer that the seen version comes from."""
        return next((number for number, mark in self.marks.items() if mark is Mark.VISIBLE), None)

    @property
    def plain(self) -> bool:
        """Written once and never hidden."""
        return len(self.marks) == 1 and self.seen

    def bytes_hidden(self, without: Collection[int] = ()) -> int:
        """Bytes of the versions that nobody sees any more, but for those in the layers ``without``."""
        hidden = (number for number, mark in self.marks.items() if mark is Mark.HIDDEN and number not in without)
        return sum(self.sizes.get(number, 0) for number in hidden)

    def hide(self) -> None:
        """A higher layer hides what was seen so far."""
        for number, mark in self.marks.items():
            if mark is Mark.VISIBLE:
                self.marks[number] = Mark.HIDDEN
        self.size = 0


def unite(layers: Sequence[FileLayer]) -> dict[str, History]:
    """Every path that any layer names, sorted. Directories merge: a second entry for one hides nothing."""
    union: dict[str, History] = {}
    folders: set[str] = set()
    for number, layer in enumerate(layers):
        # Within a layer whiteouts speak of the layers below, whatever their order in the tar (image-spec, layer.md).
        for entry in layer.entries:
            if entry.whiteout or entry.opaque:
                _hide(union, folders, number, entry)
        for entry in layer.entries:
            if not (entry.whiteout or entry.opaque):
                _write(union, folders, number, entry)
    return dict(sorted(union.items(), key=lambda item: item[0].split("/")))


def _write(union: dict[str, History], folders: set[str], number: int, entry: FileEntry) -> None:
    path = entry.path.strip("/")
    if not path:
        return
    history = union.get(path)
    if history is None:
        history = union[path] = History(path)
        _remember(folders, path)
    directory = entry.kind == "directory"
    if history.directory and directory and history.seen:
        return
    if history.seen:
        history.hide()
        if history.directory and not directory:
            _hide_below(union, folders, path)
    history.directory = directory
    history.kind = entry.kind
    history.marks[number] = Mark.VISIBLE
    history.size = history.sizes[number] = entry.size


def _hide(union: dict[str, History], folders: set[str], number: int, entry: FileEntry) -> None:
    path = _real_path(entry.path)
    _hide_below(union, folders, path)
    if entry.whiteout:
        history = union.setdefault(path, History(path))
        history.hide()
        history.marks[number] = Mark.WHITEOUT


def _remember(folders: set[str], path: str) -> None:
    """All directories above ``path`` have something below them."""
    folder = path.rpartition("/")[0]
    while folder and folder not in folders:
        folders.add(folder)
        folder = folder.rpartition("/")[0]


def _hide_below(union: dict[str, History], folders: set[str], path: str) -> None:
    # Most whiteouts are of files: those need no look at every path there is.
    if path and path not in folders:
        return
    prefix = f"{path}/" if path else ""
    for name, history in union.items():
        if name.startswith(prefix):
            history.hide()


def _real_path(path: str) -> str:
    folder, slash, name = path.strip("/").rpartition("/")
    return folder + slash + name.removeprefix(".wh.")
