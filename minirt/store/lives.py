"""What those who watch over a container tell the journal: its volumes, start, end and health, and further programs.

The order is docker's: volumes are mounted, networks connected (:mod:`minirt.networks.wiring`), the program starts; at
the end networks and volumes are left, then it has died. The facts are those of ``config.json``; a container that was
removed meanwhile has none, and nothing is told.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from minirt.store.journal import Journal

__all__ = [
    "UNWIRED",
    "built_in_id",
    "ending_of_exec",
    "lasted",
    "note_end",
    "note_exec",
    "note_health",
    "note_memory_full",
    "note_mounts",
    "note_network",
    "note_start",
    "note_unmounts",
]

_Facts = dict[str, Any]
UNWIRED = {"none": "null", "host": "host"}
"""Networks that are there without any interface of their own: their name, and docker's word for their kind."""


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


def note_network(directory: str, action: str) -> None:
    """``connect`` or ``disconnect`` for the networks that need no wiring; see :mod:`minirt.networks.leaving`."""
    facts = _facts(directory) or {}
    name = facts.get("network")
    if name in UNWIRED:
        home = Path(directory).parent.parent
        attributes = {"container": facts["id"], "name": name, "type": UNWIRED[name]}
        _journal(directory).write("network", action, built_in_id(name, home), attributes)


def built_in_id(name: str, home: Path) -> str:
    """Docker's three networks have an id in each home: 64 hex digits."""
    return hashlib.sha256(f"minirt network {name} {home}".encode()).hexdigest()


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


def note_memory_full(directory: str) -> None:
    """The kernel killed something of it for want of memory."""
    facts = _facts(directory)
    if facts is not None:
        _write(directory, "oom", facts, {})


def note_health(directory: str, status: str) -> None:
    """Its health check came to another result than before."""
    facts = _facts(directory)
    if facts is not None:
        _write(directory, f"health_status: {status}", facts, {})


def note_exec(directory: str, argv: Sequence[str]) -> str:
    """A further program (``docker exec``, a health check) is about to start; returns an id for it alone."""
    identity = secrets.token_hex(32)
    facts = _facts(directory)
    if facts is not None:
        for action in ("exec_create", "exec_start"):
            _write(directory, f"{action}: {argv[0]} {' '.join(argv[1:])}", facts, {"execID": identity})
    return identity


def ending_of_exec(directory: str, identity: str) -> Callable[[int], None]:
    """What tells that program's end by its exit code: the journal is opened now, for a process about to lose sight."""
    facts, page = _facts(directory), _journal(directory).open()

    def tell(exit_code: int) -> None:
        if facts is not None and page is not None:
            more = {"execID": identity, "exitCode": str(exit_code)}
            page.write("container", "exec_die", facts["id"], _attributes(facts, more))

    return tell


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
    _journal(directory).write("container", action, facts["id"], _attributes(facts, more))


def _attributes(facts: _Facts, more: dict[str, str]) -> dict[str, str]:
    return {**facts.get("labels", {}), "image": facts["image"], "name": facts["name"], **more}


def _write_volume(directory: str, action: str, facts: _Facts, point: dict[str, Any], more: dict[str, str]) -> None:
    attributes = {"container": facts["id"], "driver": "local", **more}
    _journal(directory).write("volume", action, point["name"], attributes)
