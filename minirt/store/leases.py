"""Leases: what a running build, pull or load holds before a reference holds it.

A build writes its blobs first and names them last. Between the two, nothing in ``index.json`` reaches them, and a
``prune`` in another terminal would take them away. So every writer notes each digest in a *lease*: a small file under
``leases/`` that it keeps locked. A sweep spares what is noted in a lease whose lock is held; a lease whose owner was
killed is no longer locked, counts for nothing and is removed.

Lines are ``<digest>`` (held) and ``-<digest>`` (let go).
"""

from __future__ import annotations

import fcntl
import os
import secrets
import threading
from collections.abc import Iterable
from pathlib import Path

from minirt.errors import InvalidDigest
from minirt.model.digest import Digest
from minirt.store.files import storage_errors
from minirt.store.locks import open_locked

__all__ = ["Lease", "leased"]


class Lease:
    """One holder's digests. The file is made when the first digest is noted. Safe from several threads."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._path: Path | None = None
        self._fd = -1
        self._held: set[Digest] = set()
        self._mutex = threading.Lock()

    def hold(self, digest: Digest) -> None:
        """Keep ``digest`` from being swept. The caller holds the shared sweep lock."""
        with self._mutex:
            if digest not in self._held:
                self._append(f"{digest}\n")
                self._held.add(digest)

    def let_go(self, digests: Iterable[Digest]) -> None:
        """These are reachable from a reference now."""
        with self._mutex:
            gone = self._held.intersection(digests)
            if gone:
                self._append("".join(f"-{digest}\n" for digest in sorted(gone)))
                self._held -= gone

    def close(self) -> None:
        """Let go of everything; a second call does nothing."""
        with self._mutex:
            if self._path is not None:
                self._path.unlink(missing_ok=True)
                os.close(self._fd)
            self._path, self._fd = None, -1
            self._held.clear()

    def _append(self, text: str) -> None:
        with storage_errors("noting a blob in use"):
            if self._path is None:
                self._path = self._directory / f"{os.getpid()}-{secrets.token_hex(4)}"
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
                self._fd = os.open(self._path, flags, 0o644)
                # The sweep lock is held by the caller, so no sweep can see the file unlocked.
                fcntl.flock(self._fd, fcntl.LOCK_EX)
            os.write(self._fd, text.encode())


def leased(directory: Path) -> set[Digest]:
    """What all live leases hold; removes dead ones. The caller holds the sweep lock alone."""
    held: set[Digest] = set()
    for path in sorted(directory.iterdir()):
        fd = open_locked(path)
        if fd is not None:
            path.unlink(missing_ok=True)
            os.close(fd)
            continue
        try:
            held |= _read(path.read_text())
        except FileNotFoundError:
            continue
    return held


def _read(text: str) -> set[Digest]:
    held: set[Digest] = set()
    for line in text.splitlines():
        try:
            digest = Digest.parse(line.removeprefix("-"))
        except InvalidDigest:
            continue
        if line.startswith("-"):
            held.discard(digest)
        else:
            held.add(digest)
    return held
