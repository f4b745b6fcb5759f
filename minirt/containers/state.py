"""What a container does right now: the part its monitor writes (``containers/<id>/state.json``).

The file alone may be wrong: a monitor that was killed, or a machine that was switched off, never wrote the end.
So a state that says "running" is believed only while the monitor lives, named by its pid *and* start time,
because pids are used again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from minirt.linux import processes

__all__ = ["State", "read_state", "read_stubs"]

_KILLED = 137


@dataclass(frozen=True, slots=True)
class State:
    """docker's states: created, running, paused, restarting, exited, dead. Times are RFC 3339 in UTC or empty.

    ``shares_pids``: its pid namespace is not its own.
    """

    status: str
    pid: int = 0
    start_time: int = 0
    monitor_pid: int = 0
    exit_code: int = 0
    error: str = ""
    started_at: str = ""
    finished_at: str = ""
    paused: bool = False
    restarts: int = 0
    oom_killed: bool = False
    health: Mapping[str, Any] | None = None
    lost: bool = False
    """Its end was not written: the file says that it runs, and it does not."""
    shares_pids: bool = False

    @property
    def alive(self) -> bool:
        return self.status in ("running", "paused", "restarting")


def read_state(directory: Path) -> State:
    """The truth about the container kept in ``directory``; never raises for a missing or torn file."""
    state, raw = _read(directory)
    # A monitor writes the end and is gone at once: whoever sees it gone must look once more at what it wrote last.
    while state.lost and (newer := _read(directory))[1] != raw:
        state, raw = newer
    return state


def _read(directory: Path) -> tuple[State, bytes]:
    """The state, and the file that tells it."""
    try:
        raw = (directory / "state.json").read_bytes()
        return _told(directory, json.loads(raw)), raw
    except (OSError, ValueError):
        return State("created"), b""


def _told(directory: Path, data: dict[str, Any]) -> State:
    state = State(
        status=str(data.get("Status", "created")),
        pid=int(data.get("Pid", 0)),
        start_time=int(data.get("StartTime", 0)),
        monitor_pid=int(data.get("MonitorPid", 0)),
        exit_code=int(data.get("ExitCode", 0)),
        error=str(data.get("Error", "")),
        started_at=str(data.get("StartedAt", "")),
        finished_at=str(data.get("FinishedAt", "")),
        restarts=int(data.get("RestartCount", 0)),
        oom_killed=bool(data.get("OOMKilled", False)),
        health=data.get("Health"),
        shares_pids=bool(data.get("SharesPids", False)),
    )
    if not state.alive:
        return state
    if data.get("BootID", processes.boot_id()) != processes.boot_id():
        # Process ids and times since boot may mean others by now.
        return _lost(state)
    if state.status == "restarting":
        # Between two runs there is no first process; the monitor is what tells the truth.
        return _ended_unseen(state, int(data.get("MonitorStartTime", 0)))
    if not processes.is_alive(state.pid, state.start_time):
        return _ended_unseen(state, int(data.get("MonitorStartTime", 0)))
    return replace(state, status="paused", paused=True) if _is_paused(directory, state) else state


def read_stubs(directory: Path) -> dict[str, Any] | None:
    """The monitor's notes of what it made in the storage layer only to mount on; None when nothing runs."""
    try:
        found: dict[str, Any] | None = json.loads((directory / "state.json").read_bytes()).get("Stubs")
    except (OSError, ValueError):
        return None
    return found


def _is_paused(directory: Path, state: State) -> bool:
    # The note names the process it was written for: a later start of the same container is not paused.
    try:
        return (directory / "paused").read_text() == str(state.start_time)
    except OSError:
        return False


def _ended_unseen(state: State, monitor_start: int) -> State:
    # The monitor may be between the container's end and its last write; only when it is gone too is the end lost.
    if processes.is_alive(state.monitor_pid, monitor_start):
        return state
    return _lost(state)


def _lost(state: State) -> State:
    return State(
        "exited",
        exit_code=_KILLED,
        error="its monitor was killed, or the machine went down; the container ended with it",
        restarts=state.restarts,
        started_at=state.started_at,
        finished_at=state.finished_at,
        lost=True,
    )
