"""Writing a layer: changes and the files they are about, as one tar with the same bytes every time."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from minirt.errors import LayerError
from minirt.layers.beneath import Beneath, flags
from minirt.layers.changes import Change, Opaque, Present, Whiteout
from minirt.layers.streams import HashingSink
from minirt.layers.tar_write import (
    BLOCK_DEVICE,
    CHARACTER_DEVICE,
    DIRECTORY,
    END,
    FIFO,
    FILE,
    HARD_LINK,
    SYMBOLIC_LINK,
    entry_header,
    padding,
)
from minirt.layers.whiteouts import OPAQUE, PREFIX
from minirt.model.digest import Digest

__all__ = ["PackResult", "WhiteoutRecord", "pack"]

_BUFFER = 1 << 20
_READ = flags("O_RDONLY", "O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC")
_KINDS = {
    stat.S_IFREG: FILE,
    stat.S_IFDIR: DIRECTORY,
    stat.S_IFLNK: SYMBOLIC_LINK,
    stat.S_IFCHR: CHARACTER_DEVICE,
    stat.S_IFBLK: BLOCK_DEVICE,
    stat.S_IFIFO: FIFO,
}


@dataclass(frozen=True, slots=True)
class WhiteoutRecord:
    """A path that the layer hides; ``opaque``: everything below that directory."""

    path: str
    opaque: bool = False


@dataclass(frozen=True, slots=True)
class PackResult:
    """``size`` is the tar's length and ``content_bytes`` that of the files in it; ``entries`` counts whiteouts too."""

    diff_id: Digest
    size: int
    content_bytes: int
    entries: int
    whiteouts: tuple[WhiteoutRecord, ...] = ()


def pack(
    changes: Iterable[Change],
    upper: Path,
    out: BinaryIO | HashingSink,
    *,
    source_date_epoch: int | None = None,
) -> PackResult:
    """Write the tar of ``changes`` (in their order) to ``out``, reading contents below ``upper``.

    No compression; numeric owners only; times to the nanosecond, and none later than ``source_date_epoch`` (seconds
    since 1970) when given. No change at all gives docker's well-known empty layer of 1024 zeros. A sink that knows its
    digest (a blob writer) is asked for it, so that no byte is hashed twice.

    Raises :class:`LayerError` for a file that is named like a whiteout, :class:`OSError` if one cannot be read;
    errors of ``out`` pass.
    """
    latest = None if source_date_epoch is None else source_date_epoch * 1_000_000_000
    with Beneath(upper) as beneath, _finished(changes):
        packing = _Packing(beneath, _Buffer(out), latest)
        for change in changes:
            packing.take(change)
    packing.buffer.add(END)
    packing.buffer.flush()
    return PackResult(
        packing.buffer.digest(), packing.buffer.size, packing.content, packing.entries, tuple(packing.whiteouts)
    )


@contextmanager
def _finished(changes: Iterable[Change]) -> Iterator[None]:
    """After an error, a walk that is left half-way must not keep its directories open."""
    try:
        yield
    finally:
        if isinstance(changes, Generator):
            changes.close()


