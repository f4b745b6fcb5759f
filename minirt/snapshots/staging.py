"""Names for what is not finished, so that leftovers of killed processes are told from work under way."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

from minirt.linux import processes

__all__ = ["abandoned", "staging_path"]

_NAME = re.compile(r"(?P<what>[a-z-]+)-(?P<pid>\d+)\.(?P<started>\d+)-[0-9a-f]+")


def staging_path(tmp: Path, what: str) -> Path:
    """A new name below ``tmp`` that says which process it belongs to (pid and start time)."""
    tmp.mkdir(exist_ok=True)
    pid = os.getpid()
    return tmp / f"{what}-{pid}.{processes.start_time(pid)}-{secrets.token_hex(6)}"


def abandoned(tmp: Path, what: str = "") -> Iterator[Path]:
    """What :func:`staging_path` named, for ``what`` or for anything, for processes that are gone."""
    for path in sorted(tmp.glob("*")):
        found = _NAME.fullmatch(path.name)
        if found is None or what not in ("", found["what"]):
            continue
        if not processes.is_alive(int(found["pid"]), int(found["started"])):
            yield path
