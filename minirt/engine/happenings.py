"""``engine.events``: what the home's journal says, and goes on saying."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from minirt.linux.inotify import IN_CREATE, IN_MODIFY, IN_MOVED_TO, Inotify
from minirt.store.journal import Journal

if TYPE_CHECKING:
    from minirt.images.removal import Removal
    from minirt.model.cancel import Cancel

__all__ = ["happenings", "note_image", "note_removal"]


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


def note_image(journal: Journal, action: str, identity: str, name: str) -> None:
    """One line about an image; docker names what was asked for."""
    journal.write("image", action, identity, {"name": name})


def note_removal(journal: Journal, removal: Removal) -> None:
    """What ``rmi`` and ``prune`` took away."""
    for name in removal.untagged:
        journal.write("image", "untag", name, {"name": name})
    for digest in removal.deleted:
        journal.write("image", "delete", str(digest), {"name": str(digest)})
