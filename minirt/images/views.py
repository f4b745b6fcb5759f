"""How an image looks from outside: docker's history, inspect, and the stack of layers."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from minirt.images.facts import LayerFacts
from minirt.images.image import StoredImage
from minirt.model.digest import Digest
from minirt.model.manifest import Descriptor
from minirt.model.reference import Reference

__all__ = ["HistoryRow", "StackLayer", "history", "inspect", "matches", "merged", "named", "stack", "to_save"]

Facts = Callable[[Descriptor, Digest], LayerFacts]
Content = Callable[[Descriptor, Digest], int]
_NEVER = "0001-01-01T00:00:00Z"  # how Go writes a time that is not set


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One row of ``docker history``. ``id`` is None for the rows that docker shows as ``<missing>``; ``size`` in bytes.

    ``layer`` is the diff id of the layer the instruction made, None when it changed only the config.
    """

    id: Digest | None
    created: str
    created_by: str
    size: int
    comment: str = ""
    tags: tuple[str, ...] = ()
    layer: Digest | None = None


@dataclass(frozen=True, slots=True)
class StackLayer:
    """One layer in its image. Sizes in bytes: ``size`` of the blob as stored, ``content`` of its files unpacked."""

    descriptor: Descriptor
    diff_id: Digest
    chain_id: Digest
    created_by: str
    content: int
    entries: int
    whiteouts: int
    shared_by: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        return self.descriptor.size


def history(image: StoredImage, content: Content) -> tuple[HistoryRow, ...]:
    """Newest first. An image with a history that does not fit its layers gets one row per layer."""
    rows: list[HistoryRow] = []
    layers = iter(image.layers)
    for entry, layer in _made_by(image):
        size = content(*next(layers)) if layer is not None else 0
        rows.append(HistoryRow(None, entry[0], entry[1], size, entry[2], (), layer))
    if rows:
        rows[-1] = replace(rows[-1], id=image.id, tags=image.tags)
    return tuple(reversed(rows))


def stack(image: StoredImage, others: Sequence[StoredImage], facts: Facts) -> tuple[StackLayer, ...]:
    """Base first; a layer is shared by the images that hold it on the very same layers below (the same chain id)."""
    chains = {other.id: set(other.chain) for other in others if other.id != image.id}
    titles = {other.id: other.tags[0] if other.tags else other.short_id for other in others}
    makers = [entry[1] for entry, layer in _made_by(image) if layer is not None]
    found = []
    for (descriptor, diff_id), chain_id, created_by in zip(image.layers, image.chain, makers, strict=True):
        figures = facts(descriptor, diff_id)
        shared = tuple(titles[other] for other, chain in chains.items() if chain_id in chain)
        found.append(
            StackLayer(
                descriptor, diff_id, chain_id, created_by, figures.content, figures.entries, figures.whiteouts, shared
            )
        )
    return tuple(found)


def inspect(image: StoredImage, size: int, home: Path) -> dict[str, Any]:
    """Docker's document, field for field, for an image of ``size`` bytes of content."""
    config = image.config
    return {
        "Id": str(image.id),
        "RepoTags": list(image.tags),
        "RepoDigests": list(image.repo_digests),
        "Parent": "",
        "Comment": config.history[-1].comment if config.history else "",
        "Created": config.created or _NEVER,
        "DockerVersion": str(config.extra.get("docker_version", "")),
        "Author": config.author,
        "Config": _config(image),
        "Architecture": config.platform.architecture,
        **({"Variant": config.platform.variant} if config.platform.variant else {}),
        "Os": config.platform.os,
        "Size": size,
        "VirtualSize": size,
        "GraphDriver": _driver(config.diff_ids, home),
        "RootFS": {"Type": "layers", "Layers": [str(diff_id) for diff_id in config.diff_ids]},
        "Metadata": {"LastTagTime": _NEVER},
        "Descriptor": image.descriptor.to_json(),
    }


def matches(image: StoredImage, pattern: str) -> bool:
    """Whether a tag of the image fits ``hello``, ``hello:1`` or a pattern such as ``hello:*``."""
    for name in image.names:
        for text in (name.familiar, name.familiar_name, str(name), name.name):
            if fnmatch.fnmatchcase(text, pattern):
                return True
    return False


def merged(first: StoredImage, second: StoredImage) -> StoredImage:
    """Two manifests of one config are one image with the names of both."""
    return replace(first, names=(*first.names, *(name for name in second.names if name not in first.names)))


def named(image: StoredImage, refs: tuple[Reference, ...]) -> StoredImage:
    return image if image.names == refs else replace(image, names=refs)


def to_save(
    texts: Sequence[str], images: Sequence[StoredImage], get: Callable[[str], StoredImage]
) -> tuple[StoredImage, ...]:
    """The images to save, each with only the names that were asked for.

    As docker does: a name with a tag is that name, a repository alone is all its tags, an id comes without a name.
    """
    chosen: dict[Digest, StoredImage] = {}
    for text in texts:
        for image in _asked(text, images, get):
            chosen[image.id] = merged(chosen[image.id], image) if image.id in chosen else image
    return tuple(chosen.values())


def _asked(text: str, images: Sequence[StoredImage], get: Callable[[str], StoredImage]) -> tuple[StoredImage, ...]:
    from minirt.images.names import is_id, looks_like_id

    if not looks_like_id(text):
        bare = Reference.parse(text, default_tag=None)
        if bare.tag is None and bare.digest is None:
            several = [
                named(image, tuple(name for name in image.names if name.name == bare.name and name.digest is None))
                for image in images
            ]
            if any(image.names for image in several):
                return tuple(image for image in several if image.names)
    image = get(text)
    if is_id(text, image):
        return (named(image, ()),)
    ref = Reference.parse(text)
    return (named(image, (ref,) if ref.digest is None else ()),)


def _made_by(image: StoredImage) -> list[tuple[tuple[str, str, str], Digest | None]]:
    """(created, created by, comment) and the layer, if it made one, for each step; base first."""
    config = image.config
    if sum(not entry.empty_layer for entry in config.history) != len(config.diff_ids):
        return [((config.created, "", ""), diff_id) for diff_id in config.diff_ids]
    layers = iter(config.diff_ids)
    return [
        ((entry.created, entry.created_by, entry.comment), None if entry.empty_layer else next(layers))
        for entry in config.history
    ]


def _config(image: StoredImage) -> dict[str, Any]:
    """The config with the fields that docker always shows, as templates such as ``{{.Config.Env}}`` expect them."""
    always: dict[str, Any] = {
        "Hostname": "",
        "Domainname": "",
        "User": "",
        "AttachStdin": False,
        "AttachStdout": False,
        "AttachStderr": False,
        "Tty": False,
        "OpenStdin": False,
        "StdinOnce": False,
        "Env": None,
        "Cmd": None,
        "Image": "",
        "Volumes": None,
        "WorkingDir": "",
        "Entrypoint": None,
        "OnBuild": None,
        "Labels": None,
    }
    return {**always, **image.config.config.to_json()}


def _driver(diff_ids: tuple[Digest, ...], home: Path) -> dict[str, Any]:
    """Where the layers lie unpacked, topmost first, in overlay's own words."""
    places = [str(home / "layers" / diff_id.hex / "diff") for diff_id in reversed(diff_ids)]
    data: dict[str, str] = {}
    if places:
        data["UpperDir"] = places[0]
    if len(places) > 1:
        data["LowerDir"] = ":".join(places[1:])
    return {"Name": "overlay", "Data": data}
