"""``docker rmi``: taking names away, and the image with its last one.

The rules are moby's (daemon/images/image_delete.go): a name is only taken away while others remain; the last one
takes the image along, unless a container uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from minirt.errors import ImageInUse, ImageShared
from minirt.images.image import StoredImage
from minirt.model.digest import Digest
from minirt.model.reference import Reference

__all__ = ["ImageUse", "Removal", "plan_removal", "refuse_shared"]


@dataclass(frozen=True, slots=True)
class ImageUse:
    """A container that was made from an image: its short id, and whether it runs."""

    container: str
    running: bool = False


@dataclass(frozen=True, slots=True)
class Removal:
    """What was removed: names (``hello:1``), ids of images, and the diff ids that no image holds any more.

    ``images`` are those that had the names, each as often as it had one.
    """

    untagged: tuple[str, ...] = ()
    deleted: tuple[Digest, ...] = ()
    layers: tuple[Digest, ...] = ()
    bytes: int = 0
    images: tuple[StoredImage, ...] = ()


def plan_removal(
    image: StoredImage, name: Reference | None, uses: Sequence[ImageUse], force: bool
) -> tuple[tuple[Reference, ...], bool]:
    """The names to take away, and whether the image goes too.

    ``name`` is None when the image was named by its id. Raises :class:`ImageInUse`.
    """
    if name is None:
        return _by_id(image, uses, force)
    left = tuple(ref for ref in image.names if ref != name)
    if not any(ref.digest is None and ref.name == name.name for ref in left):
        # Digests alone are not a name that anybody typed; they go with the repository's last tag.
        left = tuple(ref for ref in left if ref.name != name.name)
    gone = tuple(ref for ref in image.names if ref not in left)
    if left:
        return gone, False
    if uses and not force:
        raise ImageInUse(
            f"conflict: unable to remove repository reference {name.familiar!r} (must force)"
            f" - container {uses[0].container} is using its referenced image {image.short_id}",
            hint="Remove the container first, or force: then only the name goes while a container runs.",
        )
    return gone, not any(use.running for use in uses)


def refuse_shared(image: StoredImage, name: Reference | None, shared: Path) -> NoReturn:
    """Raises :class:`ImageShared`: ``shared`` gives what was to be removed. ``name`` None: named by its id."""
    what = image.short_id if name is None else name.familiar
    raise ImageShared(
        f"conflict: unable to remove {what} - it is in the shared store {shared}, which is only read here",
        cause="whoever keeps that store put it there for everybody",
        hint="It takes no room in your own home, so there is nothing to gain. Only that store's keeper removes it.",
    )


def _by_id(image: StoredImage, uses: Sequence[ImageUse], force: bool) -> tuple[tuple[Reference, ...], bool]:
    running = next((use for use in uses if use.running), None)
    what = f"conflict: unable to delete {image.short_id}"
    if running is not None:
        raise ImageInUse(
            f"{what} (cannot be forced) - image is being used by running container {running.container}",
            hint="Stop and remove the container first.",
        )
    if uses and not force:
        raise ImageInUse(
            f"{what} (must be forced) - image is being used by stopped container {uses[0].container}",
            hint="Remove the container first, or force.",
        )
    if len(image.tags) > 1 and not force:
        raise ImageInUse(
            f"{what} (must be forced) - image is referenced in multiple repositories",
            cause=f"its names are {', '.join(image.tags)}",
            hint="Remove it by its names, or force.",
        )
    return image.names, True


InUse = Callable[[Digest], Sequence[ImageUse]]
"""Which containers were made from the image of that id."""


def nobody(_image: Digest) -> Sequence[ImageUse]:
    """For stores without containers."""
    return ()
