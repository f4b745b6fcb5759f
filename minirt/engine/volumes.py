"""``engine.volumes``: docker-py's ``client.volumes`` (docker-py documentation, "Volumes")."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from minirt.errors import VolumeInUse
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

    @property
    def name(self) -> str:
        return self.stored.name

    @property
    def id(self) -> str:
        """The name, as docker-py's."""
        return self.stored.name

    @property
    def attrs(self) -> dict[str, Any]:
        """What ``docker volume inspect`` prints."""
        return {
            "CreatedAt": self.stored.created,
            "Driver": "local",
            "Labels": dict(self.stored.labels) or None,
            "Mountpoint": str(self.stored.mountpoint),
            "Name": self.name,
            "Options": None,
            "Scope": "local",
        }

    def remove(self, force: bool = False) -> None:
        """Remove it and all it holds. Raises :class:`VolumeInUse`, :class:`VolumeNotFound`."""
        self._engine.volumes.remove(self.name)


class VolumeCollection:
    """The volumes of this home."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def create(self, name: str | None = None, *, labels: Mapping[str, str] | None = None) -> Volume:
        """Make a volume; one that is there already is returned as it is. Raises :class:`InvalidSpec`."""
        from minirt.engine.facade import now

        return Volume(self._engine, self._engine.volume_store.create(name or "", created=now(), labels=labels))

    def get(self, name: str) -> Volume:
        """Raises :class:`VolumeNotFound`."""
        return Volume(self._engine, self._engine.volume_store.get(name))

    def list(self) -> list[Volume]:
        """All volumes, by name."""
        return [Volume(self._engine, stored) for stored in self._engine.volume_store.list()]

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

    def prune(self, all: bool = False) -> dict[str, Any]:
        """Remove the anonymous volumes that no container has; with ``all`` the named ones too."""
        removed: list[str] = []
        freed = 0
        for volume in self.list():
            if (all or volume.stored.anonymous) and not self.users(volume.name):
                freed += self._engine.snapshots.measure(volume.stored.mountpoint)
                self.remove(volume.name)
                removed.append(volume.name)
        return {"VolumesDeleted": removed, "SpaceReclaimed": freed}
