"""Files into and out of containers, running or not, as streams of tar."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from minirt.containers.copy_rules import Place
from minirt.containers.records import ContainerRecord
from minirt.containers.shelf import Shelf
from minirt.containers.state import read_state
from minirt.errors import ContainerNotRunning, InvalidInput, PathNotFound
from minirt.sandbox import Sandbox
from minirt.sandbox.stubs import storage_of
from minirt.snapshots import Snapshots
from minirt.snapshots.users import lookup_user
from minirt.store import Store

if TYPE_CHECKING:
    from minirt.layers.streams import Source

__all__ = ["ContainerFiles", "Found", "missing", "refused"]

_WORK = "minirt.containers.copy_work"


@dataclass(frozen=True, slots=True)
class Found:
    """What is at a path of a container. ``parent``: whether the directory that would hold it exists."""

    place: Place
    parent: bool
    size: int
    mode: int
    mtime: float
    link: str


class ContainerFiles:
    """The files of containers. A running one is seen as its own processes see it; another one's root is mounted for
    the length of the work, under its lock, with its volumes and binds.
    """

    def __init__(self, shelf: Shelf, store: Store, snapshots: Snapshots, sandbox: Sandbox, *, one_id: bool) -> None:
        self._shelf, self._store, self._snapshots, self._sandbox = shelf, store, snapshots, sandbox
        self._one_id = one_id

    def look(self, record: ContainerRecord, path: str, *, follow: bool = False) -> Found:
        """What is at ``path``. Raises :class:`InvalidInput` for a file with a slash behind it."""
        found = self._call(record, "look", {"path": path, "follow": follow})
        if path.endswith(("/", "/.")) and found["exists"] and not found["directory"]:
            raise refused(f"{path}: not a directory")
        place = Place(path, found["exists"], found["directory"], found["real"], found["dangling"])
        return Found(place, found["parent"], found["size"], found["mode"], found["mtime"], found["link"])

    def existing(self, record: ContainerRecord, path: str, *, follow: bool = False) -> Found:
        """Like :meth:`look`. Raises :class:`PathNotFound` when there is nothing."""
        found = self.look(record, path, follow=follow)
        if not found.place.exists:
            raise missing(record, path)
        return found

    @contextmanager
    def packed(
        self, record: ContainerRecord, real: str, name: str, *, only_layers: bool = False
    ) -> Iterator[IO[bytes]]:
        """A stream to read the tar of ``real`` from; the work's own error is raised at the end.

        ``only_layers``: without what volumes, binds and the kernel's file systems hold (``docker export``).
        """
        read, write = os.pipe()
        arguments = {"real": real, "name": name}
        with open(read, "rb", buffering=1 << 18) as stream:
            work = _Work(lambda: self._call(record, "pack", arguments, write, only_layers=only_layers), write)
            try:
                yield stream
            finally:
                stream.close()
                work.join()
        work.check()

    def unpack(self, record: ContainerRecord, real: str, stream: Source, *, as_user: bool = False) -> int:
        """Put a tar into the directory ``real``; the bytes of it. ``as_user``: all of it is the container's user's.

        Raises :class:`InvalidInput` where it may only be read.
        """
        _check_writable(record, real)
        read, write = os.pipe()
        arguments: dict[str, Any] = {"real": real}
        if as_user and record.user:
            union = self._snapshots.union(record.diff_ids, self._shelf.directory(record.id))
            user = lookup_user(record.user, union).user
            arguments["user"] = [user.uid, user.gid]
        work = _Work(lambda: self._call(record, "unpack", arguments, read), read)
        try:
            with open(write, "wb", buffering=1 << 18) as out:
                while data := stream.read(1 << 18):
                    out.write(data)
        except BrokenPipeError:
            pass  # it gave up; its error says why
        finally:
            work.join()
        work.check()
        return int(work.result)

    def _call(
        self, record: ContainerRecord, function: str, arguments: dict[str, Any], *fds: int, only_layers: bool = False
    ) -> Any:
        name = f"{_WORK}:{function}"
        traced = self._sandbox.machine.isolation != "namespaces"
        arguments = {**arguments, "one_id": self._one_id, "grafts": traced}
        directory = self._shelf.directory(record.id)
        state = read_state(directory)
        if state.alive:
            running = (state.pid, state.start_time)
            if not traced:
                arguments |= {"pid": state.pid if only_layers else 0}
            elif not only_layers:
                arguments |= {"running": running}
            try:
                return self._sandbox.call(name, arguments, inside=running, fds=fds)
            except ContainerNotRunning:
                pass  # it ended at this moment
        with self._store.lock(f"container-{record.id}"):
            if not only_layers:
                arguments |= {"mounts": _mounts(record), "read_only": record.read_only and function == "unpack"}
            root = self._snapshots.reopen(record.diff_ids, directory)
            stopped = {key: value for key, value in arguments.items() if key not in ("pid", "running")}
            return self._sandbox.call(name, {**stopped, "storage": storage_of(root)}, root=root, fds=fds)


def _check_writable(record: ContainerRecord, real: str) -> None:
    """Docker's two refusals. The volume or bind that is nearest to ``real`` decides, else the root."""
    above = [point for point in record.mounts if f"{real.rstrip('/')}/".startswith(f"{point.destination.rstrip('/')}/")]
    if above:
        if not max(above, key=lambda point: len(point.destination)).read_write:
            raise refused("mounted volume is marked read-only")
    elif record.read_only:
        raise refused("container rootfs is marked read-only")


def _mounts(record: ContainerRecord) -> list[list[Any]]:
    points = sorted(record.mounts, key=lambda point: point.destination.count("/"))
    present = (point for point in points if point.kind != "tmpfs" and os.path.exists(point.source))
    return [[point.source, point.destination, not point.read_write] for point in present]


class _Work:
    """The worker's part in a thread. ``fd`` is our copy of its end of the pipe: closed as soon as it has answered."""

    def __init__(self, call: Any, fd: int) -> None:
        self._call, self._fd = call, fd
        self.result: Any = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.result = self._call()
        except BaseException as error:
            self._error = error
        finally:
            os.close(self._fd)

    def join(self) -> None:
        self._thread.join()

    def check(self) -> None:
        if isinstance(self._error, OSError):
            where = f" {self._error.filename}" if self._error.filename else ""
            reason = "read-only file system" if self._error.errno == 30 else str(self._error.strerror).lower()
            raise refused(f"cannot copy{where}: {reason}") from self._error
        if self._error is not None:
            raise self._error


def refused(what: str) -> InvalidInput:
    """A refusal with docker's exit code for it."""
    error = InvalidInput(what)
    error.exit_code = 1
    return error


def missing(record: ContainerRecord, path: str) -> PathNotFound:
    """Docker's words for a path that a container does not have."""
    return PathNotFound(
        f"Could not find the file {path} in container {record.name}",
        hint=f"docker exec {record.name} ls, or docker diff {record.name}, show what there is.",
    )
