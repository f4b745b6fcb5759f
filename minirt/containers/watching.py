"""A container's storage layer, live: the kernel tells of every name that appears in the upper directory (inotify).

The merged tree is never walked. What overlayfs does shows there at once: a copy-up is a name that a lower layer has,
too, a whiteout is a character device 0:0, and anything else is new.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Self

from minirt.linux import inotify
from minirt.model.events import CopyUp, Event, EventSink, FileAdded, FileForgotten, WhiteoutWritten
from minirt.snapshots import Union
from minirt.snapshots.union import is_opaque

__all__ = ["StorageWatch"]

_MASK = inotify.IN_CREATE | inotify.IN_MOVED_TO | inotify.IN_DELETE | inotify.IN_MOVED_FROM
_GONE = inotify.IN_DELETE | inotify.IN_MOVED_FROM


class StorageWatch:
    """Reports to ``on_event``, from a thread of its own, from :meth:`start` to :meth:`close`.

    ``ignored`` are paths that are not the container's work (what its mounts hang on). What a directory already holds
    when it is first seen is reported, too, so nothing is lost between its making and the watch on it.
    """

    def __init__(
        self, container: str, upper: Path, lowers: Sequence[Path], on_event: EventSink, ignored: Collection[str] = ()
    ) -> None:
        self._container, self._upper, self._union = container, upper, Union.of(lowers)
        self._on_event, self._ignored = on_event, frozenset(ignored)
        self._watch = inotify.Inotify()
        self._paths: dict[int, str] = {}
        self._seen: dict[str, type[Event]] = {}
        self._wake, self._wake_end = os.pipe2(os.O_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name=f"storage of {container[:12]}", daemon=True)

    def start(self) -> Self:
        """Watch from now on; what is there already is known, not reported."""
        self._enter("", silent=True)
        self._thread.start()
        return self

    def close(self) -> None:
        """Report what has happened so far, then stop."""
        if self._wake_end >= 0:
            os.close(self._wake_end)
            self._wake_end = -1
            self._thread.join()
            os.close(self._wake)
            self._watch.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        ended = False
        while not ended:
            ended = not self._watch.wait(None, self._wake)
            for notice in self._watch.read():
                directory = self._paths.get(notice.watch)
                if directory is not None and notice.name:
                    self._heard(f"{directory}/{notice.name}", notice.mask)

    def _heard(self, path: str, mask: int) -> None:
        if not mask & _GONE:
            self._look(path, silent=False)
        elif path in self._seen and not os.path.lexists(f"{self._upper}{path}"):
            del self._seen[path]
            self._on_event(FileForgotten(self._container, path))

    def _enter(self, path: str, *, silent: bool) -> None:
        """Watch a directory and look at what is in it."""
        try:
            self._paths[self._watch.add(f"{self._upper}{path}", _MASK | inotify.IN_ONLYDIR)] = path
            names = sorted(os.listdir(f"{self._upper}{path}"))
        except OSError:
            return  # gone again, or closed to this user
        for name in names:
            self._look(f"{path}/{name}", silent=silent)

    def _look(self, path: str, *, silent: bool) -> None:
        try:
            status = os.lstat(f"{self._upper}{path}")
        except OSError:
            return
        directory = stat.S_ISDIR(status.st_mode)
        event = self._event(path, status, directory=directory)
        if self._seen.get(path) is not type(event):
            self._seen[path] = type(event)
            if not silent and path not in self._ignored:
                self._on_event(event)
        if directory:
            self._enter(path, silent=silent)

    def _event(self, path: str, status: os.stat_result, *, directory: bool) -> Event:
        if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
            return WhiteoutWritten(self._container, path)
        if self._union.entry(path) is None:
            return FileAdded(self._container, path)
        if directory and is_opaque(self._upper / path.lstrip("/")):
            return WhiteoutWritten(self._container, path, opaque=True)
        return CopyUp(self._container, path)
