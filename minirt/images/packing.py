"""An image whose layers are packed with gzip, as registries and archives mostly have them."""

from __future__ import annotations

import zlib
from dataclasses import replace

from minirt.images.image import StoredImage
from minirt.model.manifest import LAYER, LAYER_GZIP, Descriptor
from minirt.store import Store

__all__ = ["packed"]

_CHUNK = 1 << 20
_GZIP = 16 + zlib.MAX_WBITS  # zlib's way to say: with the header of gzip, which then holds no time


def packed(store: Store, image: StoredImage, level: int = 6) -> StoredImage:
    """The same image, its plain layers packed at ``level`` (0 to 9); the blobs are in the store then, without a name.

    The config, and with it the image id, is the same: it speaks of the layers' own digests. Raises StorageFull.
    """
    layers = tuple(
        _pack(store, layer, level) if layer.media_type == LAYER else layer for layer in image.manifest.layers
    )
    manifest = replace(image.manifest, layers=layers)
    descriptor = store.put(manifest.to_bytes(), image.descriptor.media_type)
    return replace(image, manifest=manifest, descriptor=replace(descriptor, platform=image.descriptor.platform))


def _pack(store: Store, layer: Descriptor, level: int) -> Descriptor:
    packer = zlib.compressobj(level, zlib.DEFLATED, _GZIP)
    with store.open(layer.digest, layer.size) as data, store.writer() as writer:
        while chunk := data.read(_CHUNK):
            writer.write(packer.compress(chunk))
        writer.write(packer.flush())
        return writer.commit(LAYER_GZIP)
