"""The process between the engine and a container: it starts the container, keeps its log, waits, writes the end.

It belongs to nobody but its container: it outlives the engine and the spawner, and when it is killed, the
container dies with it.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from minirt.errors import SandboxError
from minirt.linux import namespaces as ns
from minirt.linux.cgroups import Group
from minirt.linux.namespaces import make_user_namespace, own_networks_by
from minirt.linux.processes import name_process, start_time
from minirt.linux.syscalls import clone
from minirt.model.spec import LoopbackNetwork, SandboxSpec, spec_from_json
from minirt.sandbox.attending import Attendance, Line, Watcher, listen
from minirt.sandbox.copier import Copier, Route
from minirt.sandbox.devices import limited, listed
from minirt.sandbox.doing import doing
from minirt.sandbox.health import Health
from minirt.sandbox.init import Stdio, run_init
from minirt.sandbox.keeper import Keeper
from minirt.sandbox.log import Log
from minirt.sandbox.networking import Membership, enter_network
from minirt.sandbox.owners import Mounted, OwnerKeeper
from minirt.sandbox.private import clone_private, staging_for
from minirt.sandbox.sharing import Company, join_peers, new_namespaces
from minirt.sandbox.terminal import Input
from minirt.sandbox.traced import Traced, start_traced
from minirt.sandbox.wire import Channel, error_from_json, error_to_json

__all__ = ["Plumbing", "Started", "as_started", "read_status", "run_monitor", "supervise"]


@dataclass(slots=True)
class Started:
    """A program under way: a child of this process."""

    pid: int
    start_time: int
    pidfd: int
    terminal: int | None = None
    stubs: dict[str, Any] | None = None
    owners: OwnerKeeper | None = None
    collect: Callable[[], int] | None = None

    def wait_status(self) -> int:
        """Once it has ended: how, as wait(2) tells it."""
        return os.waitpid(self.pid, 0)[1] if self.collect is None else self.collect()


def run_monitor(channel: Channel, request: dict[str, Any], fds: list[int], *, user: bool) -> NoReturn:
    """Serve one ``start`` request to its end; ``user``: this process is in an ordinary user's namespace."""
    spec = spec_from_json(request["spec"])
    name_process(f"mrt:{spec.id[:11]}")
    state_dir, first = spec.lifetime.state_dir, True
    stdio = _given(request["stdio"], fds)
    membership = Membership()
    keeper = None
    tracer = request.get("tracer", "")
    try:
        keeper = Keeper(spec)
        keeper.opened()
        plumbing = _plumb(stdio, spec)
        own_users = make_user_namespace(spec.uid_map, spec.gid_map) if spec.private_ids else None
        if own_users is not None:
            own_networks_by(own_users)
        membership = enter_network(spec.network, state_dir)
        keeper.leave = membership.ended
        started = _start(spec, plumbing.inner, request["mount_point"], keeper.group, tracer, own_users, user=user)
        while True:
            _serve(channel if first else None, spec, keeper, started, plumbing, tracer)
            if not keeper.again():
                break
            first = False
            plumbing = _plumb(Stdio(None, None, None), spec)
            started = _start(spec, plumbing.inner, request["mount_point"], keeper.group, tracer, own_users, user=user)
    except BaseException as error:
        if keeper is not None:
            keeper.refused(error)
        if first:
            channel.send({"error": error_to_json(error)})
    membership.afterwards()
    os._exit(0)


