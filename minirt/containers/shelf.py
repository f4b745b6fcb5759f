"""The containers of one home: finding, listing and naming them. ``containers/<id>/`` holds one each."""

from __future__ import annotations

import difflib
from dataclasses import replace
from pathlib import Path

from minirt.containers.names import check_name, random_name
from minirt.containers.records import ContainerRecord
from minirt.errors import ContainerNotFound, InvalidDocument, InvalidInput, NameInUse
from minirt.store import Store
from minirt.store.files import atomic_write

__all__ = ["Shelf"]


class Shelf:
    """Safe from several processes: a name is given under one lock, everything else is one atomic file."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.home = store.home
        self._home = store.home / "containers"

    def directory(self, identity: str) -> Path:
        return self._home / identity

    def all(self) -> tuple[ContainerRecord, ...]:
        """Every container, newest first."""
        found = [record for identity in self._ids() if (record := self._read(identity)) is not None]
        return tuple(sorted(found, key=lambda record: record.created, reverse=True))

    def unfinished(self) -> list[str]:
        """Directories without a record: containers being made or removed right now, or never to be finished."""
        return [identity for identity in self._ids() if not (self.directory(identity) / "config.json").exists()]

    def get(self, text: str) -> ContainerRecord:
        """By id, by name, or by a prefix of an id that fits only one. Raises :class:`ContainerNotFound`."""
        if len(text) == 64 and (record := self._read(text)) is not None:
            return record
        records = self.all()
        for record in records:
            if text in (record.name, f"/{record.name}"):
                return record
        matches = [record for record in records if text and record.id.startswith(text)]
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise InvalidInput(
                f"multiple containers found with id prefix {text}", hint="Type more of the id, or use the name."
            )
        near = difflib.get_close_matches(text, [record.name for record in records], 1)
        hint = f"Did you mean {near[0]!r}?" if near else "`docker ps -a` lists those there are."
        raise ContainerNotFound(f"No such container: {text}", hint=hint)

    def check(self, record: ContainerRecord) -> None:
        """Raises :class:`ContainerNotFound` for one that was removed since its record was read."""
        if not (self.directory(record.id) / "config.json").exists():
            raise ContainerNotFound(f"No such container: {record.name}", hint="It was removed just now.")

    def add(self, record: ContainerRecord) -> ContainerRecord:
        """Write the record, under the name it has or a made-up one. Raises :class:`NameInUse`."""
        return self._write(record, record.name)

    def rename(self, record: ContainerRecord, name: str) -> ContainerRecord:
        """Give it another name. Raises :class:`NameInUse`, :class:`InvalidSpec`."""
        return self._write(record, check_name(name))

    def replace(self, record: ContainerRecord) -> None:
        """Write what has changed of it, under the name it has."""
        atomic_write(self.directory(record.id) / "config.json", record.to_bytes())

    def _write(self, record: ContainerRecord, name: str) -> ContainerRecord:
        with self._store.lock("container-names"):
            taken = {other.name: other.id for other in self.all() if other.id != record.id}
            if not name:
                name = random_name(taken)
            elif check_name(name) in taken:
                raise NameInUse(
                    f'Conflict. The container name "/{name}" is already in use by container "{taken[name]}"',
                    hint=f"Remove it (docker rm {name}) or choose another name.",
                )
            named = replace(record, name=name)
            atomic_write(self.directory(record.id) / "config.json", named.to_bytes(), durable=False)
            return named

    def _ids(self) -> list[str]:
        try:
            return [entry.name for entry in self._home.iterdir()]
        except FileNotFoundError:
            return []

    def _read(self, identity: str) -> ContainerRecord | None:
        # A directory without config.json is a container that is being made or removed right now.
        try:
            return ContainerRecord.from_bytes((self.directory(identity) / "config.json").read_bytes())
        except (OSError, InvalidDocument):
            return None
