"""The networks of one home: made and removed by users, joined and left by containers."""

from __future__ import annotations

import builtins
import contextlib
import ipaddress
import os
import re
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace

from minirt.errors import Conflict, InvalidSpec, NetworkNotFound, SandboxError, Unsupported
from minirt.linux.processes import start_time
from minirt.networks import bridges
from minirt.networks.claims import drop_claim, live_claims, read_claim, read_network, write_claim
from minirt.networks.records import BRIDGE, BUILT_IN, Endpoint, Network, Wish
from minirt.store import Store
from minirt.store.files import atomic_write, storage_errors
from minirt.store.lives import UNWIRED, built_in_id

__all__ = ["Networks"]

_PATIENCE = 0.5  # seconds for an address that is being given back
_SHAPE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")


class Networks:
    """Safe from several processes: one lock a network, and one for the machine's addresses."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.home = store.home
        self._directory = store.home / "networks"

    def create(
        self,
        name: str,
        *,
        created: str,
        subnet: str = "",
        gateway: str = "",
        ip_range: str = "",
        internal: bool = False,
        labels: Mapping[str, str] | None = None,
    ) -> Network:
        """Make a network; its bridge comes with its first container.

        Raises InvalidSpec, Conflict (the name or the subnet is taken).
        """
        if not _SHAPE.fullmatch(name):
            raise InvalidSpec(
                f"invalid network name: {name!r}", hint="A name has letters, digits, '_', '.' and '-' in it."
            )
        hosts, door = _addresses(subnet, gateway)
        part = _part_of(hosts, ip_range)
        with self._store.lock("networks"), bridges.choice_lock(self.home):
            if name in BUILT_IN:
                raise Conflict(f"operation is not permitted on predefined {name} network", hint="Choose another name.")
            if name in (known.name for known in self.list()):
                raise Conflict(f"network with name {name} already exists", hint=f"docker network rm {name} removes it.")
            taken = {other.subnet: other.name for other in self.list() if other.subnet}
            if hosts is None:
                hosts, door = self._free_subnet(taken)
            for text, other in taken.items():
                if subnet and hosts.overlaps(ipaddress.IPv4Network(text)):
                    raise Conflict(f"Pool overlaps with other one on this address space: {text} of {other}")
            network = Network(
                name, secrets.token_hex(32), created, subnet=str(hosts), gateway=str(door), ip_range=part,
                internal=internal, chosen=bool(subnet), labels=dict(labels or {}),
            )  # fmt: skip
            self._write(network)
        return network

    def _free_subnet(self, taken: Iterable[str]) -> tuple[ipaddress.IPv4Network, ipaddress.IPv4Address]:
        hosts = bridges.free_subnet([ipaddress.IPv4Network(text) for text in taken])
        if hosts is None:
            raise Conflict(
                "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to"
                " the network",
                hint="Remove networks that you no longer need (docker network prune), or name a --subnet.",
            )
        return hosts, hosts.network_address + 1

    def _write(self, network: Network) -> None:
        directory = self._directory / network.name
        with storage_errors(f"making the network {network.name}"):
            directory.mkdir(parents=True, exist_ok=True)
        try:
            atomic_write(directory / "network.json", network.to_bytes())
        except BaseException:
            with contextlib.suppress(OSError):  # a network that is there already keeps what it has
                directory.rmdir()
            raise

    def get(self, text: str) -> Network:
        """By name, id, or a prefix of an id that fits only one. Raises :class:`NetworkNotFound`."""
        networks = self.list()
        for network in networks:
            if text in (network.name, network.id):
                return network
        matches = [network for network in networks if text and network.id.startswith(text)]
        if len(matches) == 1:
            return matches[0]
        raise NetworkNotFound(f"network {text} not found", hint="`docker network ls` lists those there are.")

    def list(self) -> tuple[Network, ...]:
        """Docker's three and the user's own, by name."""
        found = {name: self._built_in(name) for name in BUILT_IN}
        with contextlib.suppress(FileNotFoundError):
            for entry in self._directory.iterdir():
                network = read_network(self.home, entry.name)
                if network is not None:
                    found[network.name] = network
        return tuple(found[name] for name in sorted(found))

    def _built_in(self, name: str) -> Network:
        return Network(name, built_in_id(name, self.home), driver=UNWIRED.get(name, name))

    def endpoints(self, network: Network) -> builtins.list[Endpoint]:
        """The containers on it that run now."""
        return live_claims(self.home, network.name)

    def remove(self, name: str) -> None:
        """Raises NetworkNotFound, and Conflict while containers are on it or for docker's three."""
        network = self.get(name)
        if network.built_in:
            raise Conflict(f"{network.name} is a pre-defined network and cannot be removed")
        with bridges.network_lock(self.home, network.name):
            if bridges.sweep(self.home, network):
                there = " ".join(
                    f'name:"{claim.names[0]}" id:"{claim.container[:12]}"'
                    for claim in self.endpoints(network)
                    if claim.names
                )
                raise Conflict(
                    f"error while removing network: network {network.name} has active endpoints ({there})",
                    hint="Stop these containers, or take them off it: docker network disconnect.",
                )
            self._take_down(network)
            directory = self._directory / network.name
            (directory / "network.json").unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                (directory / "endpoints").rmdir()
            with contextlib.suppress(OSError):
                directory.rmdir()

    def sweep(self) -> None:
        """Take down what containers left behind that were killed together with their monitors."""
        if os.geteuid():
            return
        bridges.sweep_abandoned()
        for network in self.list():
            if network.subnet and bridges.is_up(network):
                with bridges.network_lock(self.home, network.name):
                    if not bridges.sweep(self.home, network):
                        bridges.take_down(network)

    def join(self, wish: Wish, container: str, names: tuple[str, ...]) -> tuple[Network, Endpoint]:
        """Bring the network up if need be and claim an address on it for a container that is about to start.

        Raises NetworkNotFound, Conflict (no address left, or taken), InvalidSpec, SandboxError.
        """
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                return self._join(wish, container, names)
            except Conflict:
                # Its holder may have ended a moment ago, and its monitor be about to give it back.
                if not wish.ip or time.monotonic() > deadline:
                    raise
            time.sleep(0.01)

    def _join(self, wish: Wish, container: str, names: tuple[str, ...]) -> tuple[Network, Endpoint]:
        with bridges.network_lock(self.home, wish.network):
            network = self._up(wish.network)
            used = {claim.address: claim for claim in self.endpoints(network) if claim.container != container}
            address = _choose(network, wish.ip, used)
            mac = "02:42:" + ipaddress.IPv4Address(address).packed.hex(":")
            known = tuple(dict.fromkeys((*names, *wish.aliases)))
            pid = os.getpid()
            claim = Endpoint(container, network.name, address, mac, known, pid, start_time(pid) or 0)
            write_claim(self.home, claim)
            return network, claim

    def leave(self, network: str, container: str) -> None:
        """Give the address back, and take the network down if it was the last."""
        with bridges.network_lock(self.home, network):
            drop_claim(self.home, network, container)
            known = self.get(network)
            if known.subnet and not bridges.sweep(self.home, known):
                self._take_down(known)

    def _take_down(self, network: Network) -> None:
        """An ordinary user's bridge is out of sight here; it goes when the next one comes up, or with its keeper."""
        if not os.geteuid() and bridges.is_up(network):
            bridges.take_down(network)

    def claim_of(self, network: str, container: str) -> Endpoint | None:
        return read_claim(self.home, network, container)

    def _up(self, name: str) -> Network:
        network = self.get(name)
        if not network.subnet and network.name != BRIDGE:
            raise Unsupported(f"a container cannot be on {network.name} and another network")
        if os.geteuid():
            # In the home's own namespace, which only monitors enter: one of them brings it up.
            return network if bridges.sweep(self.home, network) else self._with_subnet(network)
        if network.subnet and bridges.is_up(network):
            bridges.sweep(self.home, network)
            return network
        try:
            with bridges.choice_lock(self.home):
                network = self._with_subnet(network)
                bridges.bring_up(self.home, network)
        except OSError as error:
            raise SandboxError(
                f"cannot bring up the network {name}",
                cause=f"the bridge could not be made: {error.strerror}",
                hint="Use --network host, or --network none; `docker info` tells what this machine allows.",
            ) from error
        return network

    def _with_subnet(self, network: Network) -> Network:
        """The network with a subnet that nobody else on the machine has."""
        if network.subnet:
            other = bridges.in_the_way(network)
            if not other:
                return network
            if network.chosen:
                raise Conflict(
                    f"the addresses {network.subnet} of network {network.name} are also behind {other} of this machine",
                    hint="Make the network anew with another --subnet.",
                )
        hosts, door = self._free_subnet(one.subnet for one in self.list() if one.subnet and one.name != network.name)
        network = replace(network, subnet=str(hosts), gateway=str(door))
        self._write(network)
        return network


