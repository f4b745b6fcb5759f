"""EXPOSE: ``80``, ``80/udp``, ``8000-8010``, ``127.0.0.1:8080:80`` -> ``80/tcp`` … (BuildKit, convert_expose.go)."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from minirt.errors import DockerfileError, Location

__all__ = ["exposed_ports"]

_PROTOCOLS = ("tcp", "udp", "sctp")


def exposed_ports(words: Sequence[str], where: Location) -> tuple[str, ...]:
    """Every port with its protocol, in the order written. Raises :class:`DockerfileError`."""
    return tuple(port for word in words for port in _one(word, where))


def _one(word: str, where: Location) -> list[str]:
    address, host, rest = _split(word)
    port, _, protocol = rest.partition("/")
    protocol = protocol.lower() or "tcp"
    if protocol not in _PROTOCOLS:
        raise _error(f"invalid proto: {protocol}", where, "The protocols are tcp, udp and sctp.")
    if not port:
        raise _error(f"no port specified: {word}<empty>", where)
    _check_address(address, where)
    first, last = _range(port, "containerPort", where)
    if host:
        low, high = _range(host, "hostPort", where)
        if last - first != high - low and last != first:
            raise _error(f"invalid ranges specified for container and host Ports: {port} and {host}", where)
    return [f"{number}/{protocol}" for number in range(first, last + 1)]


def _split(word: str) -> tuple[str, str, str]:
    parts = word.split(":")
    if len(parts) == 1:
        return "", "", word
    if len(parts) == 2:
        return "", parts[0], parts[1]
    return ":".join(parts[:-2]), parts[-2], parts[-1]


def _check_address(address: str, where: Location) -> None:
    if not address:
        return
    try:
        ipaddress.ip_address(address.removeprefix("[").removesuffix("]"))
    except ValueError:
        raise _error(f"invalid IP address: {address}", where) from None


def _range(text: str, what: str, where: Location) -> tuple[int, int]:
    parts = text.split("-")
    good = 1 <= len(parts) <= 2 and all(part.isascii() and part.isdigit() and int(part) <= 65535 for part in parts)
    if not good or int(parts[-1]) < int(parts[0]):
        raise _error(f"invalid {what}: {text}", where)
    return int(parts[0]), int(parts[-1])


def _error(what: str, where: Location, hint: str = "") -> DockerfileError:
    return DockerfileError(what, where=where, hint=hint or "Write for example EXPOSE 80, 53/udp or 8000-8010.")
