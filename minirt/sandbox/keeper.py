"""What a monitor knows beyond one run of its program: the state on disk, the control group, whether to start again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minirt.errors import MinirtError, SandboxError
from minirt.linux.cgroup_tree import find_tree
from minirt.linux.cgroups import Group
from minirt.linux.processes import boot_id, start_time
from minirt.model.spec import SandboxSpec
from minirt.sandbox.restarts import Backoff, RestartPolicy, read_policy, was_stopped
from minirt.sandbox.state import NEVER, now, read_state, write_state
from minirt.sandbox.stubs import remove_stubs, storage_of
from minirt.store import lives
from minirt.store.locks import home_lock

__all__ = ["Keeper"]

_MOMENT = 0.02  # seconds between two looks at whether a container that waits was stopped, or its group is empty
_LATE = 1.0  # seconds that a group which is not empty yet is waited for


class Keeper:
    """One container from its first start until it is not started again. ``group`` is None without a control group."""

    def __init__(self, spec: SandboxSpec) -> None:
        self.spec = spec
        self.state_dir = spec.lifetime.state_dir
        self.group = _group(spec)
        self.backoff = Backoff()
        self.restarts = 0
        # What the network wants done before anybody is told of the end.
        self.leave: Callable[[], None] = lambda: None
        self._state = _blank_state("created")
        self._storage = storage_of(spec.root)
        self._stubs: dict[str, Any] | None = None
        self._oom_kills = 0
        self._delay: float | None = None

    def opened(self) -> None:
        """What it mounts is its from now on, until :meth:`ended` or :meth:`refused`."""
        if self.state_dir is not None:
            lives.note_mounts(self.state_dir)
            lives.note_network(self.state_dir, "connect")

    def refused(self, error: BaseException) -> None:
        """The program could not be started."""
        code = error.exit_code if isinstance(error, SandboxError) else 125
        status = "exited" if self.restarts else "created"
        self._give_back()
        if self.group is not None:
            self.group.remove(patience=_LATE)
        self._write({**self._state, "Status": status, "Pid": 0, "Error": str(error), "ExitCode": code})

    def running(self, pid: int, started: int, stubs: dict[str, Any] | None) -> None:
        """The program runs."""
        monitor = os.getpid()
        self._stubs = stubs
        self._oom_kills = self.group.oom_kills() if self.group is not None else 0
        self.backoff.began()
        self._write(
            {
                **_blank_state("running"),
                "Pid": pid,
                "StartTime": started,
                "MonitorPid": monitor,
                "MonitorStartTime": start_time(monitor) or 0,
                "StartedAt": now(),
                "RestartCount": self.restarts,
                # Ours: what was made in the storage layer only to mount on, for whoever compares it meanwhile.
                "Stubs": stubs or {"made": [], "copied": []},
                "SharesPids": not self.spec.namespaces.own("pid"),
            }
        )
        if self.state_dir is not None:
            lives.note_start(self.state_dir)

    def note_health(self, health: dict[str, Any]) -> None:
        """What the health check found; see :mod:`minirt.sandbox.health`."""
        before = (self._state.get("Health") or health)["Status"]
        self._write({**self._state, "Health": health})
        if self.state_dir is not None and health["Status"] != before:
            lives.note_health(self.state_dir, health["Status"])

    def ended(self, code: int) -> None:
        """The program ended with this exit code; decide whether it will start again, and say so in the state."""
        if self._stubs is not None and self._storage is not None:
            remove_stubs(self._storage, **self._stubs)
        killed = self.group is not None and self.group.oom_kills() > self._oom_kills
        if killed and self.state_dir is not None:
            lives.note_memory_full(self.state_dir)
        self._delay = self._decide(code)
        end = {"Pid": 0, "ExitCode": code, "FinishedAt": now(), "Stubs": None, "OOMKilled": killed}
        status = "exited" if self._delay is None else "restarting"
        state = {**self._state, **end, "Status": status}
        if self._delay is None:
            self._give_back()
        if self.state_dir is not None:
            # Before the end can be read: whoever waits for it does the next thing, which is told after this one.
            lives.note_end(self.state_dir, code, lives.lasted(state))
        if self._delay is None:
            self._leave_for_ever(state)
        else:
            self._write(state)

    def again(self) -> bool:
        """Wait as long as docker would; False when the container is to stay ended."""
        if self._delay is None or self.state_dir is None:
            return False
        deadline = time.monotonic() + self._delay
        while time.monotonic() < deadline:
            time.sleep(_MOMENT)
            # Stopped, or removed with its directory, while it waited.
            if was_stopped(self.state_dir) or not os.path.isdir(self.state_dir):
                self._give_back()
                self._leave_for_ever({**self._state, "Status": "exited"})
                return False
        self.restarts += 1
        return True

    def _decide(self, code: int) -> float | None:
        if self.state_dir is None or was_stopped(self.state_dir):
            return None
        policy: RestartPolicy = read_policy(self.state_dir)
        return self.backoff.next() if policy.wants(code, self.restarts) else None

    def _give_back(self) -> None:
        """Its networks and volumes are others' again."""
        self.leave()
        if self.state_dir is not None:
            lives.note_network(self.state_dir, "disconnect")
            lives.note_unmounts(self.state_dir)

    def _leave_for_ever(self, state: dict[str, Any]) -> None:
        """The group goes before the end is told: from then on a new start may make it anew, and use it."""
        removed = self.group is None or self.group.remove()
        self._write(state, durable=True)
        if self.group is not None and not removed:
            self._remove_late(self.group)

    def _remove_late(self, group: Group) -> None:
        """What was not empty yet; under the container's lock, and never when somebody starts or removes it."""
        if self.state_dir is None:  # nobody starts this one again
            group.remove(patience=_LATE)
            return
        directory = Path(self.state_dir)
        deadline = time.monotonic() + _LATE
        while time.monotonic() < deadline:
            try:
                with home_lock(directory.parent.parent, f"container-{directory.name}", timeout=0):
                    state = read_state(self.state_dir) or {}
                    if state.get("StartedAt") != self._state["StartedAt"] or group.remove():
                        return
            except (OSError, MinirtError):
                return
            time.sleep(_MOMENT)

    def _write(self, state: dict[str, Any], *, durable: bool = False) -> None:
        self._state = state
        if self.state_dir is None:
            return
        try:
            write_state(self.state_dir, state, durable=durable)
        except OSError:
            pass  # the container was removed meanwhile, or the disk is full: it must end properly all the same


def _group(spec: SandboxSpec) -> Group | None:
    if not spec.cgroup:
        return None
    tree = find_tree()
    if tree is None:
        raise SandboxError("cannot make the container's control group", cause="none can be written to here any more")
    return Group(tree, spec.cgroup)


def _blank_state(status: str) -> dict[str, Any]:
    return {
        "Status": status,
        "Pid": 0,
        "StartTime": 0,
        "MonitorPid": 0,
        "MonitorStartTime": 0,
        "BootID": boot_id(),
        "ExitCode": 0,
        "Error": "",
        "StartedAt": NEVER,
        "FinishedAt": NEVER,
        "OOMKilled": False,
    }
