"""The storage layer of a container as a thing of its own: what is in it, and an image layer made of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from minirt.containers.changes import PathChange
from minirt.containers.ending import Ending
from minirt.containers.records import ContainerRecord
from minirt.containers.rooms import Rooms
from minirt.containers.state import read_stubs
from minirt.errors import InvalidSpec
from minirt.snapshots import CopySnapshots, Layer, Union
from minirt.snapshots.users import lookup_user

__all__ = ["Storing"]


class Storing(Ending):
    """The part of the lifecycle that is about files."""

    _rooms: Rooms

    def changes(self, record: ContainerRecord) -> tuple[PathChange, ...]:
        """What the storage layer holds, as ``docker diff`` shows it."""
        snapshots, directory = self._rooms.snapshots, self.shelf.directory(record.id)
        if isinstance(snapshots, CopySnapshots):
            return tuple(PathChange(kind, path) for kind, path in snapshots.differences(directory))
        arguments = {
            "upper": str(directory / "upper"),
            "lowers": [str(snapshots.diff_path(diff_id)) for diff_id in record.diff_ids],
            "stubs": read_stubs(directory),
        }
        found = self._rooms.sandbox.call("minirt.containers.changes:work", arguments)
        return tuple(PathChange(kind, path) for kind, path in found)

    @contextlib.contextmanager
    def held(self, record: ContainerRecord) -> Iterator[None]:
        """A running container is paused meanwhile."""
        hold = self.state(record).status == "running"
        if hold:
            self.pause(record)
        try:
            yield
        finally:
            if hold:
                self.unpause(record)

    def commit(self, record: ContainerRecord) -> Layer:
        """Pack the storage layer as an image layer; the container keeps it."""
        directory = self.shelf.directory(record.id)
        arguments = {"upper": str(directory / "upper"), "stubs": read_stubs(directory)}
        compares = isinstance(self._rooms.snapshots, CopySnapshots)
        hidden = [] if compares else self._rooms.sandbox.call("minirt.containers.changes:stubs", arguments)
        creator = self._creator(record, directory)
        return self._rooms.snapshots.commit(directory, keep=True, without=hidden, creator=creator)

    def _creator(self, record: ContainerRecord, directory: Path) -> tuple[int, int]:
        """Whose files its program makes."""
        try:
            user = lookup_user(record.user, self._rooms.snapshots.union(record.diff_ids, directory)).user
        except InvalidSpec:
            return (0, 0)  # its passwd no longer has the user that it was started as
        return user.uid, user.gid

    def storage_bytes(self, record: ContainerRecord) -> int:
        """Bytes of file content in the storage layer."""
        return self._rooms.snapshots.size(self.shelf.directory(record.id))

    def _union(self, record: ContainerRecord) -> Union:
        return self._rooms.snapshots.union(record.diff_ids, self.shelf.directory(record.id))
