"""What a layer's tar holds, in figures: worked out once, when it comes, and kept under ``cache/layers/``.

Walking a layer is also what proves that its bytes, unpacked, have the diff id that the image's config promises.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from minirt.model.digest import Digest
from minirt.model.manifest import Descriptor
from minirt.store import Store, atomic_write

__all__ = ["LayerFacts", "layer_content", "layer_facts"]


@dataclass(frozen=True, slots=True)
class LayerFacts:
    """``content`` is the sum of its files' sizes in bytes (docker's SIZE), ``tar`` the length of its tar."""

    content: int
    tar: int
    entries: int
    whiteouts: int


def layer_facts(store: Store, descriptor: Descriptor, diff_id: Digest) -> LayerFacts:
    """The figures of a layer, checked when they are worked out.

    Raises :class:`BlobNotFound`, :class:`CorruptBlob` (also when the unpacked bytes are not ``diff_id``'s) and
    :class:`LayerError`.
    """
    places = [home / "cache" / "layers" / f"{diff_id.hex}.json" for home in store.homes]
    for place in places:
        try:
            return LayerFacts(**json.loads(place.read_text()))
        except (OSError, ValueError, TypeError):
            continue
    facts, kept = _walk(store, descriptor, diff_id), places[0]
    kept.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(kept, json.dumps(asdict(facts)).encode(), durable=False)
    return facts


def layer_content(store: Store, descriptor: Descriptor, diff_id: Digest) -> int:
    """Bytes of file content in a layer. Where it was built or is unpacked, its label says so without a walk."""
    for home in store.homes:
        try:
            return int(json.loads((home / "layers" / diff_id.hex / "layer.json").read_text())["content_bytes"])
        except (OSError, ValueError, TypeError, KeyError):
            continue
    return layer_facts(store, descriptor, diff_id).content


def _walk(store: Store, descriptor: Descriptor, diff_id: Digest) -> LayerFacts:
    from minirt.layers.streams import HashingReader, decompress
    from minirt.layers.tar_read import TarReader

    with store.open(descriptor.digest, descriptor.size) as blob:
        unpacked = HashingReader(decompress(blob, descriptor.media_type))
        tar = TarReader(unpacked)
        content = entries = whiteouts = 0
        for member in tar:
            entries += 1
            content += member.size
            whiteouts += member.name.rstrip("/").rpartition("/")[2].startswith(".wh.")
        tar.drain()
        while blob.read(1 << 20):
            pass  # to the very end, so that the store's own check takes place
    unpacked.verify(diff_id)
    return LayerFacts(content, unpacked.size, entries, whiteouts)
