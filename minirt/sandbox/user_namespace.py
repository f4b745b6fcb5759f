"""The one user namespace of a home, that all its containers share, whoever starts them.

A notebook and a terminal are two engines with a spawner each. Their containers can share a network only if one user
namespace owns both; so a spawner looks for the home's before it makes one. It lives as long as anybody in it, and is
found through those who hold it: spawners by a descriptor, the monitors of containers by being in it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

from minirt.linux.namespaces import make_user_namespace
from minirt.linux.processes import boot_id, is_alive, start_time
from minirt.model.spec import IdMapping
from minirt.sandbox.state import read_state

__all__ = ["home_user_namespace"]

Maps = tuple[tuple[IdMapping, ...], ...]
Holder = tuple[int, int, str]
"""A process (id, start time) and the place below its ``/proc`` directory that leads to the namespace."""


def home_user_namespace(home: Path, maps: Maps) -> int:
    """The home's, or a new one with these maps (of users and groups), as a descriptor that this process shall keep.

    Raises ``OSError`` (EPERM, ENOSPC: user namespaces are not allowed here).
    """
    with _record(home) as record:
        known = _read(record, maps)
        found = next((fd for holder in (*known, *_monitors(home)) if (fd := _open(holder, maps)) is not None), None)
        namespace = make_user_namespace(maps[0], maps[1]) if found is None else found
        mine = (os.getpid(), start_time(os.getpid()) or 0, f"fd/{namespace}")
        _write(record, maps, [*(holder for holder in known if found is not None and is_alive(*holder[:2])), mine])
    return namespace


@contextlib.contextmanager
def _record(home: Path) -> Iterator[int | None]:
    """The file that says who holds it, locked; None for a home that cannot be written, which then shares nothing."""
    try:
        (home / "cache").mkdir(parents=True, exist_ok=True)
        fd = os.open(home / "cache" / "user-namespace.json", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        yield None
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield fd
    finally:
        os.close(fd)


def _read(record: int | None, maps: Maps) -> list[Holder]:
    if record is None:
        return []
    with contextlib.suppress(ValueError, TypeError, KeyError):
        data = json.loads(os.pread(record, 1 << 20, 0))
        if (data["boot"], data["maps"]) == (boot_id(), _as_json(maps)):
            return [(int(pid), int(started), str(place)) for pid, started, place in data["holders"]]
    return []


def _write(record: int | None, maps: Maps, holders: list[Holder]) -> None:
    if record is not None:
        data = {"boot": boot_id(), "maps": _as_json(maps), "holders": holders}
        with contextlib.suppress(OSError):  # a full disk: nobody else finds it, as with a home that cannot be written
            os.ftruncate(record, 0)
            os.pwrite(record, json.dumps(data).encode(), 0)


def _as_json(maps: Maps) -> list[list[list[int]]]:
    return [[[entry.inside, entry.outside, entry.count] for entry in entries] for entries in maps]


def _monitors(home: Path) -> Iterator[Holder]:
    """Of running containers, for when every spawner that knew the namespace has ended."""
    with contextlib.suppress(OSError):
        for entry in os.scandir(home / "containers"):
            with contextlib.suppress(OSError, ValueError, TypeError):
                state = read_state(entry.path) or {}
                if state.get("MonitorPid"):
                    yield int(state["MonitorPid"]), int(state.get("MonitorStartTime", 0)), "ns/user"


def _open(holder: Holder, maps: Maps) -> int | None:
    pid, started, place = holder
    if pid == os.getpid() or not is_alive(pid, started):
        return None
    try:
        if place == "ns/user" and _maps_of(pid) != _as_json(maps):
            return None
        fd = os.open(f"/proc/{pid}/{place}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    # Checked after opening: the process was still that one, and the descriptor what it says it is.
    if is_alive(pid, started) and os.readlink(f"/proc/self/fd/{fd}").startswith("user:"):
        return fd
    os.close(fd)
    return None


def _maps_of(pid: int) -> list[list[list[int]]]:
    found = []
    for kind in ("uid_map", "gid_map"):
        with open(f"/proc/{pid}/{kind}", encoding="ascii") as lines:
            found.append([[int(number) for number in line.split()] for line in lines])
    return found
