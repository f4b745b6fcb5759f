"""``NetworkSettings`` of ``docker inspect``: what a running container was given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from minirt.containers.networking import wanted_ports
from minirt.containers.records import ContainerRecord
from minirt.containers.state import State
from minirt.networks.claims import read_claim, read_network
from minirt.networks.records import Wish

# What stands once more at the top, of the default bridge, as in docker's early days.
_REPEATED = (
    "EndpointID", "Gateway", "GlobalIPv6Address", "GlobalIPv6PrefixLen", "IPAddress", "IPPrefixLen", "IPv6Gateway",
    "MacAddress",
)  # fmt: skip

__all__ = ["network_settings", "port_bindings", "published"]


def published(directory: Path, state: State) -> list[dict[str, Any]]:
    """The ports that the machine answers for now: ``{"port": "80/tcp", "host_ip": …, "host_port": …}``."""
    if not state.alive:
        return []
    try:
        found: list[dict[str, Any]] = json.loads((directory / "network.json").read_bytes())["Ports"]
    except (OSError, ValueError, KeyError):
        return []
    return found


def port_bindings(record: ContainerRecord) -> dict[str, Any]:
    """``HostConfig.PortBindings``: as asked for."""
    found: dict[str, Any] = {}
    for one in wanted_ports(record):
        host = "" if not one.first else str(one.first) if one.first == one.last else f"{one.first}-{one.last}"
        found.setdefault(one.port, []).append({"HostIp": one.host_ip, "HostPort": host})
    return found


def network_settings(record: ContainerRecord, state: State, directory: Path) -> dict[str, Any]:
    """Docker's fields; addresses are empty while it does not run."""
    ports: dict[str, Any] = {}
    if state.alive and (record.network != "host" or record.forwards):
        ports = dict.fromkeys(record.exposed_ports)
        for one in published(directory, state):
            ports[one["port"]] = [
                *(ports.get(one["port"]) or ()),
                {"HostIp": one["host_ip"], "HostPort": str(one["host_port"])},
            ]
    home = directory.parent.parent
    places = {wish.network: _place(home, record, wish, state) for wish in record.networks}
    if not places and not record.network.startswith("container:"):
        places = {record.network: _empty()}
    primary = places.get("bridge") or _empty()
    return {
        "Bridge": "",
        "SandboxID": record.id if state.alive else "",
        "SandboxKey": f"/proc/{state.pid}/ns/net" if state.alive else "",
        "Ports": ports,
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        **{name: primary[name] for name in _REPEATED},
        "Networks": places,
    }


def _empty() -> dict[str, Any]:
    return {
        "IPAMConfig": None,
        "Links": None,
        "Aliases": None,
        "MacAddress": "",
        "DriverOpts": None,
        "GwPriority": 0,
        "NetworkID": "",
        "EndpointID": "",
        "Gateway": "",
        "IPAddress": "",
        "IPPrefixLen": 0,
        "IPv6Gateway": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "DNSNames": None,
    }


def _place(home: Path, record: ContainerRecord, wish: Wish, state: State) -> dict[str, Any]:
    network = read_network(home, wish.network)
    claim = read_claim(home, wish.network, record.id) if state.alive else None
    known = {
        "IPAMConfig": {"IPv4Address": wish.ip} if wish.ip else None,
        "Aliases": list(wish.aliases) or None,
        "NetworkID": network.id if network else "",
    }
    if network is None or claim is None:
        return _empty() | known
    return (
        _empty()
        | known
        | {
            "EndpointID": f"{record.id[:32]}{network.id[:32]}",
            "Gateway": network.gateway,
            "IPAddress": claim.address,
            "IPPrefixLen": network.prefix,
            "MacAddress": claim.mac,
            "DNSNames": list(claim.names) if network.has_names else None,
        }
    )
