"""What the picture of networks needs to know, as the facts of its view."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from minirt.networks.ability import ability
from minirt.networks.ports import parse_publish
from minirt.views.networks_view import DrawnNetwork, DrawnPort, NetworkedContainer

if TYPE_CHECKING:
    from minirt.engine.containers import Container
    from minirt.engine.facade import Engine

__all__ = ["networked"]


def networked(engine: Engine, names: Sequence[str] = ()) -> tuple[list[DrawnNetwork], list[NetworkedContainer]]:
    """Networks (all, or those of these names) and the running containers on them. Raises :class:`NetworkNotFound`."""
    found = [engine.networks.get(name) for name in names] or engine.networks.list()
    able = ability(engine.store.home) if engine.machine.isolation == "namespaces" else None
    out = ""
    if able is not None and not able.confined:
        out = f"out through {os.path.basename(able.program)}" if able.program else "out by the machine's address"
    networks = []
    for network in found:
        one = network.stored
        way = out if one.driver == "bridge" and not one.internal else ""
        networks.append(DrawnNetwork(one.name, one.driver, one.subnet, way, one.has_names))
    containers = engine.containers.list()
    by_id = {container.id: container.name for container in containers}
    drawn = [_networked(container, by_id) for container in containers]
    shown = {network.name for network in networks}
    kept = {one.name for one in drawn if not names or any(name in shown for name, _ in one.addresses)}
    return networks, [one for one in drawn if one.name in kept or one.shares in kept]


def _networked(container: Container, by_id: Mapping[str, str]) -> NetworkedContainer:
    record, settings = container.record, container.attrs["NetworkSettings"]
    if record.network.startswith("container:"):
        other = record.network.partition(":")[2]
        return NetworkedContainer(container.name, shares=by_id.get(other, other[:12]))
    chosen = {(one.port, one.first) for text in record.ports for one in parse_publish(text)}
    ports: dict[tuple[str, int, str], DrawnPort] = {}
    for inner in sorted(settings["Ports"], key=lambda port: (int(port.partition("/")[0]), port)):  # as docker ps
        bindings = settings["Ports"][inner]
        for one in bindings or ():
            # All of IPv4 and all of IPv6 are one thing to whoever looks.
            address, number = one["HostIp"].replace("0.0.0.0", "").removesuffix("::"), int(one["HostPort"])
            ports[inner, number, address] = DrawnPort(number, inner, address, (inner, number) in chosen)
    places = tuple((name, place["IPAddress"]) for name, place in settings["Networks"].items())
    return NetworkedContainer(container.name, places, tuple(ports.values()), tuple(record.exposed_ports))
