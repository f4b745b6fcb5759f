"""The part of a container that is about its files: docker-py's archives, ``cp`` and ``export``."""

from __future__ import annotations

import errno
import io
import os
import stat
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from minirt.containers.copy_rules import Landing, Place, landing
from minirt.containers.copying import missing, refused
from minirt.containers.noting import note
from minirt.containers.processes import members
from minirt.containers.top import process_table
from minirt.errors import ContainerNotRunning, ImageNotFound, PathNotFound, Unsupported

if TYPE_CHECKING:
    from minirt.containers.records import ContainerRecord
    from minirt.containers.watching import StorageWatch
    from minirt.engine.facade import Engine
    from minirt.model.events import EventSink

__all__ = ["WithFiles"]

_CHUNK = 1 << 18


class WithFiles:
    """What :class:`minirt.engine.containers.Container` can do with files."""

    _engine: Engine
    _record: ContainerRecord

    def top(self, ps_args: str | Sequence[str] = ()) -> dict[str, Any]:
        """docker-py's: ``{"Titles": […], "Processes": [[…], …]}``. Raises :class:`ContainerNotRunning`."""
        state = self._engine.lifecycle.state(self._record)
        if not state.alive:
            raise ContainerNotRunning(f"container {self._record.id} is not running")
        note(self._engine.journal, "top", self._record)
        words = ps_args.split() if isinstance(ps_args, str) else list(ps_args)
        titles, rows = process_table(members(state), words)
        return {"Titles": titles, "Processes": rows}

    def watch_storage(self, on_event: EventSink) -> StorageWatch:
        """Hear of copy-ups, whiteouts and new files as they happen, in a ``with`` statement.

        ``on_event`` gets CopyUp, WhiteoutWritten (its ``step`` is the container's id), FileAdded, FileForgotten.
        Raises :class:`Unsupported` where root filesystems are copies: nothing is copied up there.
        """
        if self._engine.machine.snapshotter != "overlay":
            raise Unsupported(
                "a container's changes cannot be watched here",
                cause="its root filesystem is a copy, so they lie among all its files and not in a layer of their own",
                hint="changes(), or docker diff, find them by comparing.",
            )
        from minirt.containers.watching import StorageWatch

        lifecycle, snapshots = self._engine.lifecycle, self._engine.snapshots
        lowers = [snapshots.diff_path(diff_id) for diff_id in self._record.diff_ids]
        own = ("/etc", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/dev", "/proc", "/sys", "/sys/fs")
        places = {part for point in self._record.mounts for part in _and_above(point.destination)}
        upper = lifecycle.shelf.directory(self._record.id) / "upper"
        return StorageWatch(self._record.id, upper, lowers, on_event, {*own, *places})

    def sizes(self) -> tuple[int, int]:
        """Bytes of its own storage layer, and with the image below: ``SizeRw`` and ``SizeRootFs``."""
        own = self._engine.lifecycle.storage_bytes(self._record)
        try:
            return own, own + self._engine.images.get(str(self._record.image_id)).size
        except ImageNotFound:
            return own, own

    def get_archive(self, path: str, chunk_size: int = 1 << 21) -> tuple[Iterator[bytes], dict[str, Any]]:
        """docker-py's: a tar of ``path`` in chunks, and ``{"name", "size", "mode", "mtime", "linkTarget"}``.

        Raises :class:`PathNotFound`.
        """
        files, record = self._engine.files, self._record
        found = files.existing(record, path)
        note(self._engine.journal, "archive-path", record)
        name = _base_name(found.place)
        facts = {
            "name": name,
            "size": found.size,
            "mode": found.mode & 0o7777 | (0x80000000 if found.place.directory else 0),  # Go's bit for a directory
            "mtime": datetime.fromtimestamp(found.mtime, UTC).isoformat(),
            "linkTarget": found.link,
        }

        def chunks() -> Iterator[bytes]:
            with files.packed(record, found.place.real, name) as stream:
                while data := stream.read(chunk_size):
                    yield data

        return chunks(), facts

    def put_archive(self, path: str, data: bytes | BinaryIO, *, archive: bool = False) -> bool:
        """docker-py's: unpack a tar into the directory ``path``. ``archive``: as the container's own user.

        Raises :class:`PathNotFound`, :class:`InvalidInput`, :class:`LayerError` for what is not a tar.
        """
        found = self._engine.files.existing(self._record, path, follow=True)
        if not found.place.directory:
            raise refused("extraction point is not a directory")
        note(self._engine.journal, "extract-to-dir", self._record)
        stream = io.BytesIO(data) if isinstance(data, bytes) else data
        self._engine.files.unpack(self._record, found.place.real, stream, as_user=archive)
        return True

    def export(self, chunk_size: int = 1 << 21) -> Iterator[bytes]:
        """``docker export``: all its files as one tar, without what is in volumes."""
        note(self._engine.journal, "export", self._record)
        with self._engine.files.packed(self._record, "/", "", only_layers=True) as stream:
            while data := stream.read(chunk_size):
                yield data

    def copy_out(self, path: str, target: str, *, follow: bool = False, archive: bool = False) -> int:
        """``docker cp CONTAINER:path target``; the bytes of the archive. ``target`` is an absolute path here.

        What is copied is whoever's runs this, with ``archive`` too, as with docker. Raises :class:`PathNotFound`,
        :class:`InvalidInput` where docker refuses.
        """
        from minirt.containers.tree_tar import TreeReader
        from minirt.layers.beneath import Beneath
        from minirt.layers.styles import RealOwners

        files = self._engine.files
        there = _output(target)
        source = files.existing(self._record, path, follow=follow).place
        goal = landing(source, there)
        _check_parent(goal)
        note(self._engine.journal, "archive-path", self._record)
        with files.packed(self._record, source.real, goal.name) as stream, Beneath(Path(goal.directory)) as tree:
            reader = TreeReader(tree, (), RealOwners(), None, goal.directory, confined=True)
            return _with_words(lambda: reader.take(stream))

    def copy_in(self, source: str, path: str, *, follow: bool = False, archive: bool = False) -> int:
        """``docker cp source CONTAINER:path``; the bytes of the archive. ``source`` is an absolute path here.

        Raises :class:`PathNotFound`, :class:`InvalidInput` where docker refuses.
        """
        here = _local(source, follow=follow)
        if not here.exists:
            raise PathNotFound(f"lstat {source}: no such file or directory")
        if source.endswith(("/", "/.")) and not here.directory:
            raise refused(f"{source}: not a directory")
        found = self._engine.files.look(self._record, path, follow=True)
        goal = landing(here, found.place)
        if not found.place.exists and (not found.parent or goal.directory == found.place.real):
            raise missing(self._record, goal.directory)
        note(self._engine.journal, "extract-to-dir", self._record)
        read, write = os.pipe()
        packing = _Packing(here, goal.name, write)
        with open(read, "rb", buffering=_CHUNK) as stream:
            size = self._engine.files.unpack(self._record, goal.directory, stream, as_user=archive)
        packing.check()
        return size


class _Packing:
    """Packs a path of the machine in a thread, while another one reads."""

    def __init__(self, source: Place, name: str, fd: int) -> None:
        self._source, self._name, self._fd = source, name, fd
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            with open(self._fd, "wb", buffering=_CHUNK) as out:
                _pack(self._source, self._name, out)
        except BrokenPipeError:
            pass  # the other side gave up, and says why
        except Exception as error:
            self._error = error

    def check(self) -> None:
        self._thread.join()
        if isinstance(self._error, OSError):
            raise refused(f"cannot read {self._error.filename or self._source.text}: {self._error.strerror}")
        if self._error is not None:
            raise self._error


def _pack(source: Place, name: str, out: BinaryIO) -> None:
    from minirt.containers.tree_tar import TreeWriter, parts_of
    from minirt.layers.beneath import Beneath
    from minirt.layers.styles import RealOwners

    base, parts = (source.real, ()) if source.directory else (os.path.dirname(source.real), None)
    me = (os.geteuid(), os.getegid())

    def shown(uid: int, gid: int) -> tuple[int, int]:
        # An ordinary user is root in a container: so are his files.
        return (uid, gid) if me[0] == 0 else (0 if uid == me[0] else uid, 0 if gid == me[1] else gid)

    with Beneath(Path(base)) as tree:
        writer = TreeWriter(tree, out, RealOwners(), shown=shown)
        writer.add(parts_of(os.path.basename(source.real)) if parts is None else (), name)
        writer.finish()


def _local(path: str, *, follow: bool) -> Place:
    """A path of the machine; with ``follow``, or a slash at its end, a link there is resolved."""
    ends_open = path.endswith(("/", "/.", "/..")) or os.path.basename(path) in ("", ".", "..")
    parent, last = os.path.split(path.rstrip("/") or "/")
    real = os.path.realpath(path) if follow or ends_open else os.path.join(os.path.realpath(parent), last)
    try:
        mode = os.lstat(real).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return Place(path, False, False, real, path.endswith("/") and os.path.islink(path.rstrip("/")))
    except OSError as error:
        raise PathNotFound(f"{path}: {error.strerror}") from error
    return Place(path, True, stat.S_ISDIR(mode), real)


def _output(path: str) -> Place:
    """Where a copy shall go on the machine. What is wrong with that is told before the container is asked."""
    above = os.path.dirname(os.path.normpath(path))
    if not os.path.exists(above):
        raise _no_directory(above)
    there = _local(path, follow=True)
    if path.endswith("/") and os.path.exists(path.rstrip("/")) and not os.path.isdir(path):
        raise refused(f"stat {path}: not a directory")
    if there.exists and not there.directory and not os.path.isfile(there.real):
        raise refused(f'invalid output path: "{path}" must be a directory or a regular file')
    return there


def _check_parent(goal: Landing) -> None:
    if not os.path.isdir(goal.directory):
        raise _no_directory(goal.directory)


def _no_directory(path: str) -> PathNotFound:
    return PathNotFound(f'invalid output path: directory "{path}" does not exist', hint="Create it first: mkdir -p.")


def _base_name(place: Place) -> str:
    """What docker calls it in an archive: the last part as typed, ``.`` for the contents, ``/`` for everything."""
    typed = os.path.basename(place.text.rstrip("/"))
    if place.real == "/":
        return "/"
    return typed if typed and typed != ".." else os.path.basename(place.real)


def _and_above(path: str) -> list[str]:
    """A path and the directories on its way."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return ["/" + "/".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _with_words(work: Any) -> int:
    try:
        return int(work())
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise
        raise refused(f"cannot write {error.filename or ''}: {error.strerror}") from error
