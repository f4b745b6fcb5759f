"""A running container's own /etc/hosts and /etc/resolv.conf, when its networks change: done by the sandbox's worker."""

from __future__ import annotations

import os
import stat
from typing import Any

from minirt.linux.paths import find_inside

__all__ = ["network_changed"]


def network_changed(arguments: dict[str, Any], root: str | None, _fds: list[int]) -> None:
    """``add`` and ``drop`` are lines of /etc/hosts; ``servers`` the old and the new text of /etc/resolv.conf.

    As with docker, a resolv.conf that somebody has changed meanwhile stays as it is.
    """
    assert root is not None
    top = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    _rewrite(top, "/etc/hosts", lambda text: text.replace(arguments.get("drop", ""), "", 1) + arguments.get("add", ""))
    if "servers" in arguments:
        old, new = arguments["servers"]
        _rewrite(top, "/etc/resolv.conf", lambda text: new if text == old else text)


def _rewrite(top: int, path: str, change: Any) -> None:
    """In its place, as the file is mounted. One that was removed, or cannot be written, is the container's affair."""
    try:
        place = find_inside(top, path)
        if not stat.S_ISREG(os.fstat(place).st_mode):
            return
        with open(f"/proc/self/fd/{place}", "r+", encoding="utf-8", errors="surrogateescape") as file:
            text = file.read()
            wanted = change(text)
            if wanted != text:
                file.seek(0)
                file.write(wanted)
                file.truncate()
    except OSError:
        return
