"""An image as the store holds it: a manifest, a config, and the names that lead to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from minirt.errors import ImageNotFound, InvalidDocument
from minirt.model.config import ImageConfig
from minirt.model.digest import Digest, chain_ids
from minirt.model.manifest import DOCKER_INDEX, INDEX, Descriptor, Index, Manifest
from minirt.model.platform import Platform
from minirt.model.reference import Reference
from minirt.registry.platforms import choose
from minirt.store import Store

__all__ = ["StoredImage", "check_layers", "platforms_of", "read_image", "sound"]


@dataclass(frozen=True, slots=True)
class StoredImage:
    """``id`` is the digest of the config, as everywhere in docker; ``names`` are its tags and digests, oldest first.

    ``index`` is set where the names lead to an index of several platforms, of which this image is one.
    """

    id: Digest
    descriptor: Descriptor
    manifest: Manifest
    config: ImageConfig
    names: tuple[Reference, ...] = ()
    index: Descriptor | None = None

    @property
    def top(self) -> Descriptor:
        """What its names lead to: the index, or the manifest."""
        return self.index or self.descriptor

    @property
    def short_id(self) -> str:
        """The first 12 hex digits of the id."""
        return self.id.short

    @property
    def tags(self) -> tuple[str, ...]:
        """``("hello:1", …)``; empty for a dangling image."""
        return tuple(name.familiar for name in self.names if name.digest is None)

    @property
    def repo_digests(self) -> tuple[str, ...]:
        """``("alpine@sha256:…", …)``: how its registries call it."""
        return tuple(name.familiar for name in self.names if name.digest is not None)

    @property
    def dangling(self) -> bool:
        """Whether no tag leads to it (docker's ``<none>``)."""
        return not self.tags

    @property
    def layers(self) -> tuple[tuple[Descriptor, Digest], ...]:
        """(blob, diff id) of each layer, base first."""
        return tuple(zip(self.manifest.layers, self.config.diff_ids, strict=True))

    @property
    def chain(self) -> tuple[Digest, ...]:
        """The chain id after each layer."""
        return chain_ids(self.config.diff_ids)

    @property
    def labels(self) -> Mapping[str, str]:
        return self.config.config.labels


@contextmanager
def sound(what: str) -> Iterator[None]:
    """Documents of strangers are read within it: a field of an unexpected type is :class:`InvalidDocument` too."""
    try:
        yield
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise InvalidDocument(
            f"{what} cannot be understood", cause=f"a field is not what it must be: {error}"
        ) from error


def read_image(store: Store, descriptor: Descriptor, names: tuple[Reference, ...] = ()) -> StoredImage:
    """The image behind a descriptor of a manifest, or of an index that holds one for this machine.

    Raises :class:`BlobNotFound`, :class:`CorruptBlob`, :class:`InvalidDocument`, :class:`ImageNotFound` (no such
    platform in the index).
    """
    if descriptor.media_type in (INDEX, DOCKER_INDEX):
        name = names[0].familiar if names else descriptor.digest.short
        index = Index.from_bytes(store.read(descriptor.digest))
        try:
            chosen = choose(index, Platform.host(), name)
        except ImageNotFound:
            # Built here for other platforms only: still an image, to be looked at and pushed.
            found = [one for one in index.manifests if store.has(one.digest, one.size)]
            if not found:
                raise
            chosen = found[0]
        return replace(read_image(store, chosen, names), index=replace(descriptor, annotations={}))
    with sound(f"the image {descriptor.digest.short}"):
        manifest = Manifest.from_bytes(store.read(descriptor.digest))
        config = ImageConfig.from_bytes(store.read(manifest.config.digest))
    check_layers(manifest, config)
    # Annotations are notes of the index about one name; the image is the same under all of them.
    return StoredImage(manifest.config.digest, replace(descriptor, annotations={}), manifest, config, names)


def platforms_of(store: Store, image: StoredImage) -> tuple[StoredImage, ...]:
    """The image for every platform that is here: all of its index, or the image alone."""
    if image.index is None:
        return (image,)
    entries = Index.from_bytes(store.read(image.index.digest)).manifests
    return tuple(read_image(store, entry) for entry in entries if store.has(entry.digest, entry.size))


def check_layers(manifest: Manifest, config: ImageConfig) -> None:
    """Raises :class:`InvalidDocument` unless manifest and config speak of the same number of layers."""
    if len(manifest.layers) != len(config.diff_ids):
        raise InvalidDocument(
            f"the image {manifest.config.digest.short} contradicts itself",
            cause=f"its manifest lists {len(manifest.layers)} layers, its config {len(config.diff_ids)}",
        )