def _addresses(subnet: str, gateway: str) -> tuple[ipaddress.IPv4Network | None, ipaddress.IPv4Address | None]:
    if not subnet:
        if gateway:
            raise InvalidSpec("a gateway needs a subnet", hint="Add --subnet, such as --subnet 10.9.0.0/24.")
        return None, None
    try:
        hosts = ipaddress.IPv4Network(subnet)
        door = ipaddress.IPv4Address(gateway) if gateway else hosts.network_address + 1
    except ValueError as error:
        raise InvalidSpec(f"invalid subnet {subnet}: {error}", hint="Write it as 10.9.0.0/24.") from None
    if hosts.prefixlen > 29 or door not in hosts:
        reason = "no matching subnet for gateway" if door not in hosts else "the subnet is too small"
        raise InvalidSpec(f"{reason}: {gateway or subnet}", hint="A /24, such as 10.9.0.0/24, holds 253 containers.")
    return hosts, door


def _part_of(hosts: ipaddress.IPv4Network | None, ip_range: str) -> str:
    if not ip_range:
        return ""
    try:
        part = ipaddress.IPv4Network(ip_range, strict=False)
    except ValueError as error:
        raise InvalidSpec(f"invalid range {ip_range}: {error}", hint="Write it as 10.9.0.128/25.") from None
    if hosts is None or not part.subnet_of(hosts):
        raise InvalidSpec(f"no matching subnet for range {ip_range}", hint="Name a --subnet that holds it.")
    return str(part)


def _choose(network: Network, wish: str, used: Mapping[str, Endpoint]) -> str:
    hosts = network.hosts()
    forbidden = {network.gateway, str(hosts.broadcast_address), str(hosts.network_address)}
    if wish:
        if ipaddress.IPv4Address(wish) not in hosts or wish in forbidden:
            raise InvalidSpec(
                f"invalid address {wish}: it is not among the addresses of network {network.name} ({network.subnet})"
            )
        if wish in used:
            raise Conflict("Address already in use", cause=f"{wish} belongs to {used[wish].names[0]}")
        return wish
    free = ipaddress.IPv4Network(network.ip_range) if network.ip_range else None
    # In a part of a network the first and the last are addresses like others.
    for address in hosts.hosts() if free is None else free:
        if (text := str(address)) not in used and text not in forbidden:
            return text
    raise Conflict(f"no available IPv4 addresses on network {network.name} ({network.subnet})")
