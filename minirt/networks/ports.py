"""``-p`` and ``--expose``: docker's grammar of ports (docker/go-connections, ``nat``), read into frozen values."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from minirt.errors import InvalidSpec, Unsupported

__all__ = ["Binding", "Publish", "parse_exposed", "parse_publish"]

_HINT = "Write [ADDRESS:][PORT OF THE MACHINE:]PORT OF THE CONTAINER[/udp], such as 8080:80 or 127.0.0.1::53/udp."
_NUMBER = re.compile(r"[0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class Publish:
    """A port of the container that the machine shall answer for.

    ``host_ip`` is empty for all addresses. The machine's port is one of ``first`` to ``last``; 0 is any free one.
    """

    container_port: int
    protocol: str = "tcp"
    host_ip: str = ""
    first: int = 0
    last: int = 0

    @property
    def port(self) -> str:
        """As docker names it: ``80/tcp``."""
        return f"{self.container_port}/{self.protocol}"

    def __str__(self) -> str:
        """A text that :func:`parse_publish` reads back to this value."""
        address = f"[{self.host_ip}]" if ":" in self.host_ip else self.host_ip
        host = "" if not self.first else str(self.first) if self.first == self.last else f"{self.first}-{self.last}"
        return f"{address}:{host}:{self.port}" if address else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Binding:
    """A port that the machine does answer for: the same as :class:`Publish` once it is done."""

    port: str
    host_ip: str
    host_port: int


def parse_publish(text: str) -> tuple[Publish, ...]:
    """One value of ``-p``; a range gives several. Raises :class:`InvalidSpec`, :class:`Unsupported` (sctp)."""
    body, protocol = _protocol(text)
    address, host, container = _split(body, text)
    if not container:
        raise InvalidSpec(f"No port specified: {text}", hint=_HINT)
    first, last = _range(container, "containerPort", text)
    host = host if host != "0" else ""  # any free one, too
    wanted = _range(host, "hostPort", text) if host else (0, 0)
    count = last - first + 1
    if host and wanted[1] - wanted[0] + 1 != count and count != 1:
        raise InvalidSpec(
            f"Invalid ranges specified for container and host Ports: {container} and {host}",
            hint="Both ranges need as many ports, such as 8000-8002:80-82.",
        )
    if count == 1:
        return (Publish(first, protocol, address, *wanted),)
    return tuple(
        Publish(first + i, protocol, address, *((wanted[0] + i,) * 2 if host else (0, 0))) for i in range(count)
    )


def parse_exposed(texts: Iterable[str]) -> tuple[str, ...]:
    """``--expose``: ``80``, ``53/udp``, ``7000-7002``; as docker names ports. Raises :class:`InvalidSpec`."""
    found: list[str] = []
    for text in texts:
        body, protocol = _protocol(text)
        first, last = _range(body, "port", text)
        found += [f"{port}/{protocol}" for port in range(first, last + 1)]
    return tuple(found)


def _protocol(text: str) -> tuple[str, str]:
    body, slash, protocol = text.partition("/")
    protocol = protocol.lower() if slash else "tcp"
    if protocol == "sctp":
        raise Unsupported(f"{text}: minirt forwards tcp and udp, not sctp", hint="Leave this port out.")
    if protocol not in ("tcp", "udp"):
        raise InvalidSpec(f"Invalid proto: {protocol}", hint="After the slash stands tcp or udp.")
    return body, protocol


def _split(body: str, text: str) -> tuple[str, str, str]:
    """Address, the machine's port and the container's, each as text."""
    if body.startswith("["):
        address, bracket, rest = body[1:].partition("]")
        if not bracket or not rest.startswith(":"):
            raise InvalidSpec(f"Invalid address: {text}", hint=_HINT)
        body = f"_{rest}"
    else:
        address = ""
    parts = body.split(":")
    if len(parts) > 3:
        raise InvalidSpec(f"Invalid ip address: {':'.join(parts[:-2])}", hint="Write an IPv6 address in brackets.")
    named, host, container = ["", "", *parts][-3:] if len(parts) < 3 else parts
    address = address or named
    if address in ("", "_"):
        return "", host, container
    import ipaddress  # a container that starts does not wait for it

    try:
        return str(ipaddress.ip_address(address)), host, container
    except ValueError:
        raise InvalidSpec(f"Invalid ip address: {address}", hint=_HINT) from None


def _range(text: str, what: str, whole: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    last = last if dash else first
    if not (_NUMBER.fullmatch(first) and _NUMBER.fullmatch(last)):
        raise InvalidSpec(f"Invalid {what}: {text}", cause=f"in {whole!r}" if whole != text else "", hint=_HINT)
    low, high = int(first), int(last)
    if not 1 <= low <= high <= 65535:
        raise InvalidSpec(f"Invalid {what}: {text}", cause="ports are numbers from 1 to 65535, the lower one first")
    return low, high
