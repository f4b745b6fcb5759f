"""A second program in a running container (``docker exec``)."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from minirt.errors import ContainerNotRunning
from minirt.linux import caps
from minirt.linux import namespaces as ns
from minirt.linux.cgroup_tree import find_tree
from minirt.linux.cgroups import Group
from minirt.linux.processes import name_process, open_process, stand_in, start_time
from minirt.linux.syscalls import clone, prctl, setns
from minirt.model.spec import Process
from minirt.sandbox.doing import doing
from minirt.sandbox.init import Stdio, begin, fail, finish
from minirt.sandbox.monitor import Plumbing, as_started, read_status, supervise
from minirt.sandbox.traced import join_traced
from minirt.sandbox.wire import Channel, error_to_json, process_from_json
from minirt.store.lives import ending_of_exec

__all__ = ["run_joiner"]

_KINDS = {
    "mnt": ns.CLONE_NEWNS,
    "pid": ns.CLONE_NEWPID,
    "ipc": ns.CLONE_NEWIPC,
    "uts": ns.CLONE_NEWUTS,
    "net": ns.CLONE_NEWNET,
    "cgroup": ns.CLONE_NEWCGROUP,
}
_PR_SET_DUMPABLE = 4


def run_joiner(channel: Channel, request: dict[str, Any], fds: list[int]) -> NoReturn:
    """Serve one ``exec`` request to its end."""
    name_process(f"mrt+{request['id'][:11]}")
    given = Stdio(*(None if index is None else fds[index] for index in request["stdio"]))
    try:
        process = process_from_json(request["process"])
        at_end = _teller(request)
        if request.get("tracer", ""):
            _run_traced(channel, request, process, given, at_end)
        proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        last = caps.last_capability()
        doors = _doors(request.get("cgroup", ""))
        _join(request["pid"], request["start_time"], request["id"])
        plumbing = Plumbing.direct(given, terminal=process.terminal)
        ours, theirs = Channel.pair()
        pid = clone(signal.SIGCHLD)
        if pid == 0:
            try:
                begin()
                if doors and theirs.receive() is None:
                    os._exit(137)
                finish(process, plumbing.inner, theirs, last, privileged=request["privileged"], joins=True)
            except BaseException as error:
                fail(theirs, error)
            os._exit(125)
        theirs.close()
        for door in doors:
            os.write(door, str(pid).encode())
            os.close(door)
        if doors:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # killed already: told as its end
                ours.send({"grouped": True})
        started = read_status(ours, pid, proc)
    except BaseException as error:
        channel.send({"error": error_to_json(error)})
        os._exit(1)
    plumbing.close_inner()
    supervise(channel, started, plumbing, tied=request["tied"], at_end=at_end)
    os._exit(0)


def _run_traced(
    channel: Channel, request: dict[str, Any], process: Process, given: Stdio, at_end: Callable[[int], None]
) -> NoReturn:
    plumbing = Plumbing.direct(given, terminal=process.terminal)
    started = as_started(join_traced(request["pid"], request["start_time"], process, plumbing.inner))
    plumbing.close_inner()
    supervise(channel, started, plumbing, tied=request["tied"], at_end=at_end)
    os._exit(0)


def _teller(request: dict[str, Any]) -> Callable[[int], None]:
    """Tells the journal of the end; made while the machine's files are still in sight."""
    if not request.get("noted"):
        return lambda _: None
    return ending_of_exec(*request["noted"])


def _doors(cgroup: str) -> list[int]:
    """Where to write the program's id, opened while the machine's files are still in sight."""
    tree = find_tree() if cgroup else None
    if tree is None:
        return []
    with doing("join the container's control group"):
        return Group(tree, cgroup).doors()


def _join(pid: int, started: int, name: str) -> None:
    """Enter all namespaces of ``pid`` that are not ours already; the next child is in its pid namespace, too."""
    pidfd = open_process(pid, started)
    if pidfd is not None and (other := stand_in(pid)) != pid:
        os.close(pidfd)
        pid, pidfd = other, open_process(other, start_time(other) or 0)
    if pidfd is None:
        raise ContainerNotRunning(f"container {name[:12]} is not running")
    with doing("join the container"):
        flags = 0
        for kind, flag in _KINDS.items():
            # Entering a namespace one is in already can be forbidden, as with the machine's network.
            if not ns.same_namespace(pid, kind):
                flags |= flag
        owner = ns.owner_of_mounts(pid)
        ours = os.fstat(owner).st_ino == os.stat("/proc/self/ns/user").st_ino
        # No imports from the container's files.
        sys.meta_path.clear()
        # Nor may the container's processes look into this one, which runs a program of the machine (its
        # /proc/…/exe could be written, CVE-2019-5736). The exec ends it.
        prctl(_PR_SET_DUMPABLE, 0)
        if not ours:
            setns(owner, ns.CLONE_NEWUSER)
            os.setresgid(0, 0, 0)
            os.setresuid(0, 0, 0)
        setns(pidfd, flags)
        prctl(_PR_SET_DUMPABLE, 0)
    os.close(owner)
    os.close(pidfd)
