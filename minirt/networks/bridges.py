"""A network on the machine: a bridge, its address, and the way out under the machine's own address.

Everything here is made when the first container comes and taken away after the last one has left.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import ipaddress
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from minirt.linux import links, nft
from minirt.linux.processes import is_alive
from minirt.networks.claims import claims, drop_claim
from minirt.networks.records import Network
from minirt.store.locks import Locks

__all__ = ["bring_up", "free_subnet", "is_up", "leave_later", "sweep", "take_down", "way_out"]

POOL = ipaddress.IPv4Network("172.30.0.0/16")
_MACHINE_LOCK = "/run/minirt-networks.lock"
_FORWARDING = "/proc/sys/net/ipv4/ip_forward"
_LINGER = 1.0  # seconds that an empty network stays up: the next container may come at once


@contextlib.contextmanager
def machine_lock() -> Iterator[None]:
    """Several homes choose from one machine's addresses, so one lock orders their choices."""
    fd = os.open(_MACHINE_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def free_subnet(taken: Iterator[ipaddress.IPv4Network] | list[ipaddress.IPv4Network]) -> ipaddress.IPv4Network | None:
    """The first /24 of the pool that neither ``taken`` nor a route of the machine overlaps."""
    busy = [*taken, *(network for network, _ in links.networks_in_use())]
    return next(
        (subnet for subnet in POOL.subnets(new_prefix=24) if not any(subnet.overlaps(one) for one in busy)), None
    )


def is_up(network: Network) -> bool:
    try:
        socket.if_nametoindex(network.interface)
    except OSError:
        return False
    return True


def in_the_way(network: Network) -> str:
    """The interface that leads to addresses of this network although it is another's; empty if there is none."""
    hosts = network.hosts()
    found = (name for other, name in links.networks_in_use() if hosts.overlaps(other) and name != network.interface)
    return next(found, "")


def bring_up(network: Network) -> None:
    """Raises ``OSError`` (EPERM, EOPNOTSUPP); nothing is left then. The way out is not part of it."""
    packed = ipaddress.IPv4Address(network.gateway).packed
    links.add_bridge(network.interface, "02:42:" + packed.hex(":"))
    try:
        links.add_address(network.interface, f"{network.gateway}/{network.hosts().prefixlen}")
        # Told to the kernel even if it cannot do it: `way_out` says what is missing.
        with contextlib.suppress(OSError):
            nft.add_bridge_rules(network.interface, network.subnet, internal=network.internal)
    except BaseException:
        take_down(network)
        raise


def way_out() -> str:
    """Why containers reach nothing outside this machine; empty when they do. Also switches forwarding on."""
    try:
        if Path(_FORWARDING).read_text().strip() != "1":
            Path(_FORWARDING).write_text("1")
    except OSError as error:
        return f"the machine may not forward packets ({_FORWARDING}: {error.strerror})"
    return ""


def filter_trouble(network: Network) -> str:
    """Why there are no packet filter rules for a network that is up; empty when there are."""
    try:
        found = nft.has_table(network.interface)
    except OSError as error:
        reason = (
            "this kernel has no nf_tables" if error.errno in (errno.EPROTONOSUPPORT, errno.ENOENT) else error.strerror
        )
        return f"no address translation: {reason}"
    return "" if found else "no address translation: the packet filter refused its rules"


def take_down(network: Network) -> None:
    with contextlib.suppress(OSError):
        nft.remove_bridge_rules(network.interface)
    with contextlib.suppress(OSError):
        links.delete_link(network.interface)


def sweep(home: Path, network: Network) -> int:
    """Drop the claims whose owner is gone; how many are left. Under the network's lock."""
    left = 0
    for claim in claims(home, network.name):
        if is_alive(claim.owner, claim.owner_start):
            left += 1
        else:
            drop_claim(home, network.name, claim.container)
    return left


def leave_later(home: Path, networks: list[Network], container: str) -> None:
    """A container has ended: give its addresses back, and take down networks that stay empty for a moment."""
    locks = Locks(home / "locks")
    empty = []
    for network in networks:
        with locks.lock(f"network-{network.name}"):
            drop_claim(home, network.name, container)
            if not sweep(home, network):
                empty.append(network)
    if empty:
        time.sleep(_LINGER)
    for network in empty:
        with locks.lock(f"network-{network.name}"):
            if not sweep(home, network):
                take_down(network)
