"""Names for what is not finished, so that leftovers of killed processes are told from work under way."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from minirt.linux import processes

__all__ = ["abandoned", "staging_path"]


def staging_path(tmp: Path, what: str) -> Path:
    """A new name below ``tmp`` that says which process it belongs to (pid and start time)."""
    tmp.mkdir(exist_ok=True)
    pid = os.getpid()
    return tmp / f"{what}-{pid}.{processes.start_time(pid)}-{secrets.token_hex(6)}"


def abandoned(tmp: Path, what: str) -> Iterator[Path]:
    """What :func:`staging_path` named for processes that are gone."""
    for path in tmp.glob(f"{what}-*.*-*"):
        owner = path.name[len(what) + 1 :].partition("-")[0]
        pid, _, started = owner.partition(".")
        if pid.isdigit() and started.isdigit() and not processes.is_alive(int(pid), int(started)):
            yield path
