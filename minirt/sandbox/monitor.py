"""The process between the engine and a container: it starts the container, keeps its log, waits, writes the end.

It belongs to nobody but its container: it outlives the engine and the spawner, and when it is killed, the
container dies with it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from minirt.errors import SandboxError
from minirt.linux import namespaces as ns
from minirt.linux.processes import boot_id, name_process, start_time
from minirt.linux.syscalls import clone
from minirt.model.spec import LoopbackNetwork, Process, SandboxSpec, spec_from_json
from minirt.sandbox.attending import Attendance, Line, listen
from minirt.sandbox.copier import Copier, Route
from minirt.sandbox.init import Stdio, run_init
from minirt.sandbox.log import Log
from minirt.sandbox.networking import enter_network
from minirt.sandbox.rootfs import doing
from minirt.sandbox.state import NEVER, now, write_state
from minirt.sandbox.stubs import remove_stubs, storage_of
from minirt.sandbox.terminal import Input
from minirt.sandbox.wire import Channel, error_from_json, error_to_json

__all__ = ["Plumbing", "Started", "read_status", "run_monitor", "supervise"]


@dataclass(slots=True)
class Started:
    """A program under way: a child of this process."""

    pid: int
    start_time: int
    pidfd: int
    terminal: int | None = None
    stubs: dict[str, Any] | None = None


def run_monitor(channel: Channel, request: dict[str, Any], fds: list[int], *, user: bool) -> NoReturn:
    """Serve one ``start`` request to its end; ``user``: this process is in an ordinary user's namespace."""
    spec = spec_from_json(request["spec"])
    name_process(f"mrt:{spec.id[:11]}")
    state_dir = spec.lifetime.state_dir
    stdio = _given(request["stdio"], fds)
    leave_network: Callable[[], None] | None = None
    try:
        plumbing = _plumb(stdio, state_dir, spec.process)
        leave_network = enter_network(spec.network, state_dir)
        started = _start(spec, plumbing.inner, request["mount_point"], user=user)
    except BaseException as error:
        if state_dir is not None:
            _write(state_dir, {**_blank_state("created"), "Error": str(error), "ExitCode": _exit_code(error)})
        channel.send({"error": error_to_json(error)})
        if leave_network is not None:
            leave_network()
        os._exit(1)
    plumbing.close_inner()
    state = _running_state(started)
    if state_dir is not None:
        _write(state_dir, state)

    def at_end(code: int) -> None:
        storage = storage_of(spec.root)
        if started.stubs is not None and storage is not None:
            remove_stubs(storage, **started.stubs)
        if state_dir is not None:
            end = {"Status": "exited", "Pid": 0, "ExitCode": code, "FinishedAt": now(), "Stubs": None}
            _write(state_dir, {**state, **end}, durable=True)

    supervise(
        channel,
        started,
        plumbing,
        tied=state_dir is None,
        at_end=at_end,
        state_dir=state_dir,
        afterwards=leave_network,
    )


def _given(indexes: list[int | None], fds: list[int]) -> Stdio:
    return Stdio(*(None if index is None else fds[index] for index in indexes))


@dataclass(frozen=True, slots=True)
class Plumbing:
    """Who holds which ends: ``inner`` become the program's, ``kept`` are the first client's that we serve."""

    inner: Stdio
    kept: Stdio
    copier: Copier
    entry: Input | None = None

    @classmethod
    def direct(cls, given: Stdio, *, terminal: bool) -> Plumbing:
        """Nothing in between: the program has the client's own descriptors, or a terminal and we have them."""
        nothing = Stdio(None, None, None)
        inner, kept = (nothing, given) if terminal else (given, nothing)
        return cls(inner, kept, Copier([], None))

    def close_inner(self) -> None:
        """Close the program's own ends here, so that they end with it."""
        for fd in {self.inner.stdin, self.inner.stdout, self.inner.stderr}:
            if fd is not None:
                os.close(fd)


