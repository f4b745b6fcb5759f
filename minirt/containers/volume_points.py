"""Volumes as a container's mounts: what stands behind each, and what all of them hide."""

from __future__ import annotations

from pathlib import Path

from minirt.containers.records import ContainerRecord, MountPoint
from minirt.errors import InvalidSpec, PathNotFound
from minirt.snapshots import Union
from minirt.volumes import Volume
from minirt.volumes.options import BoundDirectory, Memory
from minirt.volumes.shadowing import Covering, shadows
from minirt.volumes.specs import VolumeSpec

__all__ = ["check_point", "shadows_of", "volume_point"]


def volume_point(volume: Volume, mount: VolumeSpec, target: str) -> MountPoint:
    """The mount of ``volume`` at ``target``. Raises :class:`PathNotFound`, :class:`InvalidSpec` for its subpath."""
    behind = volume.backing
    if isinstance(behind, Memory):
        return MountPoint(
            "volume", target, str(volume.mountpoint), volume.name, not mount.read_only, volume.anonymous,
            behind.size, behind.mode, no_copy=True, memory=True, options=behind.options or ("nosuid", "nodev"),
        )  # fmt: skip
    read_only = mount.read_only or (isinstance(behind, BoundDirectory) and behind.read_only)
    source = _beneath(volume, mount.subpath) if mount.subpath else volume.directory
    return MountPoint(
        "volume", target, str(source), volume.name, not read_only, volume.anonymous,
        no_copy=mount.no_copy or bool(mount.subpath),
    )  # fmt: skip


def _beneath(volume: Volume, subpath: str) -> Path:
    """The directory in the volume; a link that leads out of it is refused."""
    top = volume.directory.resolve()
    place = (top / subpath).resolve()
    if not place.is_relative_to(top):
        raise InvalidSpec(f"the subpath {subpath!r} leads out of the volume {volume.name}")
    if not place.exists():
        raise PathNotFound(
            f"cannot access path {subpath}: no such file or directory in the volume {volume.name}",
            hint="A subpath must exist before the container is made.",
        )
    return place


def check_point(point: MountPoint, volume: Volume) -> None:
    """Before each start. Raises :class:`PathNotFound`, and :class:`InvalidSpec` when the place became a way out."""
    if point.memory:
        return
    if not volume.directory.is_dir():
        raise PathNotFound(
            f"error while mounting volume {volume.name}: {volume.directory}: no such file or directory",
            hint="It is the device that the volume was made with.",
        )
    if not Path(point.source).resolve().is_relative_to(volume.directory.resolve()):
        raise InvalidSpec(f"{point.source} leads out of the volume {volume.name}")


def shadows_of(record: ContainerRecord, directory: Path) -> list[dict[str, str]]:
    """For ``docker inspect``: what each mount hides. ``directory`` is the container's own."""
    if not record.mounts:
        return []
    layers = directory.parent.parent / "layers"
    union = Union.of([layers / diff_id.hex / "diff" for diff_id in record.diff_ids])
    covering = [Covering(point.destination, _words(point)) for point in record.mounts]
    found = shadows(covering, lambda path: _holds(union, path))
    return [{"Destination": one.destination, "Shows": one.what, "Hides": one.hides} for one in found]


def _holds(union: Union, path: str) -> bool:
    """Whether the image has something there worth hiding: a file, or a directory that is not empty."""
    try:
        found = union.find(path)
        return found is not None and (not found.is_dir() or bool(union.names(path)))
    except OSError:
        return False


def _words(point: MountPoint) -> str:
    if point.kind == "volume":
        return f"volume {point.name[:12] if point.anonymous else point.name}"
    return f"directory {point.source}" if point.kind == "bind" else "memory"
