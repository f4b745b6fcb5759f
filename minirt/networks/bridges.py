"""A network on the machine: a bridge, its address, and the way out under the machine's own address.

Everything here is made when the first container comes and taken away after the last one has left.
"""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import os
import socket
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from minirt.linux import links, nft
from minirt.linux.processes import is_alive
from minirt.networks.claims import claims, drop_claim, read_network
from minirt.networks.records import PREFIX, Network
from minirt.store.locks import Locks

__all__ = [
    "bring_up",
    "choice_lock",
    "ensure_up",
    "free_subnet",
    "in_the_way",
    "is_up",
    "leave_later",
    "network_lock",
    "sweep",
    "sweep_abandoned",
    "take_down",
    "take_down_interface",
]

POOL = ipaddress.IPv4Network("172.30.0.0/16")
_MACHINE_LOCK = "/run/minirt-networks.lock"
_LINGER = 1.0  # seconds that an empty network stays up: the next container may come at once


def choice_lock(home: Path) -> AbstractContextManager[None]:
    """Held while addresses are chosen. An ordinary user's home has all of them for itself."""
    return Locks(home / "locks").lock("network-addresses") if os.geteuid() else _machine_lock()


@contextlib.contextmanager
def _machine_lock() -> Iterator[None]:
    """Several homes choose from one machine's addresses, so one lock orders their choices."""
    fd = os.open(_MACHINE_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def network_lock(home: Path, name: str) -> AbstractContextManager[None]:
    """The same lock as ``Store.lock``, for those who have no store at hand."""
    return Locks(home / "locks").lock(f"user-network-{name}")


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


def bring_up(home: Path, network: Network) -> None:
    """Under the machine's lock. Raises ``OSError`` (EPERM, EOPNOTSUPP); nothing is left then."""
    sweep_abandoned()
    # An interface of that name is what a home that was removed, and made again, has left.
    links.delete_link(network.interface)
    packed = ipaddress.IPv4Address(network.gateway).packed
    links.add_bridge(network.interface, "02:42:" + packed.hex(":"))
    try:
        links.set_alias(network.interface, str(home))
        links.add_address(network.interface, f"{network.gateway}/{network.hosts().prefixlen}")
        # Without nf_tables containers still reach each other and the machine; `ability` says what they do not.
        with contextlib.suppress(OSError):
            nft.add_bridge_rules(network.interface, network.subnet, internal=network.internal)
    except BaseException:
        take_down(network)
        raise


def ensure_up(home: Path, network: Network) -> None:
    """In a home's own network, which the one who chose the addresses does not see. Raises ``OSError``."""
    with network_lock(home, network.name):
        if links.address_of(network.interface) == network.gateway:
            return
        known = {found.interface for name in os.listdir(home / "networks") if (found := read_network(home, name))}
        for _, name in socket.if_nameindex():
            if name.startswith(PREFIX) and name not in known:
                take_down_interface(name)  # of a network that was removed after its containers had been killed
        bring_up(home, network)


def sweep_abandoned() -> None:
    """Take down the bridges of homes that are no longer there. One that somebody is on may be of a home that only
    processes of another mount namespace see; if it is not, the kernel takes those on it away when they end.
    """
    for _, name in socket.if_nameindex():
        home = links.alias_of(name) if name.startswith(PREFIX) else ""
        if home and not os.path.isdir(f"{home}/networks") and not links.members_of(name):
            take_down_interface(name)


def take_down(network: Network) -> None:
    take_down_interface(network.interface)


def take_down_interface(bridge: str) -> None:
    """The bridge of this name, and the rules that were made for it."""
    with contextlib.suppress(OSError):
        nft.remove_bridge_rules(bridge)
    with contextlib.suppress(OSError):
        links.delete_link(bridge)


def sweep(home: Path, network: Network) -> int:
    """Drop the claims whose owner is gone; how many are left. Under the network's lock."""
    left = 0
    for claim in claims(home, network.name):
        if is_alive(claim.owner, claim.owner_start):
            left += 1
        else:
            drop_claim(home, network.name, claim.container)
    return left


def leave_later(home: Path, networks: list[Network]) -> None:
    """A container has left: take down those networks that stay empty for a moment."""
    if not os.path.isdir(home / "networks"):
        sweep_abandoned()
        return
    empty = []
    for network in networks:
        with network_lock(home, network.name):
            if not sweep(home, network):
                empty.append(network)
    if empty:
        time.sleep(_LINGER)
        if not os.path.isdir(home / "networks"):
            sweep_abandoned()
            return
    for network in empty:
        with network_lock(home, network.name):
            if not sweep(home, network):
                take_down(network)
