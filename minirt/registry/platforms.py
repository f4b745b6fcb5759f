"""One image of a multi-platform index (OCI image-spec, image-index.md)."""

from __future__ import annotations

from minirt.errors import ImageNotFound
from minirt.model.manifest import DOCKER_INDEX, DOCKER_MANIFEST, INDEX, MANIFEST, Descriptor, Index
from minirt.model.platform import Platform

__all__ = ["choose", "images"]

_MANIFESTS = (MANIFEST, DOCKER_MANIFEST)


def images(index: Index) -> tuple[Descriptor, ...]:
    """The entries that are images: BuildKit puts attestations between them, with platform ``unknown/unknown``."""
    return tuple(
        entry
        for entry in index.manifests
        if entry.media_type in (*_MANIFESTS, INDEX, DOCKER_INDEX)
        and not (entry.platform is not None and entry.platform.os == "unknown")
    )


def choose(index: Index, platform: Platform, name: str) -> Descriptor:
    """The entry to run on ``platform``: the same variant if there is one, else the best that runs, else the first.

    Entries without a platform count only when they are alone. Raises :class:`ImageNotFound` with the platforms that
    there are.
    """
    entries = images(index)
    if len(entries) == 1 and entries[0].platform is None:
        return entries[0]
    fitting = [entry for entry in entries if entry.platform is not None and platform.runs(entry.platform)]
    if fitting:
        exact = [entry for entry in fitting if entry.platform == platform]
        # For arm, v6 runs on v7 too; the newest that runs is the fastest.
        return exact[0] if exact else max(fitting, key=lambda entry: entry.platform.variant if entry.platform else "")
    there = sorted({str(entry.platform) for entry in entries if entry.platform is not None})
    raise ImageNotFound(
        f"no matching manifest for {platform} in {name}",
        cause=f"the image was made for {', '.join(there)}" if there else "its index names no platform",
        hint="Take one of these with --platform (it may not run here), or another image." if there else "",
    )
