"""Naming a process for sure: a process id alone may be given to another process; with its start time it is unique."""

from __future__ import annotations

import os
import signal
from functools import lru_cache

from minirt.linux.syscalls import prctl

__all__ = [
    "boot_id",
    "die_with_parent",
    "is_alive",
    "is_ending",
    "name_process",
    "open_process",
    "stand_in",
    "start_time",
]

_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15
_PF_EXITING = 0x4


def start_time(pid: int, proc: int | None = None) -> int | None:
    """When ``pid`` started, in clock ticks since boot (field 22 of proc_pid_stat(5)); None if it is gone.

    A zombie counts as gone. ``proc`` is a descriptor of ``/proc``, for those who no longer see the right one.
    """
    fields = _fields(pid, proc)
    return None if not fields or fields[0] in (b"Z", b"X") else int(fields[19])


def is_ending(pid: int) -> bool:
    """Whether it is gone or on its way out, as the first of a pid namespace is for as long as others die with it.

    Nobody but the kernel knows of that time: no pidfd tells yet, and the process still seems to sleep.
    """
    fields = _fields(pid, None)
    return not fields or bool(int(fields[6]) & _PF_EXITING)


def _fields(pid: int, proc: int | None) -> list[bytes]:
    """Those of proc_pid_stat(5) from the third on; none if there is no such process."""
    try:
        path = f"/proc/{pid}/stat" if proc is None else f"{pid}/stat"
        with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc), "rb") as text:
            # The name, field 2, may hold spaces and parentheses: count from its last parenthesis.
            return text.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def is_alive(pid: int, started: int) -> bool:
    """Whether the very process that had this id and start time still runs."""
    return pid > 0 and start_time(pid) == started


def open_process(pid: int, started: int) -> int | None:
    """A pidfd of that very process, or None if it is gone."""
    try:
        fd = os.pidfd_open(pid)
    except (ProcessLookupError, OverflowError):
        return None
    # Checked after opening: from here on the descriptor cannot come to mean another process.
    if is_alive(pid, started):
        return fd
    os.close(fd)
    return None


def stand_in(pid: int) -> int:
    """``pid``, or its first child where ``pid`` lets nobody look into it (an init of ours: see sandbox/reaper)."""
    try:
        os.stat(f"/proc/{pid}/ns/pid")
        return pid
    except PermissionError:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
            return next((int(child) for child in children.read().split()), pid)


@lru_cache(maxsize=1)
def boot_id() -> str:
    """Changes with every boot of the machine."""
    with open("/proc/sys/kernel/random/boot_id", encoding="utf-8") as text:
        return text.read().strip()


def die_with_parent() -> None:
    """Ask for SIGKILL when the parent ends. A change of credentials undoes it: ask again then."""
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def name_process(name: str) -> None:
    """The name that ``ps`` shows in its short form (15 bytes)."""
    import ctypes

    text = ctypes.create_string_buffer(name.encode()[:15])
    prctl(_PR_SET_NAME, ctypes.addressof(text))
