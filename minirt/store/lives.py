"""What the one who watches over a container tells the journal: its volumes, its start and its end.

The order is docker's: volumes are mounted, networks connected (:mod:`minirt.networks.wiring`), the program starts; at
the end networks and volumes are left, then it has died. The facts are those of ``config.json``; a container that was
removed meanwhile has none, and nothing is told.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from minirt.store.journal import Journal

__all__ = ["lasted", "note_end", "note_mounts", "note_start", "note_unmounts"]

_Facts = dict[str, Any]


def note_mounts(directory: str) -> None:
    """Its volumes are in use from now on."""
    for facts, point in _volumes(directory):
        writable = "true" if point.get("read_write", True) else "false"
        more = {"destination": point["destination"], "propagation": "", "read/write": writable}
        _write_volume(directory, "mount", facts, point, more)


def note_unmounts(directory: str) -> None:
    """And not any more."""
    for facts, point in _volumes(directory):
        _write_volume(directory, "unmount", facts, point, {})


def note_start(directory: str) -> None:
    """Its program runs."""
    facts = _facts(directory)
    if facts is not None:
        _write(directory, "start", facts, {})


def note_end(directory: str, exit_code: int, seconds: int | None) -> None:
    """Its program has ended, after so many ``seconds`` (None: nobody knows)."""
    facts = _facts(directory)
    if facts is not None:
        more = {"exitCode": str(exit_code)} | ({} if seconds is None else {"execDuration": str(seconds)})
        _write(directory, "die", facts, more)


def lasted(state: dict[str, Any]) -> int | None:
    """Whole seconds between ``StartedAt`` and ``FinishedAt``, as docker counts; None where they do not tell."""
    try:
        began, ended = (datetime.fromisoformat(state[key]) for key in ("StartedAt", "FinishedAt"))
    except (ValueError, KeyError, TypeError):
        return None
    return max(0, int((ended - began).total_seconds()))


def _facts(directory: str) -> _Facts | None:
    try:
        facts: _Facts = json.loads(Path(directory, "config.json").read_bytes())
    except (OSError, ValueError):
        return None
    return facts


def _volumes(directory: str) -> Iterator[tuple[_Facts, dict[str, Any]]]:
    facts = _facts(directory) or {}
    return ((facts, point) for point in facts.get("mounts", ()) if point.get("kind") == "volume")


def _journal(directory: str) -> Journal:
    return Journal(Path(directory).parent.parent)


def _write(directory: str, action: str, facts: _Facts, more: dict[str, str]) -> None:
    attributes = {**facts.get("labels", {}), "image": facts["image"], "name": facts["name"], **more}
    _journal(directory).write("container", action, facts["id"], attributes)


def _write_volume(directory: str, action: str, facts: _Facts, point: dict[str, Any], more: dict[str, str]) -> None:
    attributes = {"container": facts["id"], "driver": "local", **more}
    _journal(directory).write("volume", action, point["name"], attributes)
