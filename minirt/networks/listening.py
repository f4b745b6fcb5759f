"""The machine's side of published ports: sockets that listen before the container starts."""

from __future__ import annotations

import contextlib
import errno
import socket
from dataclasses import dataclass

from minirt.errors import SandboxError
from minirt.linux.sockets import who_listens
from minirt.networks.ports import Binding, Publish

__all__ = ["HELPER", "Listener", "listen_all"]

HELPER = "mrn:"
"""What the names of the processes begin with that hold published ports; the container's id follows."""
_BACKLOG = 128
_TRIES = 20


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket, and which port of the container it leads to."""

    sock: socket.socket
    publish: Publish
    binding: Binding


def listen_all(wanted: list[Publish]) -> list[Listener]:
    """Listen for every one, or for none. Raises :class:`SandboxError` for a port that is taken or forbidden."""
    made: list[Listener] = []
    try:
        for publish in wanted:
            made += _listen(publish)
    except BaseException:
        for listener in made:
            listener.sock.close()
        raise
    return made


def _listen(publish: Publish) -> list[Listener]:
    """On one address, or on all of IPv4 and all of IPv6 with the same number."""
    refused: OSError | None = None
    tries = range(publish.first, publish.last + 1) if publish.first else [0] * _TRIES
    for port in tries:
        try:
            return _on_port(publish, port)
        except OSError as error:
            refused = error
            if error.errno != errno.EADDRINUSE:
                break
    assert refused is not None
    raise _explain(publish, refused)


def _on_port(publish: Publish, port: int) -> list[Listener]:
    first = _bind(publish, publish.host_ip or "0.0.0.0", port)
    found = [first]
    if not publish.host_ip:
        try:
            found.append(_bind(publish, "::", first.binding.host_port))
        except OSError as error:
            # A machine without IPv6 is answered for on IPv4 alone.
            if error.errno == errno.EADDRINUSE:
                first.sock.close()
                raise
    return found


def _bind(publish: Publish, address: str, port: int) -> Listener:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    stream = publish.protocol == "tcp"
    sock = socket.socket(family, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if stream:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
        if stream:
            sock.listen(_BACKLOG)
    except BaseException:
        with contextlib.suppress(OSError):
            sock.close()
        raise
    return Listener(sock, publish, Binding(publish.port, address, sock.getsockname()[1]))


def _explain(publish: Publish, error: OSError) -> SandboxError:
    host = publish.host_ip or "0.0.0.0"
    place = f"{f'[{host}]' if ':' in host else host}:{publish.first}"
    if error.errno == errno.EADDRINUSE:
        return SandboxError(
            f"driver failed programming external connectivity: Bind for {place} failed: port is already allocated",
            cause=f"{_holder(publish)} answers on that port",
            hint=f"Publish another port (-p {_other(publish.first)}:{publish.container_port}), or stop the other.",
        )
    if error.errno == errno.EACCES:
        return SandboxError(
            f"driver failed programming external connectivity: cannot expose privileged port {publish.first}",
            cause="on this machine ordinary users may answer only on higher ports"
            " (/proc/sys/net/ipv4/ip_unprivileged_port_start)",
            hint=f"Publish a higher port, such as -p {publish.first + 8000}:{publish.container_port}.",
        )
    return SandboxError(
        f"driver failed programming external connectivity: Bind for {place} failed: {error.strerror}",
        cause="the machine has no such address" if error.errno == errno.EADDRNOTAVAIL else "",
        hint="Leave the address out to publish on all of them, or write 127.0.0.1.",
    )


def _holder(publish: Publish) -> str:
    found = who_listens(publish.first, publish.protocol)
    if found is None:
        return "another program or container on this machine"
    pid, name = found
    if name.startswith(HELPER):
        return f"container {name.removeprefix(HELPER)} (docker ps tells its name, if it is yours)"
    return f"the program {name} (process {pid})"


def _other(port: int) -> int:
    return port + 1 if port < 65535 else port - 1
