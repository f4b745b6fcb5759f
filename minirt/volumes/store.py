"""Volumes: directories with a name and a life of their own (``volumes/<name>/_data``).

A volume is made when a container first names it, outlives every container, and is removed only when asked for.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from minirt.errors import InvalidSpec, VolumeNotFound
from minirt.store import Store
from minirt.store.files import atomic_write, storage_errors
from minirt.store.journal import Journal
from minirt.volumes.options import Backing, BoundDirectory, backing

__all__ = ["Volume", "Volumes"]

_SHAPE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")


@dataclass(frozen=True, slots=True)
class Volume:
    """``created`` is RFC 3339 in UTC; an anonymous volume has 64 hex digits for a name, as docker's."""

    name: str
    mountpoint: Path
    created: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    anonymous: bool = False
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def backing(self) -> Backing:
        """What its options put behind it."""
        return backing(self.options)

    @property
    def directory(self) -> Path:
        """Where its files are on the machine (of memory: nowhere, so its empty own directory)."""
        behind = self.backing
        return Path(behind.path) if isinstance(behind, BoundDirectory) else self.mountpoint


class Volumes:
    """The volumes of one home; safe from several processes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._home = store.home / "volumes"

    def create(
        self,
        name: str = "",
        *,
        created: str,
        labels: Mapping[str, str] | None = None,
        options: Mapping[str, str] | None = None,
    ) -> Volume:
        """Make the volume, or return it as it is. Without a name it is anonymous.

        ``options`` are the local driver's. Raises :class:`InvalidSpec`, :class:`Unsupported`.
        """
        backing(options or {})
        anonymous = not name
        name = name or secrets.token_hex(32)
        if not _SHAPE.fullmatch(name):
            raise InvalidSpec(
                f"{name!r} includes invalid characters for a local volume name,"
                " only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
                hint="If you mean a directory of this machine, write its whole path, starting with '/'.",
            )
        with self._store.lock(f"volume-{name}"):
            directory = self._home / name
            if not (directory / "volume.json").exists():
                facts = {
                    "created": created,
                    "labels": dict(labels or {}),
                    "anonymous": anonymous,
                    "options": dict(options or {}),
                }
                _make(directory, json.dumps(facts).encode())
                self._tell("create", name)
        return self.get(name)

    def get(self, name: str) -> Volume:
        """Raises :class:`VolumeNotFound`."""
        directory = self._home / name
        try:
            facts = json.loads((directory / "volume.json").read_bytes()) if _SHAPE.fullmatch(name) else None
        except (OSError, ValueError):
            facts = None
        if facts is None:
            raise VolumeNotFound(f"get {name}: no such volume", hint="`docker volume ls` lists those there are.")
        return Volume(
            name, directory / "_data", facts["created"], facts["labels"], facts["anonymous"], facts.get("options") or {}
        )

    def list(self) -> tuple[Volume, ...]:
        """All volumes, by name."""
        try:
            names = sorted(entry.name for entry in self._home.iterdir())
        except FileNotFoundError:
            return ()
        found = []
        for name in names:
            try:
                found.append(self.get(name))
            except VolumeNotFound:
                continue  # removed, or half made, by another process at this moment
        return tuple(found)

    def remove(self, name: str) -> None:
        """Remove the volume and all it holds; whether it is in use is the caller's to know. Raises VolumeNotFound."""
        volume = self.get(name)
        with self._store.lock(f"volume-{name}"):
            (volume.mountpoint.parent / "volume.json").unlink(missing_ok=True)
            shutil.rmtree(volume.mountpoint.parent, ignore_errors=True)
        self._tell("destroy", name)

    def _tell(self, action: str, name: str) -> None:
        Journal(self._store.home).write("volume", action, name, {"driver": "local"})


def _make(directory: Path, facts: bytes) -> None:
    """The volume, or nothing of it. Raises :class:`StorageFull`."""
    try:
        with storage_errors(f"making the volume {directory.name}"):
            (directory / "_data").mkdir(parents=True, exist_ok=True)
        atomic_write(directory / "volume.json", facts, durable=False)
    except BaseException:
        for made in (directory / "_data", directory):
            with suppress(OSError):  # what holds something was there before
                made.rmdir()
        raise
