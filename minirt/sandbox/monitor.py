"""The process between the engine and a container: it starts the container, keeps its log, waits, writes the end.

It belongs to nobody but its container: it outlives the engine and the spawner, and when it is killed, the
container dies with it.
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from minirt.errors import SandboxError
from minirt.linux import namespaces as ns
from minirt.linux.processes import boot_id, name_process, start_time
from minirt.linux.syscalls import clone
from minirt.model.spec import LoopbackNetwork, SandboxSpec, spec_from_json
from minirt.sandbox.copier import Copier, Route
from minirt.sandbox.init import Stdio, run_init
from minirt.sandbox.log import Log
from minirt.sandbox.rootfs import doing
from minirt.sandbox.state import NEVER, now, write_state
from minirt.sandbox.stubs import remove_stubs, storage_of
from minirt.sandbox.terminal import Terminal
from minirt.sandbox.wire import Channel, error_from_json, error_to_json

__all__ = ["Started", "read_status", "run_monitor", "supervise"]


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
    try:
        copier, inner = _routes(stdio, state_dir, terminal=spec.process.terminal)
        started = _start(spec, inner, request["mount_point"], user=user)
    except BaseException as error:
        if state_dir is not None:
            _write(state_dir, {**_blank_state("created"), "Error": str(error), "ExitCode": _exit_code(error)})
        channel.send({"error": error_to_json(error)})
        os._exit(1)
    _close_unneeded(inner, copier)
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

    supervise(channel, started, copier, stdio, tied=state_dir is None, at_end=at_end)


def _given(indexes: list[int | None], fds: list[int]) -> Stdio:
    return Stdio(*(None if index is None else fds[index] for index in indexes))


def _routes(stdio: Stdio, state_dir: str | None, *, terminal: bool) -> tuple[Copier, Stdio]:
    """What to copy, and the container's own ends.

    A tied container writes straight into the client's descriptors. One with a log writes into pipes; one with a
    terminal writes there (its route follows when the container has made it).
    """
    log = None if state_dir is None else Log(f"{state_dir}/log")
    if terminal:
        return Copier([], log), Stdio(None, None, None)
    if log is None:
        return Copier([], None), stdio
    routes, ends = [], []
    for stream, target in (("stdout", stdio.stdout), ("stderr", stdio.stderr)):
        source, end = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(source, False)
        routes.append(Route(source, stream, target))
        ends.append(end)
    return Copier(routes, log), Stdio(stdio.stdin, *ends)


def _close_unneeded(inner: Stdio, copier: Copier) -> None:
    """Close the container's own ends here, so that they end with it; who is attached stays open."""
    targets = {route.target for route in copier.routes}
    for fd in {inner.stdin, inner.stdout, inner.stderr} - targets:
        if fd is not None:
            os.close(fd)


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
    channel: Channel, started: Started, copier: Copier, stdio: Stdio, *, tied: bool, at_end: Callable[[int], None]
) -> NoReturn:
    """Copy, obey and wait until the program ends; then do ``at_end`` with its exit code, tell it, and end too.

    ``tied``: the program is killed when the client hangs up.
    """
    terminal = None
    if started.terminal is not None:
        terminal = Terminal(started.terminal, stdio.stdin)
        copier.routes.append(Route(started.terminal, "stdout", stdio.stdout))
    line = _Line(channel, started, copier, terminal, tied=tied)
    line.tell({"started": {"pid": started.pid, "start_time": started.start_time}})
    if not line.open:
        # The client gave up before it could know of this container: nobody would ever stop it.
        line.kill(signal.SIGKILL)
    while not line.step(started.pidfd):
        pass
    status = os.waitstatus_to_exitcode(os.waitpid(started.pid, 0)[1])
    number = -status if status < 0 else None
    code = 128 - status if status < 0 else status
    copier.drain()
    at_end(code)
    while copier.busy and line.open:
        line.step(None)
    line.tell({"exit": code, "signal": number})
    os._exit(0)


class _Line:
    """The line to the client, while it lasts, and the loop that listens to it."""

    def __init__(
        self, channel: Channel, started: Started, copier: Copier, terminal: Terminal | None, *, tied: bool
    ) -> None:
        self.channel = channel
        self.started = started
        self.copier = copier
        self.terminal = terminal
        self.tied = tied
        self.open = True

    def tell(self, message: dict[str, Any]) -> None:
        if self.open:
            try:
                self.channel.send(message)
            except OSError:
                self.hang_up()

    def hang_up(self) -> None:
        self.open = False
        self.copier.detach()
        if self.tied:
            self.kill(signal.SIGKILL)

    def kill(self, number: int) -> None:
        try:
            signal.pidfd_send_signal(self.started.pidfd, number)
        except ProcessLookupError:
            pass

    def step(self, pidfd: int | None) -> bool:
        """One round; True when ``pidfd`` has ended."""
        wanted = self.copier.interests()
        if self.terminal is not None and pidfd is not None:
            wanted |= {fd: wanted.get(fd, 0) | mask for fd, mask in self.terminal.interests().items()}
        if pidfd is not None:
            wanted[pidfd] = select.POLLIN
        if self.open:
            wanted[self.channel.fileno()] = select.POLLIN
        poll = select.poll()
        for fd, mask in wanted.items():
            poll.register(fd, mask)
        ended = False
        for fd, events in poll.poll():
            if fd == pidfd:
                ended = True
            elif self.open and fd == self.channel.fileno():
                self._obey()
            else:
                if self.terminal is not None:
                    self.terminal.handle(fd, events)
                self.copier.handle(fd, events)
        return ended

    def _obey(self) -> None:
        message = self.channel.receive()
        if message is None:
            self.hang_up()
        elif "kill" in message[0]:
            self.kill(message[0]["kill"])
        elif "resize" in message[0] and self.terminal is not None:
            self.terminal.resize(*message[0]["resize"])


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
