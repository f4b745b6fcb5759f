"""Finding an image by what was typed: a name, a digest, an id, or the beginning of one."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

from minirt.errors import ImageNotFound, InvalidInput
from minirt.images.image import StoredImage
from minirt.model.reference import DEFAULT_TAG, Reference

__all__ = ["find", "is_id", "looks_like_id", "near_names", "not_found", "reference_in"]

_ID = re.compile(r"(?:sha256:)?([a-f0-9]{1,64})")


def find(text: str, images: Sequence[StoredImage]) -> StoredImage:
    """As docker looks it up: a whole id, then a name (``:latest`` if none is given), then the beginning of an id.

    Raises :class:`ImageNotFound`, with close names, and :class:`InvalidInput` when several ids begin so;
    :class:`InvalidReference` for what could never be a name.
    """
    match = _ID.fullmatch(text)
    if match and len(match[1]) == 64:
        whole = [image for image in images if match[1] in (image.id.hex, image.descriptor.digest.hex)]
        if whole:
            return whole[0]
        raise not_found(text, images)
    if not text.startswith("sha256:"):
        named = _by_name(Reference.parse(text), images)
        if named is not None:
            return named
    if not match:
        raise not_found(text, images)
    starting = [image for image in images if image.id.hex.startswith(match[1])]
    if len(starting) > 1:
        raise InvalidInput(
            f"{text!r} is the beginning of {len(starting)} image ids",
            cause="they are " + ", ".join(image.id.hex[: len(match[1]) + 6] for image in starting[:5]),
            hint="Type a few more digits.",
        )
    if not starting:
        raise not_found(text, images)
    return starting[0]


def looks_like_id(text: str) -> bool:
    """Whether ``text`` can be an id and no name: ``sha256:…``, or 64 hex digits."""
    return text.startswith("sha256:") or re.fullmatch(r"[a-f0-9]{64}", text) is not None


def reference_in(text: str, image: StoredImage) -> Reference:
    """The name of ``image`` that ``text`` means."""
    ref = Reference.parse(text)
    if ref in image.names or ref.digest is None:
        return ref
    return ref.with_digest(ref.digest)


def is_id(text: str, image: StoredImage) -> bool:
    """Whether ``text``, which led to ``image``, was its id or the beginning of it, not a name."""
    match = _ID.fullmatch(text)
    if not match or not image.id.hex.startswith(match[1]):
        return False
    return text.startswith("sha256:") or len(match[1]) == 64 or _by_name(Reference.parse(text), [image]) is None


def not_found(text: str, images: Iterable[StoredImage]) -> ImageNotFound:
    """The error for ``text``, with up to three names that are close to it."""
    known = sorted({tag for image in images for tag in image.tags})
    wanted = text if ":" in text.rpartition("/")[2] else f"{text}:{DEFAULT_TAG}"
    close = near_names(wanted, known)
    return ImageNotFound(
        f"No such image: {text if _ID.fullmatch(text) else wanted}",
        cause="" if known else "there are no images here yet",
        hint=f"Did you mean {' or '.join(close)}?" if close else "docker images lists what is here; pull or build it.",
    )


def near_names(wanted: str, known: Iterable[str]) -> list[str]:
    """Up to three of the names ``known`` that ``wanted`` may have meant, all of them with their tags.

    The tags are not compared: ``nosuch:latest`` and ``a:latest`` have little in common.
    """
    by_repository: dict[str, list[str]] = {}
    for name in known:
        by_repository.setdefault(name.rpartition(":")[0], []).append(name)
    repository, _, tag = wanted.rpartition(":")
    near = [repository] if repository in by_repository else difflib.get_close_matches(repository, by_repository, n=3)
    names = [name for one in near for name in by_repository[one]]
    return sorted(names, key=lambda name: name.rpartition(":")[2] != tag)[:3]


def _by_name(ref: Reference, images: Sequence[StoredImage]) -> StoredImage | None:
    if ref.digest is not None:
        # As in docker, the digest decides and a tag beside it is only a remark.
        pinned = ref.with_digest(ref.digest)
        for image in images:
            same = any(name.name == ref.name for name in image.names) and image.descriptor.digest == ref.digest
            if same or pinned in image.names:
                return image
        return None
    return next((image for image in images if ref in image.names), None)
