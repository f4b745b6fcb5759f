"""The build cache as ``docker builder prune`` and ``docker system df`` see it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from minirt.model.digest import Digest

if TYPE_CHECKING:
    from minirt.engine.facade import Engine

__all__ = ["MOST_BYTES", "keep_to_limit", "prune", "usage"]

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


def prune(engine: Engine, *, every: bool, unused_for: float, keep_bytes: int) -> dict[str, Any]:
    """See :meth:`minirt.engine.build_calls.WithBuilds.prune_builds`."""
    held = _in_images(engine)
    freed = 0
    if not unused_for and not keep_bytes:
        freed += engine.builder.failed.clear()
        freed += _clear_mounts(engine) if every else 0
    pruned = engine.builder.cache.prune(
        unused_for=unused_for, keep_bytes=keep_bytes, spare=frozenset() if every else held
    )
    sizes = {layer: engine.store.size(layer) for layer in pruned.layers if engine.store.has(layer)}
    engine.release_layers(pruned.layers)
    engine.store.sweep(engine.needed_blobs())
    freed += sum(size for layer, size in sizes.items() if not engine.store.has(layer))
    return {"CachesDeleted": list(pruned.keys), "SpaceReclaimed": freed}


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
    place = engine.store.home / "cache" / "mounts"
    return engine.snapshots.measure(place) if place.exists() else 0


def _clear_mounts(engine: Engine) -> int:
    """What ``RUN --mount=type=cache`` keeps; one in use by a running build is that build's matter."""
    freed = _mounts(engine)
    engine.snapshots.discard(engine.store.home / "cache" / "mounts")
    return freed
