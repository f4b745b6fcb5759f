"""The process that keeps a home's network namespace (``homenet.py``): it makes it, waits for its end, and goes."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import time
from pathlib import Path
from typing import NoReturn

from minirt.errors import MinirtError
from minirt.linux import caps, links
from minirt.linux.descriptors import keep_only
from minirt.linux.namespaces import CLONE_NEWNET
from minirt.linux.processes import name_process, start_time
from minirt.linux.syscalls import setns, unshare
from minirt.networks.usermode import fork_program, wait_for_interface
from minirt.store.files import atomic_write

__all__ = ["KEEPER", "keep", "members_file", "note_file"]

KEEPER = "minirt-network"
_FORWARDING = "/proc/sys/net/ipv4/ip_forward"
_LINGER = 1.0  # seconds that it stays without a member: the next one may come at once


def members_file(home: Path) -> int:
    """The file on which every member holds a shared lock, opened."""
    return os.open(home / "locks" / "network-members.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def note_file(home: Path) -> Path:
    """Where the keeper says who it is and which namespace it has."""
    return home / "cache" / "network-keeper.json"


def keep(home: Path, program: str, orphan: int | None, tell: int) -> NoReturn:
    """Be the keeper, with a new namespace or with ``orphan``, the one of a keeper that was killed.

    The pipe ``tell`` closes when it is ready; words that come before say what went wrong.
    """
    try:
        os.setsid()
        name_process(KEEPER)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # Among the descriptors are the container's own pipes, which would never end, and a member's lock.
        keep_only({tell} if orphan is None else {tell, orphan})
        try:
            child = _prepare(home, program, orphan)
        except (OSError, MinirtError) as error:
            os.write(tell, str(error).encode())
            os._exit(1)
        os.close(tell)
        # Without its way out it is of no use to those who come: the next one shall make another.
        signal.signal(signal.SIGCHLD, lambda *_: os._exit(1))
        if not child or not os.waitpid(child, os.WNOHANG)[0]:
            _wait_for_members(home)
    finally:
        os._exit(0)


def _prepare(home: Path, program: str, orphan: int | None) -> int:
    """The id of the program that leads out, 0 without one."""
    # It is born here, on the machine's network, where its own sockets shall be.
    child, begin = fork_program(program, f"/proc/{os.getpid()}/ns/net") if program else (0, None)
    if orphan is None:
        unshare(CLONE_NEWNET)
        links.loopback_up()
    else:
        setns(orphan, CLONE_NEWNET)
        os.close(orphan)
    # Where that is forbidden, containers reach each other all the same; `ability` says what they do not.
    with contextlib.suppress(OSError):
        Path(_FORWARDING).write_text("1")
    # So that pasta, which has given up most of its own, may open this process's namespace.
    caps.set_capabilities(0)
    if begin is not None:
        begin()
        wait_for_interface(program, child)
    note = {
        "pid": os.getpid(),
        "start": start_time(os.getpid()),
        "namespace": os.stat("/proc/self/ns/net").st_ino,
        "program": program,
        "program_pid": child,
    }
    atomic_write(note_file(home), json.dumps(note).encode(), durable=False)
    return child


def _wait_for_members(home: Path) -> None:
    """Until there is none for a while. Holding their file alone then, nobody can become one before this ends."""
    members = members_file(home)
    while True:
        fcntl.flock(members, fcntl.LOCK_EX)
        fcntl.flock(members, fcntl.LOCK_UN)
        time.sleep(_LINGER)
        try:
            fcntl.flock(members, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        note_file(home).unlink(missing_ok=True)
        return