def _plumb(given: Stdio, state_dir: str | None, process: Process) -> Plumbing:
    """A program with a log writes into pipes of ours; one with a terminal writes there (its route follows when the
    program has made it). What is typed comes through a pipe of ours too, so that others can attach later, and
    so that a program never holds the user's own terminal.
    """
    if state_dir is None:
        return Plumbing.direct(given, terminal=process.terminal)
    log = Log(f"{state_dir}/log")
    if process.terminal:
        return Plumbing(Stdio(None, None, None), given, Copier([], log))
    ends, routes, entry = {}, [], None
    for stream in ("stdout", "stderr"):
        source, ends[stream] = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(source, False)
        routes.append(Route(source, stream))
    if given.stdin is not None or process.stdin_open:
        ends["stdin"], sink = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(sink, False)
        entry = Input(sink, terminal=False, owner=given.stdin)
    return Plumbing(Stdio(ends.get("stdin"), ends["stdout"], ends["stderr"]), given, Copier(routes, log), entry)


def _start(spec: SandboxSpec, stdio: Stdio, mount_point: str, *, user: bool) -> Started:
    flags = ns.CLONE_NEWNS | ns.CLONE_NEWPID | ns.CLONE_NEWIPC | ns.CLONE_NEWUTS | ns.CLONE_NEWCGROUP
    if isinstance(spec.network, LoopbackNetwork):
        flags |= ns.CLONE_NEWNET
    ours, theirs = Channel.pair()
    with doing("create the container's namespaces", "see `docker info` for what this machine allows"):
        pid = clone(flags | signal.SIGCHLD)
    if pid == 0:
        run_init(spec, stdio, theirs, mount_point, user=user)
    theirs.close()
    return read_status(ours, pid)


def read_status(status: Channel, pid: int, proc: int | None = None) -> Started:
    """Wait until the child runs its program; raises what the child says went wrong.

    ``proc`` is a descriptor of the machine's ``/proc``, where this process sees another.
    """
    started = Started(pid, start_time(pid, proc) or 0, os.pidfd_open(pid))
    while (message := status.receive()) is not None:
        body, fds = message
        if "terminal" in body:
            started.terminal = fds[0]
            continue
        if "stubs" in body:
            started.stubs = body["stubs"]
            continue
        os.waitpid(pid, 0)
        raise error_from_json(body["error"])
    status.close()
    return started


def supervise(
    channel: Channel,
    started: Started,
    plumbing: Plumbing,
    *,
    tied: bool,
    at_end: Callable[[int], None],
    state_dir: str | None = None,
    afterwards: Callable[[], None] | None = None,
) -> NoReturn:
    """Copy, obey and wait until the program ends; then do ``at_end`` with its exit code, tell it, and end too.

    ``afterwards`` is what nobody needs to wait for.

    ``tied``: the program is killed when the client hangs up. With ``state_dir`` others may attach, over a socket
    there.
    """
    copier, entry = plumbing.copier, plumbing.entry
    if started.terminal is not None:
        os.set_blocking(started.terminal, False)
        entry = Input(started.terminal, terminal=True)
        copier.routes.append(Route(started.terminal, "stdout"))
    attendance = Attendance(started.pidfd, copier, entry, None if state_dir is None else listen(state_dir))
    first = Line(channel, plumbing.kept, tied)
    attendance.welcome(first, answer={"started": {"pid": started.pid, "start_time": started.start_time}})
    if not first.open:
        # The client gave up before it could know of this container: nobody would ever stop it.
        attendance.kill(signal.SIGKILL)
    while not attendance.step():
        pass
    status = os.waitstatus_to_exitcode(os.waitpid(started.pid, 0)[1])
    number = -status if status < 0 else None
    code = 128 - status if status < 0 else status
    copier.drain()
    attendance.close(state_dir)
    at_end(code)
    while copier.busy:
        attendance.step(ended=True)
    attendance.tell_all({"exit": code, "signal": number})
    if afterwards is not None:
        afterwards()
    os._exit(0)


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


def _running_state(started: Started) -> dict[str, Any]:
    monitor = os.getpid()
    return {
        **_blank_state("running"),
        "Pid": started.pid,
        "StartTime": started.start_time,
        "MonitorPid": monitor,
        "MonitorStartTime": start_time(monitor) or 0,
        "StartedAt": now(),
        # Ours: what was made in the storage layer only to mount on, for whoever compares it meanwhile.
        "Stubs": started.stubs or {"made": [], "copied": []},
    }


def _exit_code(error: BaseException) -> int:
    return error.exit_code if isinstance(error, SandboxError) else 125


def _write(state_dir: str, state: dict[str, Any], *, durable: bool = False) -> None:
    try:
        write_state(state_dir, state, durable=durable)
    except OSError:
        pass  # the container was removed meanwhile, or the disk is full: it must end properly all the same
