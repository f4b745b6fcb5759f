"""Who can see whom: networks left, their containers in the middle, ports of the machine that lead in right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from minirt.views.graph import Edge, EdgeKind, Graph, Kind, LegendItem, Look, Node
from minirt.views.tables import text_table
from minirt.views.text import plural, printable

__all__ = ["DrawnNetwork", "DrawnPort", "NetworkedContainer", "networks_graph"]

_LEFT, _MIDDLE, _RIGHT = (0.0, 258), (312.0, 282), (648.0, 196)  # x and width of the three columns
_ALONE = 560
_WITHOUT = {"host": "the machine's addresses and ports", "none": "no address but its own 127.0.0.1"}
_HEIGHT, _STEP, _BETWEEN = 44, 50.0, 12.0


@dataclass(frozen=True, slots=True)
class DrawnPort:
    """A published port: the machine's ``address`` (empty for all) and ``number``, and the container's (``80/tcp``).

    ``chosen``: somebody named that number; others differ from run to run.
    """

    number: int
    inner: str
    address: str = ""
    chosen: bool = True


@dataclass(frozen=True, slots=True)
class NetworkedContainer:
    """A running container: its address by network, its published ports, and ports that are only exposed.

    ``shares`` is the name of the container whose network it has.
    """

    name: str
    addresses: tuple[tuple[str, str], ...] = ()
    ports: tuple[DrawnPort, ...] = ()
    exposed: tuple[str, ...] = ()
    shares: str = ""


@dataclass(frozen=True, slots=True)
class DrawnNetwork:
    """``way_out`` says how its containers reach what is outside the machine; empty when they do not."""

    name: str
    driver: str
    subnet: str = ""
    way_out: str = ""
    has_names: bool = False


def networks_graph(
    networks: Sequence[DrawnNetwork], containers: Sequence[NetworkedContainer], *, stable: bool = False
) -> Graph:
    """The picture. ``stable`` leaves out what differs between machines and runs: subnets, numbers nobody chose."""
    ordered = sorted(networks, key=lambda one: (not _members(one, containers), not one.has_names, one.name))
    ports = sum(len(one.ports) for one in containers)
    return Graph(
        id="networks",
        title=f"The network {printable(networks[0].name)}" if len(networks) == 1 else "Networks",
        subtitle=f"{plural(len(networks), 'network')}, {plural(len(containers), 'running container')}, "
        f"{plural(ports, 'published port')} of this machine",
        nodes=tuple(_nodes(ordered, containers, stable)),
        edges=tuple(_edges(containers, {one.name for one in networks}, stable)),
        legend=_legend(ordered, containers),
        text=_text(ordered, containers, stable),
    )


def _members(network: DrawnNetwork, containers: Sequence[NetworkedContainer]) -> list[NetworkedContainer]:
    return [one for one in containers if any(name == network.name for name, _ in one.addresses)]


def _nodes(networks: Sequence[DrawnNetwork], containers: Sequence[NetworkedContainer], stable: bool) -> Iterator[Node]:
    """Each container stands beside the first of its networks, and those that share its network below it."""
    y, drawn = 0.0, set[str]()
    for network in networks:
        yield _network(network, bool(_members(network, containers)), y, stable, _LEFT[1] if containers else _ALONE)
        below = y
        for one in _members(network, containers):
            if one.name not in drawn:
                for shown in (one, *(other for other in containers if other.shares == one.name)):
                    drawn.add(shown.name)
                    yield from _container(shown, below, stable)
                    below += _STEP * max(1, len(shown.ports))
        y = max(y + _STEP, below) + _BETWEEN
    for one in containers:
        if one.name not in drawn and not (one.shares and len(networks) == 1):
            yield from _container(one, y, stable)
            y += _STEP * max(1, len(one.ports))


def _network(network: DrawnNetwork, used: bool, y: float, stable: bool, width: int) -> Node:
    subnet = "" if stable else network.subnet
    out = {"host": "the machine's own", "null": "only lo in each"}.get(network.driver) or (
        (network.way_out and "leads out" if stable else network.way_out) or "no way out"
    )
    tooltip = [f"network {network.name} ({network.driver})", subnet, out]
    tooltip.append("containers on it find each other by name" if network.has_names else "no names here")
    return Node(
        id=f"network-{network.name}",
        kind=Kind.NETWORK,
        title=printable(network.name),
        text=subnet,
        detail=f"{out}, names" if network.has_names else out,
        look=Look.NETWORK if used else Look.PLAIN,
        tooltip="\n".join(filter(None, tooltip)),
        width=width,
        height=_HEIGHT,
        place=(_LEFT[0], y),
    )


def _container(one: NetworkedContainer, y: float, stable: bool) -> Iterator[Node]:
    where = ", ".join(_address(address, stable) or _WITHOUT.get(network, "") for network, address in one.addresses)
    silent = [port for port in one.exposed if port not in {published.inner for published in one.ports}]
    words = [f"in the network of {printable(one.shares)}"] if one.shares else [where] if where else []
    if silent:
        words.append(f"{', '.join(silent)} exposed, not published")
    on = "\n".join(f"{network}: {_address(address, stable) or 'no address'}" for network, address in one.addresses)
    yield Node(
        id=f"container-{one.name}",
        kind=Kind.CONTAINER,
        title=printable(one.name),
        detail="; ".join(words),
        look=Look.CONTAINER,
        tooltip=f"{one.name}\n{on}\n"
        + "\n".join(f"{_outer(port, stable)} leads to {port.inner}" for port in one.ports),
        width=_MIDDLE[1],
        height=_HEIGHT,
        place=(_MIDDLE[0], y),
    )
    for number, port in enumerate(one.ports):
        yield Node(
            id=_port_id(one, port, number),
            kind=Kind.PORT,
            title=_outer(port, stable),
            detail=f"leads to {port.inner}",
            look=Look.PORT,
            tooltip=f"{_outer(port, stable)} of this machine leads to {port.inner} of {one.name}",
            width=_RIGHT[1],
            height=_HEIGHT,
            place=(_RIGHT[0], y + number * _STEP),
        )


def _port_id(one: NetworkedContainer, port: DrawnPort, number: int) -> str:
    return f"port-{one.name}-{port.inner}-{number}"


def _outer(port: DrawnPort, stable: bool) -> str:
    shown = str(port.number) if port.chosen or not stable else "a free port"
    host = f"[{port.address}]" if ":" in port.address else port.address
    return f"{host}:{shown}" if host else f"port {shown}" if shown.isdigit() else shown


def _address(address: str, stable: bool) -> str:
    return f".{address.rpartition('.')[2]}" if stable and address else address


def _edges(containers: Sequence[NetworkedContainer], shown: set[str], stable: bool) -> Iterator[Edge]:
    for one in containers:
        for network, address in one.addresses:
            if network in shown:
                tooltip = f"{one.name} has {_address(address, stable) or 'no address'} on {network}"
                yield Edge(f"network-{network}", f"container-{one.name}", EdgeKind.WIRE, tooltip)
        for number, port in enumerate(one.ports):
            tooltip = f"{_outer(port, stable)} leads to {one.name}, {port.inner}"
            yield Edge(_port_id(one, port, number), f"container-{one.name}", EdgeKind.LEADS, tooltip)
        if one.shares:
            yield Edge(f"container-{one.shares}", f"container-{one.name}", EdgeKind.NAMES, "one network for both")


def _legend(networks: Sequence[DrawnNetwork], containers: Sequence[NetworkedContainer]) -> tuple[LegendItem, ...]:
    if not containers:
        return (LegendItem(Look.PLAIN, "network without a running container"),)
    items = [LegendItem(Look.NETWORK, "network"), LegendItem(Look.CONTAINER, "running container")]
    if any(one.ports for one in containers):
        items.append(LegendItem(Look.PORT, "port of this machine"))
        items.append(LegendItem(EdgeKind.LEADS, "leads to"))
    if any(not _members(one, containers) for one in networks):
        items.append(LegendItem(Look.PLAIN, "nobody is on it now"))
    return tuple(items)


def _text(networks: Sequence[DrawnNetwork], containers: Sequence[NetworkedContainer], stable: bool) -> str:
    """The text twin: a row a network, a row a container and network, a row a published port."""
    rows = [
        [
            printable(one.name),
            one.driver,
            *([] if stable else [one.subnet]),
            ("yes" if stable else one.way_out) if one.way_out else "no",
            ", ".join(printable(member.name) for member in _members(one, containers)),
        ]
        for one in networks
    ]
    parts = [text_table(["Network", "Driver", *([] if stable else ["Subnet"]), "Way out", "Containers"], rows)]
    places = [
        [printable(one.name), network, _address(address, stable)]
        for one in containers
        for network, address in (one.addresses or ((f"that of {one.shares}", ""),))
    ]
    if places:
        parts.append(text_table(["Container", "Network", "Address"], places))
    ports = [[_outer(port, stable), printable(one.name), port.inner] for one in containers for port in one.ports]
    if ports:
        parts.append(text_table(["Of this machine", "leads to", "Port"], ports))
    return "\n\n".join(parts)
