"""One build under way: what all its steps share."""

from __future__ import annotations

import datetime
import fcntl
import os
import secrets
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from minirt.build.cache import BuildCache
from minirt.build.context import Tree
from minirt.build.failed import FailedSteps
from minirt.build.network_pool import NetworkPool
from minirt.build.plan import Plan
from minirt.build.request import BuildRequest
from minirt.model.cancel import Cancel
from minirt.model.events import EventSink
from minirt.sandbox import Sandbox
from minirt.snapshots.contract import Snapshots
from minirt.store import Store
from minirt.store.files import storage_errors

__all__ = ["Job", "Scratchpad", "Tools", "timestamp"]


class Tools(Protocol):
    """The rooms below, as the builder has them."""

    store: Store
    snapshots: Snapshots
    sandbox: Sandbox
    cache: BuildCache
    failed: FailedSteps


@dataclass(slots=True)
class Job:
    """``contexts`` are the trees by name, "" for the main one.

    ``copies`` are parts of a context for mounts, by the digest of their content; ``copying`` is held by who adds one.
    ``networks`` are those of RUN steps.
    """

    tools: Tools
    request: BuildRequest
    plan: Plan
    contexts: dict[str, Tree]
    scratchpad: Scratchpad
    networks: NetworkPool
    on_event: EventSink
    cancel: Cancel | None = None
    copies: dict[str, Path] = field(default_factory=dict)
    copying: threading.Lock = field(default_factory=threading.Lock)

    def check(self) -> None:
        """Raises :class:`Cancelled` if the user has interrupted, or another stage has failed."""
        if self.cancel is not None:
            self.cancel.check()


class Scratchpad:
    """Directories for half-made layers, all gone at the end; those of killed builds go at the next build.

    The directory is locked as long as its build lives, which tells a living one from a dead one.
    """

    def __init__(self, home: Path, snapshots: Snapshots) -> None:
        self._parent = home / "tmp"
        self._snapshots = snapshots
        self._mutex = threading.Lock()
        self._fd = -1
        self._root: Path | None = None

    def new(self, name: str) -> Path:
        """A path that does not exist yet, in a directory that does."""
        with self._mutex:
            if self._root is None:
                with storage_errors("preparing the build"):
                    self._root = self._make()
            return self._root / f"{name}-{secrets.token_hex(4)}"

    def _make(self) -> Path:
        # Locked before it gets the name that others look for, so that nobody takes it for a dead one.
        unlocked = self._parent / f".build-{secrets.token_hex(8)}"
        unlocked.mkdir(parents=True)
        self._fd = os.open(unlocked, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        root = unlocked.with_name(unlocked.name[1:])
        unlocked.rename(root)
        return root

    def close(self) -> None:
        if self._root is not None:
            _remove(self._root, self._snapshots)
            os.close(self._fd)
            self._root = None

    def clear_leftovers(self) -> None:
        """Remove what killed builds left behind."""
        for path in self._parent.glob("build-*"):
            try:
                fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except OSError:
                continue
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            else:
                _remove(path, self._snapshots)
            finally:
                os.close(fd)


def _remove(path: Path, snapshots: Snapshots) -> None:
    try:
        path.rmdir()  # the usual case: every step has used up or removed its own
    except OSError:
        try:
            snapshots.discard(path)
        except Exception:
            shutil.rmtree(path, ignore_errors=True)


def timestamp(epoch: int | None) -> str:
    """Now, or the given second, as images write times (RFC 3339, UTC)."""
    if epoch is not None:
        return datetime.datetime.fromtimestamp(epoch, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@contextmanager
def memory_file(data: bytes) -> Iterator[int]:
    """``data`` behind a descriptor, for the worker to read."""
    fd = os.memfd_create("minirt-list", os.MFD_CLOEXEC)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)
