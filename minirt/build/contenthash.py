"""What the files of a COPY *are*: one digest over everything that goes into the layer, and nothing else.

Contents, names, kinds, permission bits, link targets, owners and extended attributes count; times do not
(so that a fresh ``git clone`` hits the cache of the old one). File contents are remembered by ``stat``: a file whose
inode, size and times are those of last time is not read again.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from minirt.build.selection import Item
from minirt.layers.holes import data_ranges
from minirt.store.files import atomic_write

__all__ = ["ContentDigest", "FileHashes", "digest_items", "one_digest"]

# A file changed so recently may change again within the same tick of the clock that stamps it.
_SETTLED = 50_000_000  # nanoseconds
_CHUNK = 1 << 20
_MANY_BYTES = 4 << 20
_VERSION = 1


class FileHashes:
    """sha256 of file contents under one directory, kept in ``where`` (None: not kept). Safe from several threads."""

    def __init__(self, where: Path | None) -> None:
        self._where = where
        self._mutex = threading.Lock()
        self._known: dict[str, list[int | str]] | None = None
        self._changed = False

    def of(self, directory: str, items: Sequence[Item]) -> list[str]:
        """The hex digests of the regular files among ``items`` (paths below ``directory``), "" for the others.

        Raises ``OSError`` with the path for what cannot be read.
        """
        with self._mutex:
            known = self._load()
            found = [self._remembered(known, item) for item in items]
            todo = [index for index, digest in enumerate(found) if digest is None]
            started = time.time_ns()
            for index, digest in zip(todo, _hash_all(directory, [items[index] for index in todo]), strict=True):
                found[index] = digest
                self._remember(known, items[index], digest, started)
            return [digest or "" for digest in found]

    def save(self) -> None:
        """Write what was learnt; the next build starts from it."""
        with self._mutex:
            if self._where is None or not self._changed or self._known is None:
                return
            self._where.parent.mkdir(parents=True, exist_ok=True)
            data = json.dumps({"version": _VERSION, "files": self._known}, separators=(",", ":")).encode()
            atomic_write(self._where, data, durable=False)
            self._changed = False

    def _load(self) -> dict[str, list[int | str]]:
        if self._known is None:
            self._known = {}
            try:
                data = json.loads(self._where.read_bytes()) if self._where else {}
                if data.get("version") == _VERSION:
                    self._known = data["files"]
            except (OSError, ValueError, KeyError, AttributeError):
                pass  # it is only a memory: whatever is wrong with it, the files are read again
        return self._known

    @staticmethod
    def _remembered(known: dict[str, list[int | str]], item: Item) -> str | None:
        if not stat.S_ISREG(item.mode):
            return ""
        entry = known.get(f"{item.device}:{item.inode}")
        if entry is not None and entry[:3] == [item.size, item.mtime, item.ctime]:
            return str(entry[3])
        return None

    def _remember(self, known: dict[str, list[int | str]], item: Item, digest: str, started: int) -> None:
        if max(item.mtime, item.ctime) < started - _SETTLED:
            known[f"{item.device}:{item.inode}"] = [item.size, item.mtime, item.ctime, digest]
            self._changed = True


def _hash_all(directory: str, items: Sequence[Item]) -> Iterable[str]:
    def some(part: Sequence[Item]) -> list[str]:
        return [_hash_file(f"{directory}/{item.path}" if item.path else directory, item.size) for item in part]

    workers = min(4, os.cpu_count() or 1)
    if workers == 1 or sum(item.size for item in items) < _MANY_BYTES:
        return some(items)
    # hashlib and read let go of the interpreter's lock. One task a thread: a task a file would cost more than it gains.
    size = -(-len(items) // workers)
    with ThreadPoolExecutor(workers) as pool:
        parts = pool.map(some, [items[start : start + size] for start in range(0, len(items), size)])
        return [digest for part in parts for digest in part]


def _hash_file(path: str, size: int) -> str:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        hasher = hashlib.sha256()
        status = os.fstat(fd)
        if status.st_size >= _MANY_BYTES and status.st_blocks * 512 < status.st_size // 2:
            _add_parts(hasher, fd, status.st_size)
            return hasher.hexdigest()
        while data := os.read(fd, min(_CHUNK, size + 1)):
            hasher.update(data)
        return hasher.hexdigest()
    finally:
        os.close(fd)


def _add_parts(hasher: Any, fd: int, size: int) -> None:
    """A file of mostly holes: where its data is, and the data. The same bytes without holes count as another file."""
    hasher.update(b"sparse %d\n" % size)
    for start, end in data_ranges(fd, size):
        hasher.update(b"%d %d\n" % (start, end))
        os.lseek(fd, start, os.SEEK_SET)
        while start < end and (data := os.read(fd, min(_CHUNK, end - start))):
            hasher.update(data)
            start += len(data)


class ContentDigest:
    """Adds up one COPY's sources: the digest for the cache key, and a short mark per file to say what changed."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.marks: dict[str, str] = {}

    def add(self, name: str, items: Sequence[Item], digests: Sequence[str], *, owners: bool) -> None:
        """One source called ``name``; ``owners``: uid and gid count (not in a build context, where all are 0:0)."""
        for item, digest in zip(items, digests, strict=True):
            owner = f"{item.uid}:{item.gid}" if owners else "0:0"
            path = f"{name}/{item.path}" if item.path else name
            attributes = ",".join(f"{key}={value.hex()}" for key, value in item.attributes)
            line = f"{path}\0{item.mode:o}\0{owner}\0{item.rdev}\0{item.target}\0{attributes}\0{digest}\n"
            self._hash.update(line.encode(errors="surrogateescape"))
            self.marks[path] = f"{item.mode:o} {(digest or item.target)[:16]}"

    def note(self, text: str) -> None:
        """Something else that decides what is copied."""
        self._hash.update(f"\0{text}\n".encode(errors="surrogateescape"))

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def one_digest(digests: Sequence[str]) -> str:
    """Several digests as one, which is still short enough to name a file; "" for none."""
    if len(digests) < 2:
        return "".join(digests)
    return hashlib.sha256(" ".join(digests).encode()).hexdigest()


def digest_items(name: str, items: Sequence[Item], digests: Sequence[str], *, owners: bool = False) -> str:
    """The digest of one source alone."""
    content = ContentDigest()
    content.add(name, items, digests, owners=owners)
    return content.hexdigest()
