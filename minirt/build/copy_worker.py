"""COPY, ADD and WORKDIR where they happen: inside the sandbox's worker, with the image's root mounted.

The list of files comes from :mod:`minirt.build.selection`; here they are written. Nothing in the image can lead a
write out of it: the destination's links are followed within the root first, and everything below is made by
descriptor without following links. Semantics are BuildKit's (fsutil ``copy.Copy``): a directory means its contents,
a trailing slash means "into", parents are made 0755 with the owner of ``--chown``, nested directories that exist
take the source's mode, and the destination itself takes only its time.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field

from minirt.build.copy_files import Target, copy_content, copy_one, dress, set_owner, set_times
from minirt.build.copy_packing import TreePacking
from minirt.build.selection import Item
from minirt.errors import CopyFailed
from minirt.layers.metadata import set_directory_mode

__all__ = ["close_directories", "copy_found", "make_directories"]

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FEW = 32


def make_directories(target: Target, path: str) -> str:
    """Like ``mkdir -p`` in the image: new directories have ``parents_owner`` and ``parents_mode``.

    Returns the full path.

    Raises :class:`CopyFailed` if a file is in the way.
    """
    full = target.place(path)
    missing = []
    here = full
    while not os.path.lexists(here):
        missing.append(here)
        here = os.path.dirname(here)
    if not os.path.isdir(here):
        raise CopyFailed(
            f"cannot make the directory /{path.strip('/')}",
            cause=f"{_shown(target, here)} is in the way and is not a directory",
        )
    for new in reversed(missing):
        os.mkdir(new, 0o755)
        os.chmod(new, 0o755)
        set_owner(new, target.parents_owner, target.parents_mode)
        target.made_parents.append(new)
        if target.epoch is not None:
            os.utime(new, ns=(target.epoch * 10**9,) * 2)
    return full


def close_directories(target: Target) -> None:
    """Give the directories that were made on the way their mode."""
    if target.parents_mode != 0o755:
        for path in reversed(target.made_parents):
            set_directory_mode(path, target.parents_mode)
    target.made_parents.clear()


def copy_found(
    target: Target, source: str, name: str, items: Sequence[Item], destination: str, *, timed: bool = True
) -> None:
    """Copy one source (the file or directory at ``source``, called ``name``) to ``destination`` in the image.

    ``destination`` is absolute; with a trailing slash it is a directory. ``timed``: a destination that gets a
    directory's contents gets its time too. Raises :class:`CopyFailed`.
    """
    target.links.clear()
    top = items[0]
    into = destination.endswith(("/", "/.")) or destination in ("", ".")
    make_directories(target, destination if into else os.path.dirname(destination))
    full = target.place(destination)
    if stat.S_ISDIR(top.mode):
        _copy_tree(target, source, items, full, timed)
        return
    if os.path.isdir(full):
        full = os.path.join(full, name)  # a link of that name is replaced, not followed, as any file is
    parent = os.open(os.path.dirname(full), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    source_parent = os.open(os.path.dirname(source) or "/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        copy_one(target, source_parent, os.path.basename(source), parent, os.path.basename(full), top, fresh=False)
    finally:
        os.close(source_parent)
        os.close(parent)


@dataclass(slots=True)
class _Level:
    """A directory that is being filled.

    ``made`` is it, ``past`` the names that were in it before us. ``direct`` is where new names are made: the
    same directory in the overlay's upper one, or ``made`` again. The ``top`` keeps its owner and mode, and is ``timed``
    like its source.
    """

    path: str
    source: int
    made: int
    past: frozenset[str]
    item: Item
    top: bool = False
    timed: bool = True
    direct: int = -1
    waiting: list[Item] = field(default_factory=list)

    def new(self, target: Target) -> int:
        """The descriptor to make new names at."""
        if self.direct < 0:
            self.direct = _upper_twin(target, self.made) if target.upper else self.made
        return self.direct

    def close(self) -> None:
        for fd in {self.source, self.made, self.direct} - {-1}:
            os.close(fd)


def _upper_twin(target: Target, made: int) -> int:
    """The directory ``made`` of the overlay as it is in the upper directory, where it is brought if need be."""
    assert target.upper is not None
    found = os.fstat(made)
    os.utime(made, ns=(found.st_atime_ns, found.st_mtime_ns))  # any change makes overlayfs copy it up
    path = os.path.relpath(os.readlink(f"/proc/self/fd/{made}"), target.root)
    return os.open(os.path.join(target.upper, path), _DIRECTORY)


def _copy_tree(target: Target, source: str, items: Sequence[Item], full: str, timed: bool) -> None:
    levels = [_enter_top(target, source, items[0], full, timed)]
    packing = None
    try:
        if target.packing is not None:
            packing = TreePacking(target.packing, levels[0].new(target), target, levels[0].past, items, timed=timed)
        for item in items[1:]:
            directory, _, name = item.path.rpartition("/")
            while levels[-1].path != directory:
                _leave(target, levels.pop(), packing)
            if stat.S_ISDIR(item.mode):
                levels.append(_enter(target, levels[-1], name, item, packing))
            else:
                _copy_entry(target, levels[-1], name, item, packing)
        while levels:
            _leave(target, levels.pop(), packing)
        if packing is not None:
            packing.finish()
    finally:
        for level in levels:
            level.close()
        if packing is not None:
            packing.close()


def _copy_entry(target: Target, level: _Level, name: str, item: Item, packing: TreePacking | None) -> None:
    fresh = name not in level.past
    if fresh and stat.S_ISREG(item.mode) and item.links == 1:
        if packing is not None:
            packing.file(target, level.source, level.new(target), name, item)
        else:
            level.waiting.append(item)
        return
    made = level.new(target) if fresh else level.made
    copy_one(target, level.source, name, made, name, item, fresh=fresh)
    if packing is not None:
        packing.entry(item, level.new(target), name)


def _enter_top(target: Target, source: str, item: Item, full: str, timed: bool) -> _Level:
    """The destination itself: made like a parent if it is missing, and left as it is if it is there."""
    if os.path.lexists(full) and not os.path.isdir(full):
        raise _not_a_directory(target, full)
    make_directories(target, os.path.relpath(full, target.root))
    source_fd = os.open(source, _DIRECTORY)
    made = os.open(full, _DIRECTORY)
    return _Level("", source_fd, made, frozenset(os.listdir(made)), item, top=True, timed=timed)


def _enter(target: Target, level: _Level, name: str, item: Item, packing: TreePacking | None) -> _Level:
    fresh = name not in level.past
    parent = level.new(target) if fresh else level.made
    if fresh:
        os.mkdir(name, 0o700, dir_fd=parent)
    try:
        made = os.open(name, _DIRECTORY, dir_fd=parent)
    except OSError as error:
        if error.errno in (errno.ENOTDIR, errno.ELOOP):
            raise _not_a_directory(target, name) from None
        raise
    source = os.open(name, _DIRECTORY, dir_fd=level.source)
    past = frozenset() if fresh else frozenset(os.listdir(made))
    entered = _Level(item.path, source, made, past, item, direct=made if fresh else -1)
    if packing is not None:
        dress(target, made, item, directory=True)
        packing.directory(item, entered.new(target))
    return entered


def _leave(target: Target, level: _Level, packing: TreePacking | None) -> None:
    """Times last: filling a directory changes its time."""
    _copy_waiting(target, level)
    if level.top or packing is not None:
        if level.timed:
            set_times(target, level.made, level.item)
    else:
        dress(target, level.made, level.item, directory=True)
    level.close()
    target.files += 1


def _copy_waiting(target: Target, level: _Level) -> None:
    """The new plain files of a directory, which are nearly all: by several threads if they are many."""
    files = level.waiting
    if not files:
        return
    made = level.new(target)

    def some(part: Sequence[Item]) -> int:
        written = 0
        for item in part:
            name = item.path.rpartition("/")[2]
            written += copy_content(target, level.source, name, made, name, item)
        return written

    threads = min(4, os.cpu_count() or 1)
    if len(files) < _FEW or threads == 1:
        target.bytes += some(files)
    else:
        parts = [files[start::threads] for start in range(threads)]
        target.bytes += sum(target.threads().map(some, parts))
    target.files += len(files)
    files.clear()


def _not_a_directory(target: Target, path: str) -> CopyFailed:
    return CopyFailed(
        f"cannot copy a directory over {_shown(target, path)}",
        cause="the image already has something there that is not a directory",
        hint="Copy to another name, or remove it in an earlier RUN.",
    )


def _shown(target: Target, full: str) -> str:
    return "/" + os.path.relpath(full, target.root) if full.startswith(target.root) else full
