"""Descriptors, manifests and indexes (OCI image-spec: descriptor.md, manifest.md, image-index.md).

Docker's schema 2 documents have the same shape under other media types; both are read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from minirt.errors import InvalidDocument
from minirt.model.digest import Digest
from minirt.model.platform import Platform

__all__ = [
    "CONFIG",
    "DOCKER_CONFIG",
    "DOCKER_INDEX",
    "DOCKER_LAYER_GZIP",
    "DOCKER_MANIFEST",
    "INDEX",
    "LAYER",
    "LAYER_GZIP",
    "LAYER_ZSTD",
    "MANIFEST",
    "REF_NAME",
    "Descriptor",
    "Index",
    "Manifest",
    "canonical_json",
]

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"

_SURROGATES = re.compile("[\ud800-\udfff]")

REF_NAME = "org.opencontainers.image.ref.name"


def canonical_json(document: Mapping[str, Any]) -> bytes:
    """The bytes a document is stored and hashed as: compact, keys in the order given."""
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    # Bytes of a command line that are no UTF-8 have no place in JSON; docker writes U+FFFD for them, too.
    return _SURROGATES.sub("\ufffd", text).encode()


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What a blob is, how long (``size``, bytes) and which digest it must have."""

    media_type: str
    digest: Digest
    size: int
    platform: Platform | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, data: Any) -> Descriptor:
        """Raises :class:`InvalidDocument` or :class:`InvalidDigest`."""
        try:
            size = int(data["size"])
            platform = Platform.from_json(data["platform"]) if data.get("platform") else None
            digest = Digest.parse(data["digest"])
            annotations = {str(k): str(v) for k, v in (data.get("annotations") or {}).items()}
            media_type = str(data["mediaType"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidDocument(f"not a descriptor: {error!r} in {str(data)[:120]}") from error
        if size < 0:
            raise InvalidDocument(f"not a descriptor: size {size} is negative")
        return cls(media_type, digest, size, platform, annotations)

    def to_json(self) -> dict[str, Any]:
        data: dict[str, Any] = {"mediaType": self.media_type, "digest": str(self.digest), "size": self.size}
        if self.platform is not None:
            data["platform"] = self.platform.to_json()
        if self.annotations:
            data["annotations"] = dict(self.annotations)
        return data

    def annotated(self, **annotations: str) -> Descriptor:
        """A copy with further annotations (pass names with dots as ``**{...}``)."""
        return replace(self, annotations={**self.annotations, **annotations})


@dataclass(frozen=True, slots=True)
class Manifest:
    """One image of one platform: a config and its layers, base first."""

    config: Descriptor
    layers: tuple[Descriptor, ...]
    annotations: Mapping[str, str] = field(default_factory=dict)
    media_type: str = MANIFEST

    @classmethod
    def from_bytes(cls, raw: bytes) -> Manifest:
        """Raises :class:`InvalidDocument`."""
        data = _load(raw, "manifest")
        if "config" not in data or "layers" not in data:
            raise InvalidDocument("not an image manifest: it has no config or no layers")
        return cls(
            Descriptor.from_json(data["config"]),
            tuple(Descriptor.from_json(layer) for layer in data["layers"] or ()),
            dict(data.get("annotations") or {}),
            str(data.get("mediaType") or MANIFEST),
        )

    def to_bytes(self) -> bytes:
        data: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": self.media_type,
            "config": self.config.to_json(),
            "layers": [layer.to_json() for layer in self.layers],
        }
        if self.annotations:
            data["annotations"] = dict(self.annotations)
        return canonical_json(data)


@dataclass(frozen=True, slots=True)
class Index:
    """A list of manifests: the platforms of one image, or everything in a layout."""

    manifests: tuple[Descriptor, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)
    media_type: str = INDEX

    @classmethod
    def from_bytes(cls, raw: bytes) -> Index:
        """Raises :class:`InvalidDocument`."""
        data = _load(raw, "index")
        if not isinstance(data.get("manifests"), list):
            raise InvalidDocument("not an image index: it has no list of manifests")
        return cls(
            tuple(Descriptor.from_json(entry) for entry in data["manifests"]),
            dict(data.get("annotations") or {}),
            str(data.get("mediaType") or INDEX),
        )

    def to_bytes(self) -> bytes:
        data: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": self.media_type,
            "manifests": [entry.to_json() for entry in self.manifests],
        }
        if self.annotations:
            data["annotations"] = dict(self.annotations)
        return canonical_json(data)


def _load(raw: bytes, what: str) -> dict[str, Any]:
    try:
        data = json.loads(raw)
    except ValueError as error:
        raise InvalidDocument(f"not an image {what}: {error}") from error
    if not isinstance(data, dict):
        raise InvalidDocument(f"not an image {what}: a JSON object was expected")
    return data
