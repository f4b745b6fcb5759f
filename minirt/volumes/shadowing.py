"""What hides what: a mount covers whatever was in its place, of the image or of a mount around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["Covering", "Shadow", "shadows"]


@dataclass(frozen=True, slots=True)
class Covering:
    """A mount as far as hiding goes: where, and in words what."""

    destination: str
    what: str


@dataclass(frozen=True, slots=True)
class Shadow:
    """``destination`` shows ``what``; ``hides`` says what would be seen there without it.

    ``around`` is the destination of the mount it lies in, empty for the image's own files.
    """

    destination: str
    what: str
    hides: str
    around: str = ""


def shadows(mounts: Sequence[Covering], image_has: Callable[[str], bool]) -> tuple[Shadow, ...]:
    """Of all ``mounts`` those that hide something, outer ones first. ``image_has``: whether the image has such a path.

    The kernel mounts the shorter path first, whatever the order on the command line: what lies deeper stays visible.
    """
    found = []
    for mount in sorted(mounts, key=lambda one: (one.destination.count("/"), one.destination)):
        around = _around(mount, mounts)
        if around is not None:
            inside = mount.destination.removeprefix(around.destination)
            found.append(Shadow(mount.destination, mount.what, f"{inside} of {around.what}", around.destination))
        elif image_has(mount.destination):
            found.append(Shadow(mount.destination, mount.what, f"{mount.destination} of the image"))
    return tuple(found)


def _around(mount: Covering, mounts: Sequence[Covering]) -> Covering | None:
    """The innermost mount that holds this one's place."""
    holding = [other for other in mounts if mount.destination.startswith(f"{other.destination.rstrip('/')}/")]
    return max(holding, key=lambda other: len(other.destination), default=None)
