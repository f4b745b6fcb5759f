"""``index.json`` anew, from what the blobs themselves say: for a home whose list of images was damaged.

A blob does not know its names. They are lost here; who knows some gives them back with ``set_reference``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from minirt.model.digest import Digest
from minirt.model.manifest import INDEX, MANIFEST, Descriptor, Index, canonical_json
from minirt.store.files import atomic_write

__all__ = ["images_among", "rebuild_index"]

_LONGEST = 4 << 20  # bytes; a manifest is never longer (distribution-spec)


def images_among(blobs: Path) -> list[tuple[Descriptor, Digest | None]]:
    """Every manifest, or index of platforms, that no index leads to; with the digest of its config if it has one.

    ``blobs`` is the directory ``blobs/sha256``.
    """
    documents = dict(_documents(blobs))
    inner = {entry["digest"] for document in documents.values() for entry in document.get("manifests", ())}
    found = []
    for digest, document in documents.items():
        if str(digest) in inner:
            continue
        kind = document.get("mediaType") or (INDEX if "manifests" in document else MANIFEST)
        config = document.get("config", {}).get("digest")
        size = (blobs / digest.hex).stat().st_size
        found.append((Descriptor(kind, digest, size), Digest.parse(config) if config else None))
    return found


def rebuild_index(home: Path) -> None:
    """Put the damaged list aside, as ``tmp/corrupt-index.json``, and write one of all images, without names.

    The caller holds the lock of the index. Raises :class:`StorageFull`.
    """
    entries = [descriptor.to_json() for descriptor, _ in images_among(home / "blobs" / "sha256")]
    index = home / "index.json"
    if index.exists():
        index.rename(home / "tmp" / "corrupt-index.json")
    atomic_write(index, canonical_json({**json.loads(Index().to_bytes()), "manifests": entries}))


def _documents(blobs: Path) -> Iterator[tuple[Digest, dict[str, Any]]]:
    for path in sorted(blobs.glob("[0-9a-f]" * 64)):
        try:
            with path.open("rb") as file:
                if file.read(1) != b"{" or path.stat().st_size > _LONGEST:
                    continue
                document = json.loads(b"{" + file.read())
        except (OSError, ValueError):
            continue
        if isinstance(document.get("layers"), list) or isinstance(document.get("manifests"), list):
            yield Digest("sha256", path.name), document
