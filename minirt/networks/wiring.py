"""A container's network, made by its monitor right before the container starts.

The monitor steps into a fresh network namespace, has it wired, and the container is then born there. When the last
process in a namespace has ended the kernel takes the namespace down, and the pair of interfaces with it: nothing on
the container's side can be left behind.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minirt.errors import ContainerNotRunning, SandboxError
from minirt.linux import links
from minirt.linux.namespaces import CLONE_NEWNET, unshare_network
from minirt.linux.processes import open_process, start_time
from minirt.linux.syscalls import setns
from minirt.networks.claims import own
from minirt.networks.leaving import End, back, tell
from minirt.networks.plan import Wiring
from minirt.networks.ports import Binding
from minirt.networks.records import Endpoint, Network

if TYPE_CHECKING:
    from minirt.networks.listening import Listener

__all__ = ["attach", "detach", "forward", "join", "keep", "make"]

Leave = tuple[Callable[[], None], Callable[[], None]]
"""What to do when the container has ended: before anybody is told, and after."""

_OWN_NAMESPACE = "/proc/self/ns/net"
_SETTINGS = (("ip_unprivileged_port_start", b"0"), ("ping_group_range", b"0 2147483647"))


def make(arguments: Mapping[str, Any], state_dir: str | None) -> Leave:
    """Wire this process up as ``arguments`` (a :class:`Wiring` as JSON) say, and return what to do at the end.

    Raises :class:`SandboxError`; the process is then back where it was.
    """
    wiring = Wiring.from_json(arguments)
    machine = os.open(_OWN_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
    listeners: list[Listener] = []
    try:
        helper, place = _make(wiring, machine, listeners)
    except BaseException as error:
        back(machine)
        if isinstance(error, OSError):
            raise SandboxError(
                "cannot wire the container's network",
                cause=f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error),
                hint="Use --network host or --network none; `docker info` tells what this machine allows.",
            ) from error
        raise
    finally:
        for listener in listeners:
            listener.sock.close()
    _note(state_dir, [listener.binding for listener in listeners])
    told = state_dir is not None  # a step of a build is on networks, too, and docker's events know of containers only
    for network, _ in wiring.places if told else ():
        tell("connect", wiring, network)
    end = End(wiring, place, [] if helper is None else [helper], told=told)
    return end.release, end.leave


def _nothing() -> None:
    """The network is another container's."""


def forward(arguments: Mapping[str, Any], state_dir: str | None) -> Leave:
    """For a container that shares the machine's network: its program answers on the machine itself, and where another
    port was wished for, that one leads to the program's. Raises :class:`SandboxError`.
    """
    from minirt.networks.listening import listen_all

    wiring = Wiring.from_json(arguments)
    same = [one for one in wiring.publish if one.first == one.last == one.container_port]
    listeners = listen_all([one for one in wiring.publish if one not in same])
    itself = [Binding(one.port, one.host_ip or "0.0.0.0", one.container_port) for one in same]
    _note(state_dir, [*itself, *(listener.binding for listener in listeners)])
    helpers = []
    if listeners:
        from minirt.networks.helper import start_helper

        try:
            helpers.append(start_helper(wiring, listeners, []))
        finally:
            for listener in listeners:
                listener.sock.close()
    end = End(wiring, -1, helpers, told=False)
    return end.release, _nothing


def _note(state_dir: str | None, bindings: list[Binding]) -> None:
    if state_dir is not None:
        with contextlib.suppress(OSError):
            note = json.dumps({"Ports": [asdict(binding) for binding in bindings]})
            Path(state_dir, "network.json").write_text(note)


def _make(wiring: Wiring, machine: int, listeners: list[Listener]) -> tuple[int | None, int]:
    """The helper, if there is one, and the namespace where the bridges are.

    Most containers need no helper, and do not wait for what only a helper imports.
    """
    servers = []
    if wiring.publish or wiring.resolver:
        from minirt.networks.listening import listen_all
        from minirt.networks.resolver import upstream_sockets

        listeners += listen_all(list(wiring.publish))
        servers = upstream_sockets(wiring.servers) if wiring.resolver else []
    place = machine
    if wiring.user:
        from minirt.networks.homenet import enter_membership

        place = enter_membership(Path(wiring.home), wiring.program)
    _enter_bridges(wiring, place)
    if not listeners and not wiring.resolver:
        return None, place
    from minirt.networks.helper import start_helper

    return start_helper(wiring, listeners, servers), place


