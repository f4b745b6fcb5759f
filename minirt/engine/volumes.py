"""``engine.volumes``: docker-py's ``client.volumes`` (docker-py documentation, "Volumes")."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from minirt.engine.happenings import note_prune
from minirt.errors import InvalidSpec, PathNotFound, VolumeInUse
from minirt.volumes.store import Volume as StoredVolume

if TYPE_CHECKING:
    from minirt.engine.facade import Engine

__all__ = ["Volume", "VolumeCollection"]


class Volume:
    """One volume: a directory with a name and a life of its own."""

    def __init__(self, engine: Engine, stored: StoredVolume) -> None:
        self._engine = engine
        self.stored = stored

    def __repr__(self) -> str:
        return f"<Volume: {self.name[:12] if self.stored.anonymous else self.name}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Volume) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def name(self) -> str:
        return self.stored.name

    @property
    def id(self) -> str:
        """The name, as docker-py's."""
        return self.stored.name

    @property
    def short_id(self) -> str:
        """The name's first twelve letters, as docker-py's."""
        return self.name[:12]

    @property
    def attrs(self) -> dict[str, Any]:
        """What ``docker volume inspect`` prints."""
        return {
            "CreatedAt": self.stored.created,
            "Driver": "local",
            "Labels": dict(self.stored.labels) or None,
            "Mountpoint": str(self.stored.mountpoint),
            "Name": self.name,
            "Options": dict(self.stored.options) or None,
            "Scope": "local",
        }

    def remove(self, force: bool = False) -> None:
        """Remove it and all it holds. Raises :class:`VolumeInUse`, :class:`VolumeNotFound`."""
        self._engine.volumes.remove(self.name)

    def reload(self) -> None:
        """Read its facts again. Raises :class:`VolumeNotFound`."""
        self.stored = self._engine.volume_store.get(self.name)

    @property
    def size(self) -> int:
        """Bytes of file content."""
        return self._engine.snapshots.measure(self.stored.directory)

    def look(self, path: str = "/") -> list[dict[str, Any]]:
        """What is at ``path`` in it: name, mode in letters, uid, gid, size, link. Raises :class:`PathNotFound`."""
        arguments = {"volume": str(self.stored.directory), "path": path}
        found = self._engine.sandbox.call("minirt.volumes.looking:look", arguments)
        if found is None:
            raise PathNotFound(f"{self.name}:{path}: no such file or directory")
        entries: list[dict[str, Any]] = found
        return entries


class VolumeCollection:
    """The volumes of this home."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def create(
        self,
        name: str | None = None,
        *,
        driver: str = "local",
        driver_opts: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Volume:
        """Make a volume; one that is there already is returned as it is.

        ``driver_opts``: ``type=tmpfs`` for memory, ``type=none o=bind device=/path`` for a directory of the machine.
        Raises :class:`InvalidSpec`, :class:`Unsupported`.
        """
        from minirt.engine.facade import now

        if driver != "local":
            raise InvalidSpec(f'plugin "{driver}" not found', hint="minirt has one volume driver: local.")
        stored = self._engine.volume_store.create(name or "", created=now(), labels=labels, options=driver_opts)
        return Volume(self._engine, stored)

    def get(self, name: str) -> Volume:
        """Raises :class:`VolumeNotFound`."""
        return Volume(self._engine, self._engine.volume_store.get(name))

    def list(self, filters: Mapping[str, Any] | None = None) -> list[Volume]:
        """All volumes, by name. ``filters``: ``dangling``, ``driver``, ``label``, ``name`` (any part of it).

        Raises :class:`InvalidInput` for another filter.
        """
        from minirt.engine.filters import has_labels, wanted_values

        wanted = wanted_values(filters or {}, ("dangling", "driver", "label", "name"))
        found = [Volume(self._engine, stored) for stored in self._engine.volume_store.list()]
        return [
            volume
            for volume in found
            if has_labels(volume.stored.labels, wanted.get("label", ()))
            and ("name" not in wanted or any(part in volume.name for part in wanted["name"]))
            and ("driver" not in wanted or "local" in wanted["driver"])
            and ("dangling" not in wanted or (wanted["dangling"][0] in ("true", "1")) != bool(self.users(volume.name)))
        ]

    def users(self, name: str) -> builtins.list[str]:
        """The short ids of the containers that have it mounted, running or not."""
        records = self._engine.lifecycle.shelf.all()
        return [record.short_id for record in records if any(point.name == name for point in record.mounts)]

    def remove(self, name: str) -> None:
        """Remove a volume. Raises :class:`VolumeInUse`, :class:`VolumeNotFound`."""
        volume = self.get(name)
        users = self.users(name)
        if users:
            raise VolumeInUse(
                f"remove {name}: volume is in use - [{', '.join(users)}]",
                hint="Remove these containers first: a volume outlives containers, not the other way round.",
            )
        self._engine.snapshots.discard(volume.stored.mountpoint)
        self._engine.volume_store.remove(name)

    def prune(
        self,
        filters: Mapping[str, Any] | None = None,
        *,
        all: bool = False,
        wanted: Callable[[Mapping[str, str]], bool] = lambda _labels: True,
    ) -> dict[str, Any]:
        """Remove the anonymous volumes that no container has; with ``all`` the named ones too.

        ``filters`` are ``label``, ``label!`` and docker's ``all``; ``wanted`` looks at the labels, too.
        """
        if filters:
            from minirt.engine.filters import label_filter

            given, named = wanted, dict(filters)
            all = all or str(named.pop("all", False)).lower() in ("true", "1", "['true']")
            chosen = label_filter(named)
            wanted = lambda labels: chosen(labels) and given(labels)  # noqa: E731
        removed: list[str] = []
        freed = 0
        for volume in self.list():
            if (all or volume.stored.anonymous) and wanted(volume.stored.labels) and not self.users(volume.name):
                freed += self._engine.snapshots.measure(volume.stored.mountpoint)
                self.remove(volume.name)
                removed.append(volume.name)
        note_prune(self._engine.journal, "volume", freed)
        return {"VolumesDeleted": removed, "SpaceReclaimed": freed}
