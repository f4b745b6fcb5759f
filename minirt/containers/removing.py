"""The end of a container: its directory goes, and with it the storage layer."""

from __future__ import annotations

import contextlib
from pathlib import Path

from minirt.containers import limits
from minirt.containers.ending import Ending
from minirt.containers.lost import write_lost_end
from minirt.containers.noting import noted
from minirt.containers.records import ContainerRecord
from minirt.containers.rooms import Rooms
from minirt.errors import Conflict, ContainerIsRunning, ContainerNotRunning, MinirtError
from minirt.sandbox.restarts import forbid
from minirt.sandbox.state import write_state
from minirt.store.files import atomic_write

__all__ = ["Removing"]


class Removing(Ending):
    """The part of the lifecycle that takes containers away."""

    _rooms: Rooms

    @noted("destroy")
    def remove(self, record: ContainerRecord, *, force: bool = False, volumes: bool = False) -> None:
        """Remove the container and its storage layer, for ever. Raises :class:`ContainerIsRunning`."""
        self._end_for_removal(record, force)
        directory = self.shelf.directory(record.id)
        with self._rooms.store.lock(f"container-{record.id}"):
            self._end_for_removal(record, force)  # somebody may have started it again just before
            limits.clear(record, self._rooms.machine)
            self._clear(directory)
        if volumes or record.auto_remove:
            self._drop_anonymous(record)

    def _end_for_removal(self, record: ContainerRecord, force: bool) -> None:
        if not self.state(record).alive:
            return
        if not force:
            raise ContainerIsRunning(
                f"cannot remove container {record.name!r}: container is running: stop the container before"
                " removing or force remove",
                hint=f"docker stop {record.name}, or docker rm -f {record.name}",
            )
        forbid(str(self.shelf.directory(record.id)))
        with contextlib.suppress(ContainerNotRunning):
            self.kill(record)
        self.wait(record)

    def _clear(self, directory: Path) -> None:
        """What cannot be removed stays visible, as ``dead``, so that it can be removed once more."""
        config = directory / "config.json"
        raw = config.read_bytes() if config.exists() else None
        config.unlink(missing_ok=True)
        try:
            self._rooms.snapshots.discard(directory)
        except (OSError, MinirtError) as error:
            if raw is not None and directory.is_dir():
                atomic_write(config, raw)
                write_state(str(directory), {"Status": "dead", "Error": str(error)}, durable=False)
            raise

    def _drop_anonymous(self, record: ContainerRecord) -> None:
        used = {point.name for other in self.shelf.all() if other.id != record.id for point in other.mounts}
        for point in record.mounts:
            if point.anonymous and point.name not in used:
                with contextlib.suppress(Exception):
                    self._rooms.volumes.remove(point.name)

    def reap(self) -> None:
        """Remove what was started with ``--rm`` and has ended without its starter, and what killed makers left; write
        the ends that nobody wrote.
        """
        for record in self.shelf.all():
            state = self.state(record)
            if state.lost:
                write_lost_end(self._rooms.store, self.shelf.directory(record.id))
            if state.status == "exited":
                self._clear_group(record)
                if record.auto_remove:
                    with contextlib.suppress(ContainerIsRunning):  # started again since
                        self.remove(record)
        for identity in self.shelf.unfinished():
            with contextlib.suppress(Conflict), self._rooms.store.lock(f"container-{identity}", timeout=0):
                directory = self.shelf.directory(identity)
                if not (directory / "config.json").exists():
                    self._rooms.snapshots.discard(directory)

    def _clear_group(self, record: ContainerRecord) -> None:
        """What a killed monitor could not take away any more; not what belongs to a start that is under way."""
        if limits.group_of(record, self._rooms.machine) is None:
            return
        lock = self._rooms.store.lock(f"container-{record.id}", timeout=0)
        with contextlib.suppress(OSError, MinirtError), lock:
            if self.state(record).status == "exited":
                limits.clear(record, self._rooms.machine)
