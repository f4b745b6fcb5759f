"""Reach a container's processes from any process of the same user: signals, waiting, pausing.

A pid alone may already be somebody else's, so each signal goes through a pidfd that was opened first and whose
process was then checked by its start time (pidfd_open(2)).
"""

from __future__ import annotations

import contextlib
import os
import signal as signals
import time
from collections.abc import Iterator
from pathlib import Path

from minirt.containers.state import State
from minirt.errors import InvalidSpec
from minirt.linux import processes, tracing
from minirt.model.cancel import Cancel, readable
from minirt.sandbox.guest import FIRST

__all__ = ["members", "parse_signal", "resume", "send", "stop_all", "wait_end", "wait_moment", "wake"]


def parse_signal(text: str | int) -> int:
    """``TERM``, ``SIGTERM`` or ``15``. Raises :class:`InvalidSpec`."""
    if str(text).isdigit() and 0 < int(text) <= 64:
        return int(text)
    name = str(text).upper()
    try:
        return int(signals.Signals[name if name.startswith("SIG") else f"SIG{name}"])
    except KeyError:
        raise InvalidSpec(f"invalid signal: {text}", hint="Write for example TERM, KILL, HUP or 15.") from None


@contextlib.contextmanager
def _pidfd(state: State) -> Iterator[int | None]:
    """A handle on exactly that process, or None when it is gone."""
    fd = processes.open_process(state.pid, state.start_time) if state.pid else None
    try:
        yield fd
    finally:
        if fd is not None:
            os.close(fd)


def send(state: State, number: int) -> bool:
    """Send a signal to the container's first process; False when it is gone already."""
    with _pidfd(state) as fd:
        if fd is None:
            return False
        try:
            signals.pidfd_send_signal(fd, number)
        except ProcessLookupError:
            return False
        return True


def wait_end(state: State, timeout: float | None, cancel: Cancel | None) -> bool:
    """Wait until the container's first process has ended; False when ``timeout`` (seconds) came first."""
    with _pidfd(state) as fd:
        if fd is None:
            return True
        watched = [fd] if cancel is None else [fd, cancel.fileno()]
        ready = readable(watched, timeout)
        if cancel is not None:
            cancel.check()
        return fd in ready


def members(state: State) -> list[int]:
    """The machine's pids of all processes in the container's pid namespace, or of those traced together with it.

    Where that namespace is shared, what tells them from others is their mount namespace.
    """
    tracer = tracing.tracer_of(state.pid)
    if tracer:
        traced = (pid for one in tracing.siblings(tracer) for pid in tracing.tracees(one))
        # The helper that starts each program and tells how it ended is ours, not the container's.
        return sorted(pid for pid in traced if tracing.command_of(pid)[:1] != [FIRST])
    kind = "mnt" if state.shares_pids else "pid"
    try:
        mine = os.stat(f"/proc/{state.pid}/ns/{kind}").st_ino
    except OSError:
        return []
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if os.stat(entry / "ns" / kind).st_ino == mine:
                    found.append(int(entry.name))
    return sorted(found)


def stop_all(state: State, patience: float = 1.0) -> None:
    """Stop every process, also those that are forked meanwhile: repeated until none runs (``patience``: seconds)."""
    tracer = tracing.tracer_of(state.pid)
    if tracer:
        tracing.still(tracer)
        return
    deadline = time.monotonic() + patience
    while True:
        running = [pid for pid in members(state) if not _is_stopped(pid)]
        for pid in running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signals.SIGSTOP)
        if not running or time.monotonic() > deadline:
            return
        time.sleep(0.002)


def resume(state: State) -> None:
    """Let every process go on."""
    tracer = tracing.tracer_of(state.pid)
    if tracer:
        tracing.release(tracer)
        return
    for pid in members(state):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signals.SIGCONT)


def wake(pid: int) -> None:
    """Let a process go on that somebody stopped: a monitor that sleeps could never tell the end of its container."""
    if pid and _is_stopped(pid):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signals.SIGCONT)


def _is_stopped(pid: int) -> bool:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return text.rpartition(")")[2].split()[0] in "TtZX"


def wait_moment(cancel: Cancel | None) -> None:
    """Two milliseconds, or less when the user interrupts."""
    if cancel is None:
        time.sleep(0.002)
    else:
        readable([cancel.fileno()], 0.002)
        cancel.check()
