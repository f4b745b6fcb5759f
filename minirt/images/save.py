"""Saving images: one tar that is an OCI archive and a docker archive at once.

``oci-layout``, ``index.json`` and ``blobs/`` make it an OCI image layout (image-spec, image-layout.md), which skopeo,
buildah and today's docker read; ``manifest.json`` and ``repositories`` beside them are what older dockers look for,
and name the very same blobs. Members are sorted and carry no times or owners: the same images give the same bytes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

from minirt.images.facts import layer_facts
from minirt.images.image import StoredImage, platforms_of
from minirt.layers.streams import decompress
from minirt.layers.tar_write import DIRECTORY, END, FILE, entry_header, padding
from minirt.model.digest import Digest
from minirt.model.manifest import LAYER_ZSTD, REF_NAME, Descriptor, Index, canonical_json
from minirt.model.reference import Reference
from minirt.store import Store

__all__ = ["save"]

_CHUNK = 1 << 18
_FULL_NAME = "io.containerd.image.name"


def save(store: Store, images: Sequence[StoredImage]) -> Iterator[bytes]:
    """The chunks of the archive. Only the tags among an image's ``names`` are written.

    Raises :class:`CorruptBlob` or :class:`BlobNotFound` on the way if the store is damaged.
    """
    images = sorted(images, key=lambda image: image.id)
    texts = {
        "index.json": _index(images),
        "manifest.json": _docker_manifest(images),
        "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
    }
    if any(_tags(image) for image in images):
        texts["repositories"] = _repositories(images)
    yield _header("blobs/", DIRECTORY, 0)
    folder = ""
    for digest, chunks in sorted(_blobs(store, images).items()):
        if folder != digest.algorithm:
            folder = digest.algorithm
            yield _header(f"blobs/{folder}/", DIRECTORY, 0)
        yield from chunks
    for name, data in sorted(texts.items()):
        yield _header(name, FILE, len(data)) + data + bytes(padding(len(data)))
    yield END


def _blobs(store: Store, images: Sequence[StoredImage]) -> dict[Digest, Iterator[bytes]]:
    """Every blob once, as the chunks of its member; nothing is read before its turn."""
    found: dict[Digest, Iterator[bytes]] = {}
    for image in images:
        found.setdefault(image.top.digest, _blob(store, image.top.digest))
        for one in platforms_of(store, image):
            for digest in (one.descriptor.digest, one.manifest.config.digest):
                found.setdefault(digest, _blob(store, digest))
            for layer, diff_id in one.layers:
                found.setdefault(layer.digest, _blob(store, layer.digest))
                if _for_docker(layer, diff_id) != layer.digest:
                    found.setdefault(diff_id, _unpacked(store, layer, diff_id))
    return found


def _for_docker(layer: Descriptor, diff_id: Digest) -> Digest:
    """The blob ``manifest.json`` names for a layer: of zstd, which docker before 23 cannot read, the bare tar."""
    return diff_id if layer.media_type == LAYER_ZSTD else layer.digest


def _blob(store: Store, digest: Digest) -> Iterator[bytes]:
    size = store.size(digest)
    yield _header(_path(digest), FILE, size)
    with store.open(digest, size) as data:
        while chunk := data.read(_CHUNK):
            yield chunk
    yield bytes(padding(size))


def _unpacked(store: Store, layer: Descriptor, diff_id: Digest) -> Iterator[bytes]:
    size = layer_facts(store, layer, diff_id).tar
    yield _header(_path(diff_id), FILE, size)
    with store.open(layer.digest, layer.size) as data:
        tar = decompress(data, layer.media_type)
        while chunk := tar.read(_CHUNK):
            yield chunk
    yield bytes(padding(size))


def _index(images: Sequence[StoredImage]) -> bytes:
    entries = []
    for image in images:
        bare = image.top
        names = [{_FULL_NAME: str(tag), REF_NAME: tag.familiar} for tag in _tags(image)]
        for notes in names or [{}]:
            entries.append(
                type(bare)(
                    bare.media_type, bare.digest, bare.size, None if image.index else image.config.platform, notes
                )
            )
    return Index(tuple(entries)).to_bytes()


def _docker_manifest(images: Sequence[StoredImage]) -> bytes:
    """The list of docker image-spec v1.2, "Combined Image JSON + Filesystem Changeset Format"."""
    documents = [
        {
            "Config": _path(image.manifest.config.digest),
            "RepoTags": [tag.familiar for tag in _tags(image)],
            "Layers": [_path(_for_docker(layer, diff_id)) for layer, diff_id in image.layers],
        }
        for image in images
    ]
    return b"[" + b",".join(canonical_json(document) for document in documents) + b"]"


def _repositories(images: Sequence[StoredImage]) -> bytes:
    """The oldest form of names: repository -> tag -> id of the topmost layer."""
    found: dict[str, dict[str, str]] = {}
    for image in images:
        top = image.manifest.layers[-1].digest if image.manifest.layers else image.id
        for tag in _tags(image):
            found.setdefault(tag.familiar_name, {})[str(tag.tag)] = top.hex
    document: dict[str, Any] = {name: dict(sorted(tags.items())) for name, tags in sorted(found.items())}
    return canonical_json(document)


def _tags(image: StoredImage) -> list[Reference]:
    return sorted((name for name in image.names if name.digest is None), key=str)


def _path(digest: Digest) -> str:
    return f"blobs/{digest.algorithm}/{digest.hex}"


def _header(name: str, kind: bytes, size: int) -> bytes:
    return entry_header(os.fsencode(name), kind, mode=0o755 if kind == DIRECTORY else 0o644, size=size)
