"""A home's own network namespace: what the machine is to root's bridges, this is to those of an ordinary user.

An ordinary user may lay no cable on the machine, but may in a network namespace of the own user namespace. All
containers of a home hang on bridges there, and one pasta or slirp4netns leads out of it. A keeper process holds it.
The keeper ends when the last member has ended, and with it goes everything: bridges, rules, the way out.

A *member* is a process that holds a shared lock on a file for as long as it lives. The kernel gives the lock back
however the process ends, so there is nothing to count and nothing to forget.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from minirt.errors import SandboxError
from minirt.linux.processes import is_alive
from minirt.networks.claims import live_claims
from minirt.networks.homekeeper import keep, members_file, note_file
from minirt.store.locks import Locks

__all__ = ["enter_membership", "keeper_of", "open_home_network"]


def enter_membership(home: Path, program: str) -> int:
    """Become a member for good, and open the namespace, which is made if there is none: a descriptor.

    ``program`` leads out of it (empty: nothing does). Raises ``OSError``, :class:`SandboxError`.
    """
    # Never closed by us: it ends with this process.
    fcntl.flock(members_file(home), fcntl.LOCK_SH)
    with _lock(home):
        namespace = _kept(home)
        if namespace is None:
            _begin(home, program)
            namespace = _kept(home)
    if namespace is None:
        raise SandboxError("the process that keeps the containers' network ended at once", hint="Try again.")
    return namespace


def open_home_network(home: Path) -> int | None:
    """The namespace as a descriptor, or None when no container is on a network."""
    with _lock(home):
        kept = _kept(home)
        return _held_by_members(home) if kept is None else kept


def keeper_of(home: Path) -> int | None:
    """The keeper's process id, or None."""
    note = _read_note(home)
    return note["pid"] if note and is_alive(note["pid"], note["start"]) else None


def _lock(home: Path) -> contextlib.AbstractContextManager[None]:
    return Locks(home / "locks").lock("network-keeper")


def _read_note(home: Path) -> dict[str, Any] | None:
    with contextlib.suppress(OSError, ValueError):
        note: dict[str, Any] = json.loads(note_file(home).read_bytes())
        return note
    return None


def _kept(home: Path) -> int | None:
    pid = keeper_of(home)
    if pid is None:
        return None
    with contextlib.suppress(OSError):
        return os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    return None


def _held_by_members(home: Path) -> int | None:
    """The namespace of a keeper that was killed: monitors of containers on it have it open."""
    note = _read_note(home)
    wanted = f"net:[{note['namespace']}]" if note else ""
    for pid in _owners(home) if note else ():
        with contextlib.suppress(OSError):
            for entry in os.scandir(f"/proc/{pid}/fd"):
                if os.readlink(entry.path) == wanted:
                    return os.open(entry.path, os.O_RDONLY | os.O_CLOEXEC)
    return None


def _owners(home: Path) -> Iterator[int]:
    with contextlib.suppress(OSError):
        for entry in os.scandir(home / "networks"):
            yield from (claim.owner for claim in live_claims(home, entry.name))


def _begin(home: Path, program: str) -> None:
    """Fork a keeper that is nobody's child, and wait until it is ready."""
    orphan = _held_by_members(home)
    ready, tell = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child == 0:
        try:
            if not os.fork():
                keep(home, program, orphan, tell)
        finally:
            os._exit(0)
    os.close(tell)
    os.waitpid(child, 0)
    with os.fdopen(ready, "rb") as answer:
        words = answer.read().decode(errors="replace")
    if orphan is not None:
        os.close(orphan)
    if words:
        raise SandboxError(words, hint="Use --network host, or --network none; `docker info` says what works here.")
