"""The small process beside a container that forwards its published ports and answers for names.

It sits in the container's network namespace, holds sockets that were made on the machine, and ends with the monitor.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
from pathlib import Path
from typing import NoReturn

from minirt.linux import caps, links, nft
from minirt.linux.descriptors import keep_only
from minirt.linux.processes import die_with_parent, name_process
from minirt.networks.forwarding import TcpForwarder, UdpForwarder
from minirt.networks.listening import HELPER, Listener
from minirt.networks.loop import READ, Loop
from minirt.networks.plan import Wiring
from minirt.networks.resolver import Names, Resolver, bind_resolver

__all__ = ["start_helper", "start_names"]

_FIRST = "eth0"
_LOOPBACK = "127.0.0.1"


def start_helper(wiring: Wiring, listeners: list[Listener], servers: list[list[socket.socket]]) -> int:
    """Fork it; its pid.

    What must be there when the program starts is made before. Raises ``OSError``.
    """
    asked = bind_resolver() if wiring.resolver else None
    pid = os.fork()
    if pid == 0:
        _serve(wiring, listeners, servers, asked)
    for sock in [*(asked or ()), *(one for sockets in servers for one in sockets)]:
        sock.close()
    return pid


def start_names(wiring: Wiring, servers: list[list[socket.socket]], container: int | None) -> None:
    """A resolver for a container that runs already, unless it has one, in whose network namespace this process is.

    ``container`` is a descriptor of its first process: the resolver ends with that, as no monitor knows of it.
    """
    if container is None or _has_names():
        return
    try:
        asked = bind_resolver()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return  # port 53 itself is taken, where no packet filter leads from it: a resolver is there
        raise
    if os.fork() == 0:
        os.setsid()  # the worker's group ends with the worker
        _serve(wiring, [], servers, asked, container)


def _has_names() -> bool:
    try:
        return nft.has_table(nft.NAMES_TABLE)
    except OSError:
        return False  # no packet filter in this kernel


def _serve(
    wiring: Wiring,
    listeners: list[Listener],
    servers: list[list[socket.socket]],
    asked: tuple[socket.socket, socket.socket] | None,
    container: int | None = None,
) -> NoReturn:
    try:
        if container is None:
            die_with_parent()
        name_process(f"{HELPER}{wiring.container[:11]}")
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        upstream = [one for sockets in servers for one in sockets]
        # Among the others are the container's own pipes, which would never end.
        kept = {one.fileno() for one in (*(one.sock for one in listeners), *upstream, *(asked or ()))}
        keep_only(kept if container is None else {*kept, container})
        # From here on it only moves bytes, and reads who has which name.
        caps.set_capabilities(0)
        loop = Loop()
        if container is not None:
            loop.watch(container, READ, lambda _events: os._exit(0))
        # On the machine's own network, the program is this machine's.
        address = (links.address_of(_FIRST) if wiring.own else None) or _LOOPBACK
        for one in listeners:
            forwarder = TcpForwarder if one.publish.protocol == "tcp" else UdpForwarder
            forwarder(loop, one.sock, (address, one.publish.container_port))
        if asked is not None:
            Resolver(loop, Names(Path(wiring.home), wiring.container, wiring.links), servers, asked)
        loop.run()
    finally:
        os._exit(1)
