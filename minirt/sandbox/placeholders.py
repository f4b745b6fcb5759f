"""What PRoot makes to bind on, where the image has nothing in that place.

It makes that without any right, and takes it away at its end. Root may look into such a directory; an ordinary user
may not, and whoever compares a running container's files (docker diff, commit) has to.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

from minirt.linux.paths import find_inside, opened

__all__ = ["missing_places", "open_places"]


def missing_places(root: str, targets: Iterable[str]) -> tuple[str, ...]:
    """The ``targets`` that are not in the directory ``root``, each after the missing directories that lead to it."""
    found: dict[str, None] = {}
    with opened(root) as root_fd:
        for target in targets:
            place = ""
            for part in target.strip("/").split("/"):
                place += f"/{part}"
                if not _is_there(root_fd, place):
                    found[place] = None
    return tuple(found)


def open_places(root: str, places: Iterable[str]) -> None:
    """Give those that PRoot made in the meantime the rights that a mount point has."""
    with opened(root) as root_fd:
        for place in places:
            try:
                fd = find_inside(root_fd, place)
            except OSError:
                continue
            try:
                mode = os.fstat(fd).st_mode
                if not stat.S_IMODE(mode):
                    os.chmod(f"/proc/self/fd/{fd}", 0o755 if stat.S_ISDIR(mode) else 0o644)
            finally:
                os.close(fd)


def _is_there(root_fd: int, place: str) -> bool:
    try:
        os.close(find_inside(root_fd, place))
    except FileNotFoundError:
        return False
    except OSError:
        return True  # not ours to change
    return True
