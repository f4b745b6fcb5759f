"""The small process beside a container that forwards its published ports and answers for names.

It sits in the container's network namespace, holds sockets that were made on the machine, and ends with the monitor.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

from minirt.linux import caps, links
from minirt.linux.processes import die_with_parent, name_process
from minirt.networks.forwarding import TcpForwarder, UdpForwarder
from minirt.networks.listening import Listener
from minirt.networks.loop import Loop
from minirt.networks.plan import Wiring
from minirt.networks.resolver import Names, Resolver, bind_resolver

__all__ = ["start_helper"]

_INTERFACES = ("eth0", "tap0")
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


def _serve(
    wiring: Wiring,
    listeners: list[Listener],
    servers: list[list[socket.socket]],
    asked: tuple[socket.socket, socket.socket] | None,
) -> NoReturn:
    try:
        die_with_parent()
        name_process(f"mrn:{wiring.container[:11]}")
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        upstream = [one for sockets in servers for one in sockets]
        _keep_only([*(one.sock for one in listeners), *upstream, *(asked or ())])
        # From here on it only moves bytes, and reads who has which name.
        caps.set_capabilities(0)
        loop = Loop()
        address = next((found for name in _INTERFACES if (found := links.address_of(name))), _LOOPBACK)
        for one in listeners:
            forwarder = TcpForwarder if one.publish.protocol == "tcp" else UdpForwarder
            forwarder(loop, one.sock, (address, one.publish.container_port))
        if asked is not None:
            Resolver(loop, Names(Path(wiring.home), wiring.container), servers, asked)
        loop.run()
    finally:
        os._exit(1)


def _keep_only(sockets: Iterable[socket.socket]) -> None:
    """Close all other descriptors: among them are the container's own pipes, which would never end."""
    kept = {sock.fileno() for sock in sockets}
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in kept:
            with contextlib.suppress(OSError):
                os.close(int(name))
    null = os.open("/dev/null", os.O_RDWR)
    for number in {0, 1, 2} - kept - {null}:
        os.dup2(null, number)