@dataclass(slots=True)
class _Packing:
    beneath: Beneath
    buffer: _Buffer
    latest: int | None
    content: int = 0
    entries: int = 0
    whiteouts: list[WhiteoutRecord] = field(default_factory=list)
    names: dict[tuple[int, int], bytes] = field(default_factory=dict)

    def take(self, change: Change) -> None:
        self.entries += 1
        if isinstance(change, Present):
            self._present(change)
            return
        directory, _, name = change.path.rpartition("/")
        if isinstance(change, Whiteout):
            marker = f"{directory}/{PREFIX}{name}" if directory else PREFIX + name
        else:
            marker = f"{change.path}/{OPAQUE}" if change.path else OPAQUE
        self.whiteouts.append(WhiteoutRecord(change.path, isinstance(change, Opaque)))
        self.buffer.add(entry_header(os.fsencode(marker), FILE))

    def _present(self, change: Present) -> None:
        if change.path.rpartition("/")[2].startswith(PREFIX):
            raise LayerError(
                f"{change.path!r} cannot be in a layer",
                cause="a name that begins with .wh. says in a layer that another file is deleted",
                hint="Give the file another name, or remove it in the same step.",
            )
        name = os.fsencode(change.path)
        first = self.names.get(change.inode) if change.inode is not None else None
        if first is not None:
            self._header(change, name, HARD_LINK, link=first)
            return
        if change.inode is not None:
            self.names[change.inode] = name
        if change.kind == stat.S_IFREG:
            self._header(change, name, FILE, size=change.size)
            self.content += change.size
            self._content(change)
        elif change.kind == stat.S_IFDIR:
            self._header(change, name + b"/" if name else b"./", DIRECTORY)
        elif change.kind == stat.S_IFLNK:
            fd, last = self._place(change)
            self._header(change, name, SYMBOLIC_LINK, link=os.fsencode(os.readlink(last, dir_fd=fd)))
        else:
            self._header(change, name, _KINDS[change.kind])

    def _header(self, change: Present, name: bytes, kind: bytes, *, size: int = 0, link: bytes = b"") -> None:
        metadata = change.metadata
        mtime = metadata.mtime_ns or 0
        special = kind in (CHARACTER_DEVICE, BLOCK_DEVICE)
        header = entry_header(
            name,
            kind,
            mode=metadata.mode,
            uid=metadata.uid,
            gid=metadata.gid,
            size=size,
            mtime_ns=mtime if self.latest is None else min(mtime, self.latest),
            link=link,
            device=(os.major(change.number), os.minor(change.number)) if special else (0, 0),
            # A further name of a file shares its attributes with the first.
            xattrs=sorted(metadata.xattrs.items()) if metadata.xattrs and kind != HARD_LINK else (),
        )
        self.buffer.add(header)

    def _place(self, change: Present) -> tuple[int, str]:
        *parents, last = change.path.split("/")
        return self.beneath.directory(parents), last

    def _content(self, change: Present) -> None:
        if not change.size:
            return
        fd, last = self._place(change)
        file = os.open(last, _READ, dir_fd=fd)
        try:
            self.buffer.copy(file, change.size)
        finally:
            os.close(file)
        self.buffer.add(bytes(padding(change.size)))


class _Buffer:
    """Collects headers and contents and passes them on in big pieces; contents are read straight into it."""

    def __init__(self, out: BinaryIO | HashingSink) -> None:
        self._out = out
        self._memory = memoryview(bytearray(_BUFFER))
        self._used = 0
        self._hash = None if hasattr(out, "digest") else hashlib.sha256()
        self.size = 0

    def add(self, data: bytes) -> None:
        if len(data) > _BUFFER - self._used:
            self.flush()
            if len(data) > _BUFFER:
                self._pass(memoryview(data))
                return
        self._memory[self._used : self._used + len(data)] = data
        self._used += len(data)

    def copy(self, fd: int, size: int) -> None:
        """``size`` bytes from an open file; zeros for what is missing if it became shorter meanwhile."""
        left = size
        while left:
            if self._used == _BUFFER:
                self.flush()
            room = self._memory[self._used : self._used + min(left, _BUFFER - self._used)]
            count = os.readv(fd, [room])
            if not count:
                room[:] = bytes(len(room))
                count = len(room)
            self._used += count
            left -= count

    def flush(self) -> None:
        self._pass(self._memory[: self._used])
        self._used = 0

    def digest(self) -> Digest:
        if self._hash is not None:
            return Digest("sha256", self._hash.hexdigest())
        digest: Digest = self._out.digest  # type: ignore[union-attr]  # asked for in __init__
        return digest

    def _pass(self, view: memoryview) -> None:
        if not view:
            return
        if self._hash is not None:
            self._hash.update(view)
        self._out.write(view)
        self.size += len(view)
