"""The images of an archive: read from its ``index.json``, else its ``manifest.json``, else its oldest form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minirt.errors import ImageNotFound, InvalidDocument, InvalidInput, Unsupported
from minirt.images.archive import Archive, Blob, Text
from minirt.model.digest import Digest
from minirt.model.manifest import (
    CONFIG,
    DOCKER_INDEX,
    DOCKER_MANIFEST,
    INDEX,
    LAYER,
    LAYER_GZIP,
    LAYER_ZSTD,
    MANIFEST,
    REF_NAME,
    Descriptor,
    Index,
    Manifest,
)
from minirt.model.platform import Platform
from minirt.model.reference import Reference
from minirt.registry.platforms import choose
from minirt.store import Store

__all__ = ["loaded_images"]

_FULL_NAME = "io.containerd.image.name"
_MAGIC = ((b"\x1f\x8b", LAYER_GZIP), (b"\x28\xb5\x2f\xfd", LAYER_ZSTD))

Found = list[tuple[Descriptor, tuple[Reference, ...]]]


def loaded_images(store: Store, archive: Archive) -> Found:
    """The manifests, now in the store, with their names. Raises :class:`InvalidDocument`, :class:`ImageNotFound`."""
    if isinstance(archive.find("index.json"), Text):
        return _from_oci(store, archive)
    listed = archive.document("manifest.json")
    if isinstance(listed, list):
        return [_from_docker(store, archive, entry) for entry in listed]
    if archive.find("repositories") is not None:
        raise Unsupported(
            "the archive is in the form that docker saved before version 1.10 (2016)",
            hint="Load it with a docker of that time and save it again.",
        )
    raise InvalidDocument(
        "this is not an archive of images",
        cause="it holds neither index.json (OCI) nor manifest.json (docker)",
        hint="docker load reads what docker save wrote; a plain tar of files is taken in with docker import.",
    )


def _from_oci(store: Store, archive: Archive) -> Found:
    member = archive.find("index.json")
    assert isinstance(member, Text)
    found: dict[Digest, tuple[Descriptor, list[Reference]]] = {}
    tags = _docker_tags(archive)
    for entry in Index.from_bytes(member.data).manifests:
        descriptor = _manifest(store, archive, entry)
        names = found.setdefault(descriptor.digest, (descriptor, []))[1]
        manifest = Manifest.from_bytes(store.read(descriptor.digest))
        for part, what in [(manifest.config, "the config"), *((layer, "a layer") for layer in manifest.layers)]:
            if not store.has(part.digest):
                archive.need(f"blobs/{part.digest.algorithm}/{part.digest.hex}", f"{what} of an image in it")
        name = _name(entry.annotations)
        named = [name] if name is not None else tags.get(manifest.config.digest, [])
        names += [ref for ref in named if ref not in names]
    return [(descriptor, tuple(names)) for descriptor, names in found.values()]


def _manifest(store: Store, archive: Archive, entry: Descriptor) -> Descriptor:
    """The manifest behind an entry of the index; of an index of platforms, the one for this machine."""
    path = f"blobs/{entry.digest.algorithm}/{entry.digest.hex}"
    member = archive.need(path, "listed in its index.json")
    if not isinstance(member, Blob):
        raise InvalidDocument(f"the archive's {path} is not a blob")
    if entry.media_type in (INDEX, DOCKER_INDEX):
        index = Index.from_bytes(store.read(entry.digest))
        there = Index(tuple(e for e in index.manifests if store.has(e.digest)))
        if not there.manifests:
            raise ImageNotFound("the archive has an index, but none of the images it lists")
        return _manifest(store, archive, choose(there, Platform.host(), "the archive"))
    if entry.media_type not in (MANIFEST, DOCKER_MANIFEST):
        raise InvalidDocument(f"the archive holds something that is not an image: {entry.media_type}")
    return Descriptor(entry.media_type, entry.digest, member.descriptor.size)


def _from_docker(store: Store, archive: Archive, entry: Any) -> tuple[Descriptor, tuple[Reference, ...]]:
    """An entry of docker image-spec v1.2: a config, and the layers as tars (compressed ones are met in the wild)."""
    if not isinstance(entry, dict) or not isinstance(entry.get("Config"), str):
        raise InvalidDocument("the archive's manifest.json has an entry without a Config")
    config = archive.need(entry["Config"], "the config of an image in it")
    raw = config.data if isinstance(config, Text) else store.read(config.descriptor.digest)
    layers = []
    for path in entry.get("Layers") or ():
        member = archive.need(str(path), "a layer of an image in it")
        if isinstance(member, Text):
            member = Blob(store.put(member.data, LAYER))
        layers.append(_layer(store, member.descriptor))
    manifest = Manifest(store.put(raw, CONFIG), tuple(layers))
    return store.put(manifest.to_bytes(), MANIFEST), tuple(_references(entry))


def _layer(store: Store, descriptor: Descriptor) -> Descriptor:
    """The layer under the media type that its first bytes show."""
    with store.path(descriptor.digest).open("rb") as blob:
        head = blob.read(4)
    kind = next((media_type for magic, media_type in _MAGIC if head.startswith(magic)), LAYER)
    return Descriptor(kind, descriptor.digest, descriptor.size)


def _docker_tags(archive: Archive) -> dict[Digest, list[Reference]]:
    """Names by config digest from ``manifest.json``, for archives whose index.json has only tags in it."""
    found: dict[Digest, list[Reference]] = {}
    for entry in archive.document("manifest.json") or ():
        path = str(entry.get("Config", "")) if isinstance(entry, dict) else ""
        if path.startswith("blobs/"):
            digest = archive.promised(archive.key(path))
            if digest is not None:
                found.setdefault(digest, []).extend(_references(entry))
    return found


def _references(entry: Mapping[str, Any]) -> list[Reference]:
    return [Reference.parse(str(tag)) for tag in entry.get("RepoTags") or ()]


def _name(annotations: Mapping[str, str]) -> Reference | None:
    """The name of an entry. A bare word such as ``latest`` is a tag of nothing in particular, so no name."""
    full, short = annotations.get(_FULL_NAME), annotations.get(REF_NAME, "")
    text = full or (short if ":" in short or "/" in short else "")
    try:
        return Reference.parse(text) if text else None
    except InvalidInput:
        return None  # other tools may write there what docker would not take for a name