def _serve(
    channel: Channel | None, spec: SandboxSpec, keeper: Keeper, started: Started, plumbing: Plumbing, tracer: str
) -> None:
    """One run of the program, from its start to its end."""
    plumbing.close_inner()
    keeper.running(started.pid, started.start_time, started.stubs)
    company = None if spec.namespaces.own("pid") else Company.of(started.pid)
    health = None
    if spec.health is not None:
        health = Health(spec, started.pid, started.start_time, keeper.note_health, tracer)

    def at_end(code: int) -> None:
        if health is not None:
            health.close()
        if company is not None:
            company.end()
        keeper.ended(code)

    supervise(
        channel,
        started,
        plumbing,
        tied=spec.lifetime.follows_client,
        at_end=at_end,
        state_dir=spec.lifetime.state_dir,
        watcher=health,
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


def _plumb(given: Stdio, spec: SandboxSpec) -> Plumbing:
    """A program with a log writes into pipes of ours; one with a terminal writes there (its route follows when the
    program has made it). What is typed comes through a pipe of ours too, so that others can attach later, and
    so that a program never holds the user's own terminal.
    """
    state_dir, process = spec.lifetime.state_dir, spec.process
    if state_dir is None:
        return Plumbing.direct(given, terminal=process.terminal)
    log = Log(f"{state_dir}/log", spec.log)
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


def _start(
    spec: SandboxSpec,
    stdio: Stdio,
    mount_point: str,
    group: Group | None,
    tracer: str,
    own_users: int | None,
    *,
    user: bool,
) -> Started:
    if tracer:
        return as_started(start_traced(spec, stdio, tracer, os.path.dirname(os.path.dirname(mount_point))))
    flags = new_namespaces(spec)
    if group is not None:
        _make_group(group, spec, user=user)
    if isinstance(spec.network, LoopbackNetwork):
        flags |= ns.CLONE_NEWNET
    peer = join_peers(spec)
    ours, theirs = Channel.pair()
    if own_users is not None:
        pid = clone_private(
            spec, own_users, flags, mount_point, theirs,
            lambda given: run_init(spec, stdio, theirs, staging_for(), user=True, peer=peer, given=given),
        )  # fmt: skip
    else:
        with doing("create the container's namespaces", "see `docker info` for what this machine allows"):
            pid = clone(flags | signal.SIGCHLD)
        if pid == 0:
            run_init(spec, stdio, theirs, mount_point, user=user, peer=peer)
    theirs.close()
    if pid == 0:
        message = ours.receive()
        raise error_from_json(message[0]["error"]) if message else SandboxError("the container could not be started")
    if peer is not None:
        os.close(peer)
    if group is not None:
        _put_into(group, pid, ours)
    return read_status(ours, pid)


def _make_group(group: Group, spec: SandboxSpec, *, user: bool) -> None:
    with doing("make the container's control group", "see `docker info` for what this machine allows"):
        denied, allowed = limited(spec.devices), () if spec.privileged or user else listed(spec, group)
        group.create(("blkio",) * bool(spec.resources.throttles) + ("devices",) * bool(denied or allowed))
        group.restrict_devices(denied, allowed)
    with doing("set the container's limits", "the kernel does not take this value"):
        group.limit(spec.resources)


def _put_into(group: Group, pid: int, init: Channel) -> None:
    try:
        with doing("put the container into its control group"):
            group.add(pid)
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    # The child's new control group namespace starts where it is now. Somebody may have killed it already: then it
    # has ended by that signal, as any other.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        init.send({"grouped": True})


def as_started(traced: Traced) -> Started:
    """A traced program, which is not our child, in the form of one that is."""
    return Started(
        traced.pid, traced.start_time, traced.pidfd, traced.terminal, owners=traced.owners, collect=traced.collect
    )


def read_status(status: Channel, pid: int, proc: int | None = None) -> Started:
    """Wait until the child runs its program; raises what the child says went wrong.

    ``proc`` is a descriptor of the machine's ``/proc``, where this process sees another; it becomes its directory.
    """
    if proc is not None:
        os.fchdir(proc)
    place = "/proc" if proc is None else "."
    started = Started(pid, start_time(pid, proc) or 0, os.pidfd_open(pid))
    while (message := status.receive()) is not None:
        body, fds = message
        if "terminal" in body:
            started.terminal = fds[0]
            continue
        if "stubs" in body:
            started.stubs = body["stubs"]
            continue
        if "owners" in body:
            started.owners = OwnerKeeper(fds[0], Mounted(place), place)
            continue
        os.waitpid(pid, 0)
        raise error_from_json(body["error"])
    status.close()
    return started


def supervise(
    channel: Channel | None,
    started: Started,
    plumbing: Plumbing,
    *,
    tied: bool,
    at_end: Callable[[int], None],
    state_dir: str | None = None,
    watcher: Watcher | None = None,
) -> None:
    """Copy, obey and wait until the program ends; then do ``at_end`` with its exit code, and tell it.

    ``channel`` is the client that started it; None when it was started again without one.
    ``tied``: the program is killed when the client hangs up. With ``state_dir`` others may attach, over a socket
    there.
    """
    copier, entry = plumbing.copier, plumbing.entry
    if started.terminal is not None:
        os.set_blocking(started.terminal, False)
        entry = Input(started.terminal, terminal=True)
        copier.routes.append(Route(started.terminal, "stdout"))
    listener = None if state_dir is None else listen(state_dir)
    watchers = [one for one in (watcher, started.owners) if one is not None]
    attendance = Attendance(started.pidfd, copier, entry, listener, watchers)
    if channel is not None:
        first = Line(channel, plumbing.kept, tied)
        attendance.welcome(first, answer={"started": {"pid": started.pid, "start_time": started.start_time}})
        if not first.open:
            # The client gave up before it could know of this container: nobody would ever stop it.
            attendance.kill(signal.SIGKILL)
    while not attendance.step():
        pass
    status = os.waitstatus_to_exitcode(started.wait_status())
    if started.owners is not None:
        started.owners.close()
    number = -status if status < 0 else None
    code = 128 - status if status < 0 else status
    copier.drain()
    attendance.close(state_dir)
    at_end(code)
    while copier.busy:
        attendance.step(ended=True)
    attendance.tell_all({"exit": code, "signal": number})
    attendance.dismiss()
    os.close(started.pidfd)
