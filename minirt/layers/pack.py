"""Writing a layer: changes and the files they are about, as one tar with the same bytes every time."""

from __future__ import annotations

import os
import stat
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from minirt.errors import LayerError
from minirt.layers.beneath import Beneath, flags
from minirt.layers.blob_file import BlobFile
from minirt.layers.changes import Change, Opaque, Present, Whiteout
from minirt.layers.closed import open_file
from minirt.layers.outflow import Outflow
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

__all__ = ["PackResult", "Packing", "WhiteoutRecord", "pack"]

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
    out: BinaryIO | HashingSink | BlobFile,
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
    with Beneath(upper) as beneath, _finished(changes), Outflow(out) as flow:
        packing = Packing(beneath, flow, source_date_epoch)
        for change in changes:
            packing.take(change)
        return packing.finish()


@contextmanager
def _finished(changes: Iterable[Change]) -> Iterator[None]:
    """After an error, a walk that is left half-way must not keep its directories open."""
    try:
        yield
    finally:
        if isinstance(changes, Generator):
            changes.close()


@dataclass(slots=True)
class Packing:
    """A layer under way: see :func:`pack`. Changes are taken in the order of :func:`~minirt.layers.changes.changes`."""

    beneath: Beneath
    flow: Outflow
    source_date_epoch: int | None = None
    latest: int | None = None
    content: int = 0
    entries: int = 0
    whiteouts: list[WhiteoutRecord] = field(default_factory=list)
    names: dict[tuple[int, int], bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.source_date_epoch is not None:
            self.latest = self.source_date_epoch * 1_000_000_000

    def finish(self) -> PackResult:
        """End the archive."""
        self.flow.add(END)
        self.flow.finish()
        return PackResult(self.flow.digest(), self.flow.size, self.content, self.entries, tuple(self.whiteouts))

    def take(self, change: Change, content: bytes | int | None = None) -> None:
        """The next change. A file's ``content`` may be at hand, or the file be open; otherwise it is opened here."""
        self.entries += 1
        if isinstance(change, Present):
            self._present(change, content)
            return
        directory, _, name = change.path.rpartition("/")
        if isinstance(change, Whiteout):
            marker = f"{directory}/{PREFIX}{name}" if directory else PREFIX + name
        else:
            marker = f"{change.path}/{OPAQUE}" if change.path else OPAQUE
        self.whiteouts.append(WhiteoutRecord(change.path, isinstance(change, Opaque)))
        self.flow.add(entry_header(os.fsencode(marker), FILE))

    def plain(self, path: str, status: os.stat_result, content: bytes) -> None:
        """A regular file with one name, no attributes and real owners, which is what most files are."""
        if path.rpartition("/")[2].startswith(PREFIX):
            raise _named_like_a_whiteout(path)
        self.entries += 1
        self.content += len(content)
        header = entry_header(
            os.fsencode(path),
            FILE,
            mode=status.st_mode & 0o7777,
            uid=status.st_uid,
            gid=status.st_gid,
            size=len(content),
            mtime_ns=status.st_mtime_ns if self.latest is None else min(status.st_mtime_ns, self.latest),
        )
        self.flow.add(b"%s%s%s" % (header, content, bytes(padding(len(content)))))

    def _present(self, change: Present, content: bytes | int | None) -> None:
        if change.path.rpartition("/")[2].startswith(PREFIX):
            raise _named_like_a_whiteout(change.path)
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
            self._content(change, content)
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
        self.flow.add(header)

    def _place(self, change: Present) -> tuple[int, str]:
        *parents, last = change.path.split("/")
        return self.beneath.directory(parents), last

    def _content(self, change: Present, content: bytes | int | None) -> None:
        if not change.size:
            return
        if isinstance(content, bytes):
            self.flow.add(content)
        elif content is not None:
            self.flow.copy(content, change.size)
        else:
            fd, last = self._place(change)
            file = open_file(last, _READ, fd)
            try:
                self.flow.copy(file, change.size)
            finally:
                os.close(file)
        self.flow.add(bytes(padding(change.size)))


def _named_like_a_whiteout(path: str) -> LayerError:
    return LayerError(
        f"{path!r} cannot be in a layer",
        cause="a name that begins with .wh. says in a layer that another file is deleted",
        hint="Give the file another name, or remove it in the same step.",
    )
