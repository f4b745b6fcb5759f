"""``docker diff``: what the storage layer holds, against the image below it."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minirt.sandbox.stubs import untouched
from minirt.snapshots import Union
from minirt.snapshots.union import is_opaque

__all__ = ["PathChange", "stubs", "storage_changes", "work"]


@dataclass(frozen=True, slots=True)
class PathChange:
    """``kind`` is A (added), C (changed) or D (deleted), as docker prints it."""

    kind: str
    path: str


def storage_changes(upper: Path, lowers: Sequence[Path]) -> tuple[PathChange, ...]:
    """Walk the upper directory. A directory that is there only because something below it changed counts as C."""
    union = Union.of(lowers)
    found: list[PathChange] = []
    _walk(upper, "", union, found)
    return tuple(sorted(found, key=lambda change: change.path))


def _walk(directory: Path, prefix: str, union: Union, found: list[PathChange]) -> None:
    with os.scandir(directory) as entries:
        listed = sorted(entries, key=lambda entry: entry.name)
    for entry in listed:
        path = f"{prefix}/{entry.name}"
        info = entry.stat(follow_symlinks=False)
        if stat.S_ISCHR(info.st_mode) and info.st_rdev == 0:
            found.append(PathChange("D", path))
            continue
        below = union.entry(path)
        found.append(PathChange("C" if below is not None else "A", path))
        if stat.S_ISDIR(info.st_mode):
            hides = is_opaque(directory / entry.name)
            _walk(directory / entry.name, path, Union.of(()) if hides else union, found)
            if hides and below is not None and below.is_dir():
                present = {name.name for name in os.scandir(directory / entry.name)}
                found.extend(PathChange("D", f"{path}/{name}") for name in union.names(path) if name not in present)


def work(arguments: dict[str, Any], _root: str | None, _fds: list[int]) -> list[list[str]]:
    """:func:`storage_changes` for the sandbox's worker, which may read what only container root may."""
    lowers = [Path(lower) for lower in arguments["lowers"]]
    hidden = stubs(arguments, None, [])
    found = storage_changes(Path(arguments["upper"]), lowers)
    return [[change.kind, change.path] for change in found if change.path not in hidden]


def stubs(arguments: dict[str, Any], _root: str | None, _fds: list[int]) -> list[str]:
    """What is in the upper directory of a running container only to mount on: the monitor's notes, looked up."""
    notes = arguments["stubs"]
    return sorted(untouched(arguments["upper"], notes["made"], notes["copied"])) if notes else []
