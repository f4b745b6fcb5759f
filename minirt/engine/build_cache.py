"""The build cache as ``docker builder prune`` and ``docker system df`` see it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from minirt.errors import Conflict
from minirt.model.digest import Digest

if TYPE_CHECKING:
    from minirt.engine.facade import Engine

__all__ = ["MOST_BYTES", "Selection", "keep_to_limit", "prune", "records", "room_to_keep", "usage"]

MOST_BYTES = 10_000_000_000
"""What the cache holds at most beside images, or a tenth of the disk if that is less; asked once an hour."""

_HOUR = 3600


def usage(engine: Engine) -> dict[str, int]:
    """See :meth:`minirt.engine.build_calls.WithBuilds.cache_usage`."""
    held = _in_images(engine)
    records = [step.layer for _, step, _ in engine.builder.cache.records()]
    sizes = {layer.diff_id: layer.descriptor.size for layer in records}
    free = sum(size for diff_id, size in sizes.items() if diff_id not in held)
    other = engine.builder.failed.size() + _mounts(engine)
    return {
        "TotalCount": len(records),
        "Active": sum(layer.diff_id in held for layer in records),
        "Size": sum(sizes.values()) + other,
        "Reclaimable": free + other,
    }


@dataclass(frozen=True, slots=True)
class Selection:
    """What a prune may take: results of steps, directories of cache mounts, and only these ids if there are any."""

    steps: bool = True
    mounts: bool = True
    ids: tuple[str, ...] = ()

    def fits(self, name: str) -> bool:
        return not self.ids or any(name.startswith(one) for one in self.ids)


def records(engine: Engine) -> list[dict[str, Any]]:
    """See :meth:`minirt.engine.build_calls.WithBuilds.cache_records`."""
    held = _in_images(engine)
    found = []
    for key, step, used in engine.builder.cache.records():
        shared = step.layer.diff_id in held
        row = {
            "ID": key[:25], "Type": "regular", "Size": step.layer.descriptor.size, "CreatedAt": step.created,
            "LastUsedAt": used, "Reclaimable": not shared, "Shared": shared, "Mutable": False,
            "Description": engine.builder.cache.description(key),
        }  # fmt: skip
        found.append(row)
    for name, note, size, used in _mount_notes(engine):
        row = {
            "ID": name[:25], "Type": "exec.cachemount", "Size": size, "CreatedAt": "", "LastUsedAt": used,
            "Reclaimable": True, "Shared": False, "Mutable": True,
            "Description": f"cached mount {note.get('target', '')} with id \"{note.get('id', '')}\"",
        }  # fmt: skip
        found.append(row)
    return found


def prune(
    engine: Engine, *, every: bool, unused_for: float, keep_bytes: int, only: Selection = Selection()
) -> dict[str, Any]:
    """See :meth:`minirt.engine.build_calls.WithBuilds.prune_builds`."""
    held = _in_images(engine)
    freed, keys = 0, []
    if not unused_for and not keep_bytes and not only.ids and only.steps:
        freed += engine.builder.failed.clear()
    if every and only.mounts and not keep_bytes:
        names, bytes_ = _clear_mounts(engine, unused_for, only)
        keys += names
        freed += bytes_
    if only.steps:
        pruned = engine.builder.cache.prune(
            unused_for=unused_for, keep_bytes=keep_bytes, spare=frozenset() if every else held, wanted=only.fits
        )
        sizes = {layer: engine.store.size(layer) for layer in pruned.layers if engine.store.has(layer)}
        engine.release_layers(pruned.layers)
        engine.store.sweep(engine.needed_blobs())
        freed += sum(size for layer, size in sizes.items() if not engine.store.has(layer))
        keys += pruned.keys
    return {"CachesDeleted": keys, "SpaceReclaimed": freed}


def room_to_keep(engine: Engine, *, reserved: int, most: int, free: int) -> int:
    """Bytes that a prune leaves, as BuildKit reckons them (cache/manager.go, ``calculateKeepBytes``).

    ``reserved`` are never taken; more than ``most`` are not kept; and so many go that ``free`` are free on the disk.
    """
    if not (most or free):
        return reserved
    used = usage(engine)["Reclaimable"]
    keep = most or used
    disk = os.statvfs(engine.store.home)
    missing = free - disk.f_bavail * disk.f_frsize
    if free and missing > 0:
        keep = min(keep, used - missing)
    return max(keep, reserved, 1)


def keep_to_limit(engine: Engine) -> None:
    """Forget the results that were not used for longest, once an hour, if the cache is larger than its limit."""
    stamp = engine.builder.cache.root / "looked-at"
    try:
        if time.time() - stamp.stat().st_mtime < _HOUR:
            return
    except OSError:
        pass
    stamp.touch()
    disk = os.statvfs(stamp)
    limit = min(MOST_BYTES, disk.f_blocks * disk.f_frsize // 10)
    if usage(engine)["Reclaimable"] > limit:
        prune(engine, every=False, unused_for=0.0, keep_bytes=limit)


def _in_images(engine: Engine) -> frozenset[Digest]:
    images = engine.image_store.list(all=True)
    return frozenset(diff_id for image in images for diff_id in image.config.diff_ids)


def _mounts(engine: Engine) -> int:
    return sum(size for _, _, size, _ in _mount_notes(engine))


def _mount_notes(engine: Engine) -> Iterator[tuple[str, dict[str, Any], int, float]]:
    """Name, note, bytes and last use (seconds since 1970) of what ``RUN --mount=type=cache`` keeps."""
    place = engine.store.home / "cache" / "mounts"
    for path in sorted(place.iterdir()) if place.is_dir() else ():
        if path.suffix == ".json":
            continue
        note = path.with_name(f"{path.name}.json")
        try:
            known, used = json.loads(note.read_bytes()), note.stat().st_mtime
        except (OSError, ValueError):
            known, used = {}, path.stat().st_mtime
        yield path.name, known, engine.snapshots.measure(path), used


def _clear_mounts(engine: Engine, unused_for: float, only: Selection) -> tuple[list[str], int]:
    """Names and bytes of what went; a directory that a running build has mounted stays."""
    names, freed = [], 0
    place = engine.store.home / "cache" / "mounts"
    for name, _, size, used in list(_mount_notes(engine)):
        if time.time() - used < unused_for or not only.fits(name):
            continue
        try:
            with engine.store.lock(f"mount-{name}", timeout=0):
                engine.snapshots.discard(place / name)
                (place / f"{name}.json").unlink(missing_ok=True)
        except Conflict:
            continue
        names.append(name)
        freed += size
    return names, freed
