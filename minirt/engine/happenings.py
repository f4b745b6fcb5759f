"""``engine.events``: what the home's journal says, and goes on saying."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from minirt.linux.inotify import IN_CREATE, IN_MODIFY, IN_MOVED_TO, Inotify
from minirt.store.journal import Journal

if TYPE_CHECKING:
    from minirt.images.image import StoredImage
    from minirt.images.removal import Removal
    from minirt.model.cancel import Cancel
    from minirt.model.reference import Reference

__all__ = ["happenings", "note_image", "note_prune", "note_removal", "note_transfer"]


def happenings(
    journal: Journal, since: int | None, until: int | None, cancel: Cancel | None
) -> Iterator[dict[str, Any]]:
    """Events from ``since`` to ``until`` (nanoseconds since 1970), oldest first; without ``until`` for ever.

    Without ``since`` only what happens from now on. Raises :class:`Cancelled`.
    """
    with Inotify() as watch:
        watch.add(str(journal.path.parent), IN_MODIFY | IN_CREATE | IN_MOVED_TO)
        size = journal.size()
        if since is not None:
            for event in journal.read():
                if event["timeNano"] >= since and (until is None or event["timeNano"] <= until):
                    yield event
        for events in journal.tail(size):
            for event in events:
                if until is None or event["timeNano"] <= until:
                    yield event
            left = None if until is None else (until - time.time_ns()) / 1e9
            if left is not None and left <= 0:
                return
            watch.wait(left, *(() if cancel is None else (cancel.fileno(),)))
            list(watch.read())
            if cancel is not None:
                cancel.check()


def note_image(journal: Journal, action: str, image: StoredImage, name: str = "") -> None:
    """One line about an image, with its labels; docker names what was asked for, else the id."""
    labels = dict(image.config.config.labels or {})
    journal.write("image", action, str(image.id), {**labels, "name": name or str(image.id)})


def note_transfer(journal: Journal, action: str, image: StoredImage, name: Reference) -> None:
    """``pull`` and ``push``: told under the name, as docker tells them."""
    labels = dict(image.config.config.labels or {})
    journal.write("image", action, name.familiar, {**labels, "name": name.familiar_name})


def note_removal(journal: Journal, removal: Removal) -> None:
    """What ``rmi`` and ``prune`` took away."""
    for image in removal.images:
        note_image(journal, "untag", image)
    for digest in removal.deleted:
        journal.write("image", "delete", str(digest), {"name": str(digest)})


def note_prune(journal: Journal, kind: str, freed: int) -> None:
    """The end of a ``prune``, and how many bytes it gave back."""
    journal.write(kind, "prune", "", {"reclaimed": str(freed)})