def join(arguments: Mapping[str, Any], _state_dir: str | None) -> Leave:
    """Step into the network of a running container, named by ``pid`` and ``start_time`` of its first process."""
    pidfd = open_process(arguments["pid"], arguments["start_time"])
    if pidfd is None:
        raise ContainerNotRunning(f"cannot join the network of a container that is not running: {arguments['name']}")
    try:
        setns(pidfd, CLONE_NEWNET)
    except OSError as error:
        raise SandboxError(
            f"cannot join the network of container {arguments['name']}",
            cause=f"{error.strerror}: it is not in the user namespace that containers of this home share",
            hint="Stop that container and start it again.",
        ) from error
    finally:
        os.close(pidfd)
    return _nothing, _nothing


def keep(arguments: Mapping[str, Any], _root: str | None, fds: list[int]) -> None:
    """A network without a container, for those that follow each other and :func:`join` it: in the sandbox's worker.

    Writes this process's id and start time to ``fds[0]`` when it is ready, and keeps it until ``fds[1]`` is closed.
    """
    release, leave = make(arguments, None)
    try:
        os.write(fds[0], f"{os.getpid()} {start_time(os.getpid()) or 0}\n".encode())
        os.read(fds[1], 1)
    finally:
        release()
        _leave_behind(leave)


def _leave_behind(leave: Callable[[], None]) -> None:
    """Nobody waits for it: an empty network stays up for a moment, and a build has ended by then."""
    if os.fork() == 0:
        try:
            leave()
        finally:
            os._exit(0)


def _enter_bridges(wiring: Wiring, place: int) -> None:
    unshare_network()
    inside = os.open(_OWN_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
    try:
        links.loopback_up()
        _allow_as_docker_does()
        for number, (network, endpoint) in enumerate(wiring.places):
            mine = own(Path(wiring.home), endpoint)
            _plug(wiring, (network, mine), f"eth{number}", inside, place, default=number == 0)
    finally:
        os.close(inside)


def _allow_as_docker_does() -> None:
    """Users in the container may answer on every port, and ping."""
    for name, value in _SETTINGS:
        with contextlib.suppress(OSError):
            fd = os.open(f"/proc/sys/net/ipv4/{name}", os.O_WRONLY | os.O_CLOEXEC)
            os.write(fd, value)
            os.close(fd)


def _plug(wiring: Wiring, at: tuple[Network, Endpoint], name: str, inside: int, place: int, *, default: bool) -> None:
    """A pair of interfaces between the bridge in the namespace ``place`` and the namespace ``inside``, where this
    process is and stays.
    """
    network, endpoint = at
    setns(place, CLONE_NEWNET)
    try:
        if wiring.user:
            from minirt.networks.bridges import ensure_up

            ensure_up(Path(wiring.home), network)
        links.delete_link(endpoint.interface)  # of a container that was killed a moment ago
        links.add_veth(endpoint.interface, network.interface, name, inside, endpoint.mac)
    finally:
        setns(inside, CLONE_NEWNET)
    links.add_address(name, f"{endpoint.address}/{network.prefix}")
    links.set_link(name)
    if default and not network.internal:
        links.add_default_route(network.gateway)


def attach(arguments: dict[str, Any], _root: str | None, _fds: list[int]) -> None:
    """``docker network connect`` for a running container: one more interface, in the sandbox's worker."""
    wiring = Wiring.from_json(arguments)
    place, inside = _where_bridges_are(wiring), _namespace_of(arguments)
    servers = []
    if wiring.resolver:
        from minirt.networks.resolver import upstream_sockets

        servers = upstream_sockets(wiring.servers)
    setns(inside, CLONE_NEWNET)
    for network, endpoint in wiring.places:
        taken = {name for _, name in socket.if_nameindex()}
        name = next(f"eth{number}" for number in range(64) if f"eth{number}" not in taken)
        _plug(wiring, (network, endpoint), name, inside, place, default=not taken - {"lo"})
    if wiring.resolver:
        from minirt.networks.helper import start_names

        start_names(wiring, servers, open_process(arguments["pid"], arguments["start_time"]))


def detach(arguments: dict[str, Any], _root: str | None, _fds: list[int]) -> None:
    """``docker network disconnect``: the machine's end goes, and the container's with it."""
    wiring = Wiring.from_json(arguments)
    setns(_where_bridges_are(wiring), CLONE_NEWNET)
    for _, endpoint in wiring.places:
        links.delete_link(endpoint.interface)


def _where_bridges_are(wiring: Wiring) -> int:
    if not wiring.user:
        return os.open(_OWN_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
    from minirt.networks.homenet import open_home_network

    place = open_home_network(Path(wiring.home))
    if place is None:
        raise SandboxError("the containers' network is gone", hint="Start the container again.")
    return place


def _namespace_of(arguments: Mapping[str, Any]) -> int:
    pidfd = open_process(arguments["pid"], arguments["start_time"])
    if pidfd is None:
        raise ContainerNotRunning("the container is not running")
    os.close(pidfd)
    return os.open(f"/proc/{arguments['pid']}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
