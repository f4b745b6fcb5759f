"""What pictures of storage are drawn from: containers with their thin layers, and volumes, as frozen values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from minirt.views.layers_view import LayerBox

__all__ = ["StorageContainer", "StorageVolume", "StoredPath", "VolumeUse", "telling"]


@dataclass(frozen=True, slots=True)
class StoredPath:
    """``kind`` is A (added), C (changed) or D (deleted), as ``docker diff`` prints it."""

    kind: str
    path: str


@dataclass(frozen=True, slots=True)
class StorageContainer:
    """A container and its storage layer: ``size`` in bytes of file content, and the paths it holds, sorted."""

    name: str
    status: str
    image: str
    layers: tuple[LayerBox, ...]
    size: int = 0
    paths: tuple[StoredPath, ...] = ()

    def count(self, kind: str) -> int:
        """How many paths are of ``kind``."""
        return sum(one.kind == kind for one in self.paths)


@dataclass(frozen=True, slots=True)
class VolumeUse:
    """A container that has the volume at ``destination``."""

    container: str
    destination: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class StorageVolume:
    """``size`` in bytes of file content."""

    name: str
    size: int = 0
    users: tuple[VolumeUse, ...] = ()


def telling(paths: Sequence[StoredPath]) -> tuple[StoredPath, ...]:
    """Without directories that are there only because of what changed in them."""
    names = [one.path.split("/") for one in paths]
    inner = {"/".join(parts[:depth]) for parts in names for depth in range(1, len(parts))}
    return tuple(one for one in paths if one.kind == "D" or one.path not in inner)
