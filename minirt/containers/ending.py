"""How a container's processes are reached while it runs: its state, signals, pausing, waiting, its end."""

from __future__ import annotations

import time
from collections.abc import Callable

from minirt.containers import limits, processes
from minirt.containers.noting import note, noted
from minirt.containers.records import ContainerRecord
from minirt.containers.shelf import Shelf
from minirt.containers.state import State, read_state
from minirt.errors import Conflict, ContainerNotRunning
from minirt.linux.machine import Machine
from minirt.model.cancel import Cancel
from minirt.sandbox.restarts import forbid
from minirt.store.files import atomic_write
from minirt.store.journal import Journal

__all__ = ["Ending"]

_KILL = 9
_PATIENCE = 10.0  # seconds; a process in the middle of a disk operation ends only after it


class Ending:
    """The half of the lifecycle that needs nothing but the containers' directories and their processes."""

    def __init__(self, shelf: Shelf, machine: Machine) -> None:
        self.shelf = shelf
        self._machine = machine

    def state(self, record: ContainerRecord) -> State:
        """What it does right now."""
        return read_state(self.shelf.directory(record.id))

    def _running(self, record: ContainerRecord) -> State:
        state = self.state(record)
        if not state.alive:
            raise ContainerNotRunning(
                f"container {record.id} is not running", hint=f"Start it first: docker start {record.name}"
            )
        if state.status == "restarting":
            raise Conflict(f"Container {record.name} is restarting, wait until the container is running")
        return state

    @noted("kill", at_start=True)
    def kill(self, record: ContainerRecord, signal: str | int = "KILL") -> None:
        """After SIGKILL it has ended when this returns, as with docker. Raises ContainerNotRunning, InvalidSpec."""
        number = processes.parse_signal(signal)
        state = self.state(record)
        if state.status != "restarting":
            state = self._running(record)
        if number in (_KILL, processes.parse_signal(record.stop_signal)):
            forbid(str(self.shelf.directory(record.id)))
        if number == _KILL:
            self._end(record, _KILL, 0.0, None, time.monotonic() + _PATIENCE, lambda *_: None)
        else:
            processes.send(state, number)

    @noted("stop", when=lambda state: state.alive)
    def stop(
        self,
        record: ContainerRecord,
        timeout: float | None = None,
        cancel: Cancel | None = None,
        *,
        signal: str | int | None = None,
    ) -> None:
        """Ask with the stop signal, or ``signal``, wait ``timeout`` seconds (default: the container's own), then kill.

        A negative ``timeout`` waits as long as it takes. Raises :class:`InvalidSpec`.
        """
        number = processes.parse_signal(signal or record.stop_signal)
        if not self.state(record).alive:
            return
        forbid(str(self.shelf.directory(record.id)))
        patience = record.stop_timeout if timeout is None else timeout

        def tell(sent: int, at: int) -> None:
            note(Journal(self.shelf.home), "kill", record, at=at, signal=str(sent))

        self._end(record, number, None if patience < 0 else patience, cancel, None, tell)

    def _end(
        self,
        record: ContainerRecord,
        number: int,
        patience: float | None,
        cancel: Cancel | None,
        deadline: float | None,
        tell: Callable[[int, int], None],
    ) -> None:
        """Again and again, as a restart may have been under way; after ``deadline`` it is left as it is.

        ``tell`` hears of each signal that was sent, and when (nanoseconds): before it had an effect.
        """
        while (state := self.state(record)).alive and (deadline is None or time.monotonic() < deadline):
            began = time.time_ns()
            if processes.send(state, number):
                tell(number, began)
                # What is frozen cannot even die; and a note of it may be lost where the thing itself is not.
                if state.paused or limits.is_frozen(record, self._machine):
                    self._let_go(record, state)
                if not processes.wait_end(state, patience, cancel):
                    began = time.time_ns()
                    if processes.send(state, _KILL):
                        tell(_KILL, began)
                    processes.wait_end(state, _PATIENCE, cancel)
            processes.wake(state.monitor_pid)
            processes.wait_moment(cancel)

    def wait(
        self, record: ContainerRecord, *, timeout: float | None = None, cancel: Cancel | None = None
    ) -> State | None:
        """Wait for the end and return the last state; None when ``timeout`` (seconds) came first."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (state := self.state(record)).alive:
            left = None if deadline is None else deadline - time.monotonic()
            if not processes.wait_end(state, None if left is None else max(left, 0), cancel):
                return None
            if left is not None and left < 0:
                return None
            # The first process is gone; its monitor writes the end within moments, starts it again, or is gone.
            processes.wait_moment(cancel)
        return state

    @noted("pause")
    def pause(self, record: ContainerRecord) -> None:
        """Raises ContainerNotRunning, Conflict."""
        state = self._running(record)
        if state.paused:
            raise Conflict(f"Container {record.id} is already paused")
        # Noted first: where nothing can be written, or somebody kills us here, nothing is frozen that nobody knows of.
        note = self.shelf.directory(record.id) / "paused"
        atomic_write(note, str(state.start_time).encode(), durable=False)
        try:
            if not limits.freeze(record, state, self._machine, True):
                processes.stop_all(state)
        except BaseException:
            note.unlink(missing_ok=True)
            raise

    @noted("unpause")
    def unpause(self, record: ContainerRecord) -> None:
        """Raises ContainerNotRunning, Conflict."""
        state = self._running(record)
        if not state.paused:
            raise Conflict(f"Container {record.id} is not paused")
        self._let_go(record, state)

    def _let_go(self, record: ContainerRecord, state: State) -> None:
        (self.shelf.directory(record.id) / "paused").unlink(missing_ok=True)
        if not limits.freeze(record, state, self._machine, False):
            processes.resume(state)
