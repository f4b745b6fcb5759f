"""Pushing: the blobs that the registry lacks, then the manifest (distribution-spec, "Push")."""

from __future__ import annotations

from minirt.errors import InvalidReference
from minirt.images.image import StoredImage, platforms_of
from minirt.model.cancel import Cancel
from minirt.model.events import EventSink, LayerFetched, LayerProgress, PullFinished, PullStarted
from minirt.model.manifest import Descriptor
from minirt.model.reference import Reference
from minirt.registry.client import RegistryClient
from minirt.registry.upload import push_blob, push_manifest
from minirt.store import Store

__all__ = ["push"]


def push(
    store: Store,
    registry: RegistryClient,
    image: StoredImage,
    ref: Reference,
    *,
    on_event: EventSink,
    cancel: Cancel | None,
) -> Descriptor:
    """Send ``image`` as ``ref``. Events are those of a pull: the same layers travel, the other way.

    Raises :class:`InvalidReference` (a digest cannot be chosen), :class:`RegistryError` and its kinds.
    """
    if ref.tag is None:
        raise InvalidReference("cannot push to a digest reference", hint="Give the image a tag and push that.")
    images = platforms_of(store, image)
    layers = tuple({layer.digest: layer for one in images for layer in one.manifest.layers}.values())
    on_event(PullStarted(ref.familiar, tuple((str(layer.digest), layer.size) for layer in layers)))
    for layer in layers:
        with store.open(layer.digest, layer.size) as data:
            if push_blob(registry, ref, layer, data, cancel=cancel):
                on_event(LayerProgress(str(layer.digest), layer.size, layer.size))
        on_event(LayerFetched(str(layer.digest)))
    for one in images:
        config = one.manifest.config
        with store.open(config.digest, config.size) as data:
            push_blob(registry, ref, config, data, cancel=cancel)
        if one.descriptor.digest != image.top.digest:  # a platform of an index goes by its digest
            raw = store.read(one.descriptor.digest)
            push_manifest(registry, ref, one.descriptor.media_type, raw, cancel=cancel, by_digest=True)
    raw = store.read(image.top.digest)
    push_manifest(registry, ref, image.top.media_type, raw, cancel=cancel)
    store.set_reference(ref.with_digest(image.top.digest), image.top)
    on_event(PullFinished(ref.familiar, str(image.top.digest)))
    return image.top
