"""Which process answers on a port: ``/proc/net`` tells the socket, and ``/proc/PID/fd`` who has it (proc(5))."""

from __future__ import annotations

import contextlib
import os

__all__ = ["who_listens"]

_LISTENS = {"tcp": "0A", "udp": "07"}  # TCP_LISTEN; udp has no better word for "waits" than TCP_CLOSE


def who_listens(port: int, protocol: str) -> tuple[int, str] | None:
    """Process id and name, or None if it is nobody, or somebody into whom this user may not look."""
    inodes = {f"socket:[{inode}]" for inode in _sockets(port, protocol)}
    if not inodes:
        return None
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            if name.isdigit() and _has(name, inodes):
                with open(f"/proc/{name}/comm", encoding="utf-8", errors="replace") as comm:
                    return int(name), comm.read().strip()
    return None


def _sockets(port: int, protocol: str) -> list[str]:
    found = []
    for table in (protocol, f"{protocol}6"):
        with contextlib.suppress(OSError), open(f"/proc/net/{table}", encoding="ascii") as lines:
            rows = [line.split() for line in lines][1:]
            found += [row[9] for row in rows if row[1].endswith(f":{port:04X}") and row[3] == _LISTENS[protocol]]
    return found


def _has(pid: str, wanted: set[str]) -> bool:
    return any(os.readlink(entry.path) in wanted for entry in os.scandir(f"/proc/{pid}/fd"))
