"""Pushing: the blobs that the registry lacks, then the manifest (distribution-spec, "Push")."""

from __future__ import annotations

from minirt.errors import InvalidReference
from minirt.images.image import StoredImage
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
    layers = tuple({layer.digest: layer for layer in image.manifest.layers}.values())
    on_event(PullStarted(ref.familiar, tuple((str(layer.digest), layer.size) for layer in layers)))
    for blob in (*layers, image.manifest.config):
        with store.open(blob.digest, blob.size) as data:
            sent = push_blob(registry, ref, blob, data, cancel=cancel)
        if blob is not image.manifest.config:
            if sent:
                on_event(LayerProgress(str(blob.digest), blob.size, blob.size))
            on_event(LayerFetched(str(blob.digest)))
    raw = store.read(image.descriptor.digest)
    push_manifest(registry, ref, image.descriptor.media_type, raw, cancel=cancel)
    store.set_reference(ref.with_digest(image.descriptor.digest), image.descriptor)
    on_event(PullFinished(ref.familiar, str(image.descriptor.digest)))
    return image.descriptor
