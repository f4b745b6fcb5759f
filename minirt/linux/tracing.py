"""Processes that another one traces (ptrace(2)): finding them, ending them, holding them, from outside."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator

__all__ = ["command_of", "end_traced", "release", "siblings", "still", "tracees", "tracer_of"]

_PAUSE = 0.002  # seconds between two looks


def tracer_of(pid: int) -> int:
    """Who traces ``pid``; 0 when nobody does, or it is gone."""
    try:
        with open(f"/proc/{pid}/status", "rb") as lines:
            for line in lines:
                if line.startswith(b"TracerPid:"):
                    return int(line.split()[1])
    except OSError:
        pass
    return 0


def tracees(tracer: int) -> list[int]:
    """Everything that ``tracer`` traces, which is all that came from its first program."""
    return [pid for pid in _processes() if tracer_of(pid) == tracer]


def command_of(pid: int) -> list[str]:
    """Its command line; empty when it is gone."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as text:
            return [os.fsdecode(word) for word in text.read().split(b"\0")[:-1]]
    except OSError:
        return []


def siblings(tracer: int) -> list[int]:
    """The tracers with the same program and root directory as ``tracer``, itself among them."""
    head = command_of(tracer)[:3]
    return [pid for pid in _processes() if head and command_of(pid)[:3] == head and tracer_of(pid) == 0]


def end_traced(tracer: int, *, patience: float = 5.0, pause: Callable[[float], None] = time.sleep) -> None:
    """Kill everything that ``tracer`` traces, until it ends by itself, as it does when nothing is left.

    The tracer is not killed first: what it traced would run on, free of it. ``pause`` passes the time between two
    looks, in seconds.
    """
    deadline = time.monotonic() + patience
    while not _has_ended(tracer):
        for pid in tracees(tracer):
            _send(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            _send(tracer, signal.SIGKILL)
            return
        pause(_PAUSE)


def still(tracer: int) -> None:
    """Hold everything that ``tracer`` and its siblings trace.

    A stopped tracer answers nobody: each process waits for it at its next system call. The signal, which means
    nothing to programs, makes those wait that make none.
    """
    for one in siblings(tracer):
        _send(one, signal.SIGSTOP)
        for pid in tracees(one):
            _send(pid, signal.SIGURG)


def release(tracer: int) -> None:
    """Let them go on."""
    for one in siblings(tracer):
        _send(one, signal.SIGCONT)


def _has_ended(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as text:
            return text.read().rpartition(b")")[2].split()[0] in (b"Z", b"X")
    except OSError:
        return True


def _send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _processes() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())
