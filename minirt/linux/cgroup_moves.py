"""The first move of a process between control groups, which the kernel makes wait."""

from __future__ import annotations

import os

__all__ = ["begin_moves"]


def begin_moves(pid: int) -> None:
    """Move a process to where it is already, so that other moves of the next moments are quick.

    A move takes a lock that every fork and exit reads (``cgroup_threadgroup_rwsem``). The first writer after a while
    waits until all processors have passed a quiet state (an RCU grace period, 5 to 10 ms), those that follow do not;
    see ``rcu_sync_enter`` in the kernel's ``kernel/rcu/sync.c``. Nothing happens where this process may not write.
    """
    try:
        door = os.open(_procs_file(pid), os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        os.write(door, str(pid).encode())
    except OSError:
        pass  # only time was to be won
    finally:
        os.close(door)


def _procs_file(pid: int) -> str:
    """``cgroup.procs`` of its group, in the tree of version 2 or else in a hierarchy that version 1 always has."""
    with open(f"/proc/{pid}/cgroup", "rb", buffering=0) as file:
        lines = [line.split(":", 2) for line in os.fsdecode(file.read()).splitlines()]
    groups = {name: path for _, names, path in lines for name in names.split(",")}
    if "memory" in groups:
        return f"/sys/fs/cgroup/memory{groups['memory']}/cgroup.procs"
    return f"/sys/fs/cgroup{groups.get('', '/')}/cgroup.procs"
