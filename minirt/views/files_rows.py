"""Which paths of an image are worth a row: what changed, what is hidden; the rest folded into directories."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from minirt.views.text import human_size, plural, printable
from minirt.views.union import FileLayer, History, Mark

__all__ = ["Row", "rows_of"]

_FEW = 4
"""A directory with at most this many plain files of one layer is shown open."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the sheet. ``marks`` by layer number from 0; ``path`` empty for a line that stands for many."""

    name: str
    path: str
    depth: int
    marks: dict[int, Mark]
    seen: bool = True
    folder: bool = False
    more: bool = False
    words: str = ""


@dataclass(slots=True)
class _Folder:
    name: str
    path: str
    own: History | None = None
    folders: dict[str, _Folder] = field(default_factory=dict)
    files: list[History] = field(default_factory=list)
    closed: bool | None = None
    plain: bool | None = None

    def all_files(self) -> Iterator[History]:
        yield from self.files
        for folder in self.folders.values():
            yield from folder.all_files()

    def everything(self) -> Iterator[History]:
        if self.own is not None:
            yield self.own
        yield from self.files
        for folder in self.folders.values():
            yield from folder.everything()


def rows_of(union: dict[str, History], layers: Sequence[FileLayer], *, limit: int, stable: bool) -> list[Row]:
    """At most ``limit`` rows (and one that counts the rest), in the order of a directory listing."""
    local = {number for number, layer in enumerate(layers) if layer.layer.local} if stable else set()
    kept = _elsewhere(union, local)
    folder = _tree(kept)
    rows: list[Row] = []
    for most in (24, 12, 6, 3):
        rows = list(_open(folder, 0, most, len(layers)))
        if len(rows) <= limit:
            break
    left = len(rows) - limit
    if left > 0:
        rows = [*rows[:limit], Row(f"… and {plural(left, 'line')} more", "", 0, {}, more=True)]
    if len(kept) < len(union):
        marks = dict.fromkeys(sorted(local), Mark.VISIBLE)
        rows.append(Row("… and everything else of the base", "", 0, marks, more=True))
    return [replace(row, name=printable(row.name), path=printable(row.path)) for row in rows]


def _elsewhere(union: dict[str, History], local: set[int]) -> dict[str, History]:
    """The union as far as it is the same on every machine, whatever the layers ``local`` hold."""
    if not local:
        return union
    kept = {path: history for path, history in union.items() if not set(history.marks) <= local}
    parents = {path[:end] for path in kept for end in range(len(path)) if path[end] == "/"}
    # Which layer a directory came from first depends on the base; its contents say enough.
    return {
        path: replace(history, sizes={n: size for n, size in history.sizes.items() if n not in local})
        for path, history in kept.items()
        if not (history.directory and history.seen and path in parents)
    }


def _tree(union: dict[str, History]) -> _Folder:
    root = _Folder("", "")
    for path, history in union.items():
        *parents, name = path.split("/")
        folder = root
        for parent in parents:
            folder = folder.folders.setdefault(parent, _Folder(parent, f"{folder.path}/{parent}".lstrip("/")))
        if history.directory:
            folder.folders.setdefault(name, _Folder(name, path)).own = history
        else:
            folder.files.append(history)
    return root


def _open(folder: _Folder, depth: int, most: int, layers: int) -> Iterator[Row]:
    """The rows inside ``folder``: sub-directories and files by name, at most ``most`` of them."""
    entries: list[tuple[str, _Folder | History]] = [
        *((name, sub) for name, sub in folder.folders.items()),
        *((history.path.rpartition("/")[2], history) for history in folder.files),
    ]
    entries.sort(key=lambda entry: entry[0])
    shown = _worth_showing([entry for _, entry in entries], most, layers)
    for name, entry in entries:
        if id(entry) not in shown:
            continue
        if isinstance(entry, History):
            yield _file(name, entry, depth)
        elif _is_closed(entry):
            yield _whole(name, entry, depth)
        else:
            yield _folder(name, entry, depth)
            yield from _open(entry, depth + 1, most, layers)
    left = len(entries) - len(shown)
    if left > 0:
        yield Row(f"… and {left} more", "", depth, _marks_of(entries, shown), more=True)


def _worth_showing(entries: list[_Folder | History], most: int, layers: int) -> set[int]:
    """The ids of at most ``most`` of them: what a layer changed or hid comes before what merely is there."""
    if layers == 1:
        return {id(entry) for entry in entries[:most]}
    changed = [entry for entry in entries if not _plain(entry)]
    still = [entry for entry in entries if _plain(entry)]
    still.sort(key=lambda entry: entry.kind != "file" if isinstance(entry, History) else not any(entry.all_files()))
    room = len(still) if len(still) <= _FEW + 1 else _FEW
    return {id(entry) for entry in (*changed, *still[:room])[:most]}


def _plain(entry: _Folder | History) -> bool:
    """Whether nothing happened to it since the base. Asked often, so remembered."""
    if isinstance(entry, History):
        return entry.plain and entry.layer == 0
    if entry.plain is None:
        entry.plain = all(map(_plain, entry.files)) and all(map(_plain, entry.folders.values()))
    return entry.plain


def _is_closed(folder: _Folder) -> bool:
    if folder.closed is None:
        folder.closed = _closed(folder)
    return folder.closed


def _closed(folder: _Folder) -> bool:
    """Whether one row says it all: everything below has the same story, and opening it would teach nothing."""
    files = list(folder.all_files())
    stories = {tuple(sorted(history.marks.items())) for history in files}
    changed = [history for history in folder.everything() if history.directory and not history.plain]
    if len(stories) > 1 or any(history is not folder.own for history in changed):
        return False
    return stories <= {((0, Mark.VISIBLE),)} or len(files) > _FEW


def _file(name: str, history: History, depth: int) -> Row:
    words = _gone(history) if not history.seen else human_size(history.size) if history.kind == "file" else history.kind
    return Row(name, history.path, depth, history.marks, seen=history.seen, words=words)


def _gone(history: History) -> str:
    lost = history.bytes_hidden()
    return f"{human_size(lost)} hidden" if lost else "hidden"


def _folder(name: str, folder: _Folder, depth: int) -> Row:
    own = folder.own
    marks = own.marks if own is not None else {}
    return Row(f"{name}/", folder.path, depth, marks, seen=own is None or own.seen, folder=True)


def _whole(name: str, folder: _Folder, depth: int) -> Row:
    files = list(folder.all_files())
    own = folder.own
    marks = own.marks if own is not None and (not files or not own.seen) else files[0].marks if files else {}
    seen = any(history.seen for history in files) if files else own is None or own.seen
    size = sum(history.size if seen else history.bytes_hidden() for history in files)
    words = f"{plural(len(files), 'file')}, {human_size(size)}" if files else "empty" if seen else ""
    return Row(
        f"{name}/", folder.path, depth, marks, seen=seen, folder=True, words=words if seen else f"{words} hidden"
    )


def _marks_of(entries: Sequence[tuple[str, _Folder | History]], shown: set[int]) -> dict[int, Mark]:
    """Where the rows that are not shown come from."""
    numbers = set()
    for _, entry in entries:
        if id(entry) not in shown:
            histories = [entry] if isinstance(entry, History) else list(entry.all_files())
            numbers |= {history.layer for history in histories if history.layer is not None}
    return dict.fromkeys(sorted(numbers), Mark.VISIBLE)
