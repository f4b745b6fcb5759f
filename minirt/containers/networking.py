"""A container's network: what a request means on this machine, and what each start makes of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from minirt.containers.records import ContainerRecord
from minirt.containers.request import CreateRequest
from minirt.containers.state import State
from minirt.errors import Conflict, InvalidSpec, Unsupported
from minirt.model.spec import HostNetwork, LoopbackNetwork, MadeNetwork, Network
from minirt.networks.ability import Ability, ability, first_time
from minirt.networks.names import hosts_file, machine_servers, resolv_conf
from minirt.networks.plan import Wiring
from minirt.networks.ports import Publish, parse_publish
from minirt.networks.records import BRIDGE, Endpoint, Wish
from minirt.networks.records import Network as NetworkRecord
from minirt.networks.store import Networks

__all__ = [
    "NetworkPlan",
    "Settled",
    "give_up",
    "has_resolver",
    "own_names",
    "plan_network",
    "resolv_conf_of",
    "settle",
    "wanted_ports",
    "warn_of_ports",
    "without_namespaces",
]

Find = Callable[[str], tuple[ContainerRecord, State]]
_CONTAINER = "container:"
_DISCARDED = "Published ports are discarded when using host network mode"


@dataclass(frozen=True, slots=True)
class Settled:
    """``mode`` as docker's NetworkMode: none, host, bridge, ``container:ID`` or a network's name."""

    mode: str
    wishes: tuple[Wish, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """One start: the sandbox's network, and the container's own files about it."""

    network: Network
    hosts: str
    resolv_conf: str
    joined: tuple[str, ...] = ()


def without_namespaces(asked: str, networks: Networks) -> str:
    """What ``--network`` comes to where containers cannot have a network of their own: the machine's, or none.

    Raises :class:`Unsupported` for a network between containers, NetworkNotFound for one that there is not.
    """
    if asked in ("host", "none"):
        return asked
    if asked in ("", "default", BRIDGE) or asked.startswith(_CONTAINER):
        return "host"
    raise Unsupported(
        f"containers cannot be on the network {networks.get(asked).name} here",
        cause="no namespaces are allowed on this machine, so containers share its network",
        hint="Leave --network out; containers reach each other at localhost.",
    )


def settle(asked: str, request: CreateRequest, networks: Networks, find: Find) -> Settled:
    """What is asked for with ``--network`` and its companions, when a container is created.

    Raises NetworkNotFound, ContainerNotFound, InvalidSpec, Unsupported.
    """
    aliases, ip, publishes = request.aliases, request.ip, bool(request.ports or request.publish_all)
    mode, warnings = _mode(asked, networks, find, publishes=publishes)
    named = mode not in (BRIDGE, "host", "none") and not mode.startswith(_CONTAINER)
    if aliases and not named:
        raise InvalidSpec(
            "network-scoped alias is supported only for containers in user defined networks",
            hint="docker network create NAME, then run with --network NAME.",
        )
    if ip and not named:
        raise InvalidSpec(
            "user specified IP address is supported on user defined networks only",
            hint="docker network create NAME, then run with --network NAME.",
        )
    if publishes and mode.startswith(_CONTAINER):
        raise InvalidSpec(
            "conflicting options: port publishing and the container type network mode",
            hint="Publish the ports of the container whose network is shared.",
        )
    first = (Wish(networks.get(mode).name, aliases, ip),) if named or mode == BRIDGE else ()
    wishes = (*first, *_more(request.more_networks, first, networks))
    return Settled(networks.get(mode).name if named else mode, wishes, warnings)


def _more(wanted: tuple[Wish, ...], first: tuple[Wish, ...], networks: Networks) -> tuple[Wish, ...]:
    """The networks after the first. Raises InvalidSpec where they do not go together."""
    if wanted and not first:
        raise InvalidSpec(
            "conflicting options: cannot attach both user-defined and non-user-defined network-modes",
            hint="host, none and container:NAME go alone; several --network name networks.",
        )
    found = tuple(replace(wish, network=networks.get(wish.network).name) for wish in wanted)
    for wish in found:
        if [one.network for one in (*first, *found)].count(wish.network) > 1:
            raise InvalidSpec(f'network "{wish.network}" is specified multiple times', hint="Name each network once.")
        if networks.get(wish.network).driver != "bridge":
            raise InvalidSpec(
                "conflicting options: cannot attach both user-defined and non-user-defined network-modes",
                hint=f"{wish.network} goes alone.",
            )
    return found


def _mode(asked: str, networks: Networks, find: Find, *, publishes: bool) -> tuple[str, tuple[str, ...]]:
    if asked in ("none", "host"):
        return asked, ()
    if asked.startswith(_CONTAINER):
        return _CONTAINER + find(asked.removeprefix(_CONTAINER))[0].id, ()
    able = ability(networks.home)
    if asked not in ("", "default", BRIDGE):
        networks.get(asked)
        if not able.own:
            raise Unsupported(
                f"containers cannot be on the network {asked} here",
                cause=able.why,
                hint="Leave --network out, or share a container's network: --network container:NAME.",
            )
        return asked, _told_once(able, networks)
    if able.by_default:
        return BRIDGE, _told_once(able, networks)
    why = f"{able.why or able.confined}: containers share the machine's network, and its ports"
    # Said to those whom it concerns: who asked for a network or a port. A pod's first lesson is not about either.
    return "host", (why,) if (publishes or asked == BRIDGE) and first_time(networks.home, why) else ()


def warn_of_ports(wanted: CreateRequest | ContainerRecord, *, forwards: bool) -> tuple[str, ...]:
    """What becomes of published ports on the machine's network."""
    if not forwards:
        return (_DISCARDED,)
    if not os.geteuid():
        return ()
    try:
        lowest = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    except (OSError, ValueError):
        lowest = 1024
    low = sorted({one.container_port for text in wanted.ports for one in parse_publish(text)})
    return tuple(
        f"the program shares the machine's network, where an ordinary user may not answer on port {port}: let it listen"
        f" on a higher one, such as -p {port + 8000}:{port + 8000}"
        for port in low
        if port < lowest
    )


def _told_once(able: Ability, networks: Networks) -> tuple[str, ...]:
    told = able.confined and first_time(networks.home, able.confined)
    return (f"containers reach nothing outside this machine: {able.confined}",) if told else ()


def wanted_ports(record: ContainerRecord) -> tuple[Publish, ...]:
    """What is published: as written, and with ``-P`` every exposed port that is not."""
    named = tuple(one for text in record.ports for one in parse_publish(text))
    if not record.publish_all:
        return named
    there = {one.port for one in named}
    return named + tuple(one for port in record.exposed_ports if port not in there for one in parse_publish(port))


def plan_network(record: ContainerRecord, networks: Networks, find: Find) -> NetworkPlan:
    """Claim what the container needs to start now; :func:`give_up` gives it back.

    Raises what :meth:`Networks.join` does, and Conflict when a shared network's container does not run.
    """
    if record.network.startswith(_CONTAINER):
        return _share(record, networks, find)
    if record.network in ("host", "none"):
        isolated = record.network == "none"
        servers = "" if isolated else resolv_conf_of(record, resolver=False)
        extra = (*record.extra_hosts, *_linked(record, networks, find))
        hosts = hosts_file([("127.0.1.1", own_names(record))], extra)
        return NetworkPlan(LoopbackNetwork() if isolated else _machines(record, networks), hosts, servers)
    places: list[tuple[NetworkRecord, Endpoint]] = []
    extra = (*record.extra_hosts, *_linked(record, networks, find))
    try:
        for wish in record.networks:
            places.append(networks.join(wish, record.id, _names(record, wish)))
    except BaseException:
        give_up(record, networks, tuple(network.name for network, _ in places))
        raise
    return _on_bridges(record, networks, places, extra)


def _machines(record: ContainerRecord, networks: Networks) -> HostNetwork:
    ports = wanted_ports(record) if record.forwards else ()
    if not ports:
        return HostNetwork()
    wiring = Wiring(record.id, str(networks.home), publish=ports, own=False)
    return HostNetwork("minirt.networks.wiring:forward", wiring.to_json())


def give_up(record: ContainerRecord, networks: Networks, joined: tuple[str, ...]) -> None:
    """The start failed."""
    for name in joined:
        networks.leave(name, record.id)


def _names(record: ContainerRecord, wish: Wish) -> tuple[str, ...]:
    own = () if record.hostname == record.short_id else (record.hostname,)
    return (record.name, *wish.aliases, record.short_id, *own)


def resolv_conf_of(record: ContainerRecord, *, resolver: bool) -> str:
    """Its /etc/resolv.conf, with the machine's name servers, or with the networks' own in front of them."""
    return resolv_conf(record.dns, resolver=resolver, search=record.dns_search, options=record.dns_options)


def _linked(record: ContainerRecord, networks: Networks, find: Find) -> Iterator[str]:
    """``--link`` as entries of /etc/hosts, as with docker; raises Conflict when the other one does not run.

    On networks with names the resolver answers instead, so that the entry holds when the other one gets a new address.
    """
    for link in record.links:
        identity, _, alias = link.partition(":")
        other, state = find(identity)
        if not state.alive:
            raise Conflict(
                f"Cannot link to a non running container: /{other.name} AS /{record.name}/{alias}",
                hint=f"Start it first: docker start {other.name}",
            )
        if record.network == "host":
            yield f"{alias}:127.0.0.1"
        for wish in record.networks:
            claim = networks.claim_of(wish.network, other.id)
            if claim is not None and not networks.get(wish.network).has_names:
                yield f"{alias}:{claim.address}"


def own_names(record: ContainerRecord) -> str:
    """As /etc/hosts has them: the full name first, where there is a domain."""
    domain = record.settings.isolation.domainname
    return f"{record.hostname}.{domain} {record.hostname}" if domain else record.hostname


def _on_bridges(
    record: ContainerRecord,
    networks: Networks,
    places: list[tuple[NetworkRecord, Endpoint]],
    extra: tuple[str, ...],
) -> NetworkPlan:
    able = ability(networks.home)
    servers = record.dns or machine_servers()
    resolver = has_resolver(record, networks)
    wiring = Wiring(
        record.id, str(networks.home), tuple(places), wanted_ports(record), resolver, tuple(servers),
        links=record.links, user=able.user, program=able.program,
    )  # fmt: skip
    names = own_names(record)
    own = [(endpoint.address, names) for _, endpoint in places] or [("127.0.1.1", names)]
    gateway = places[0][0].gateway if places else ""
    return NetworkPlan(
        MadeNetwork("minirt.networks.wiring:make", wiring.to_json()),
        hosts_file(own, extra, gateway),
        resolv_conf_of(record, resolver=resolver),
        tuple(network.name for network, _ in places),
    )


def has_resolver(record: ContainerRecord, networks: Networks) -> bool:
    """Whether it is to ask the networks' own name server."""
    # A name server on the machine's own loopback is out of a container's reach, but not out of the resolver's.
    beyond = any(server.startswith("127.") or server == "::1" for server in record.dns or machine_servers())
    return beyond or any(networks.get(wish.network).has_names for wish in record.networks)


def _share(record: ContainerRecord, networks: Networks, find: Find) -> NetworkPlan:
    other, state = find(record.network.removeprefix(_CONTAINER))
    if not state.alive:
        raise Conflict(
            f"cannot join network of a non running container: {other.name}", hint=f"Start it: docker start {other.name}"
        )
    if other.network in ("host", "none"):
        plan = plan_network(replace(record, network=other.network), networks, find)
        if other.network == "host":
            return plan
        hosts, servers = plan.hosts, plan.resolv_conf
    else:
        claims = [networks.claim_of(wish.network, other.id) for wish in other.networks]
        own = [(claim.address, own_names(other)) for claim in claims if claim is not None]
        hosts = hosts_file(own, record.extra_hosts)
        servers = resolv_conf_of(other, resolver=has_resolver(other, networks))
    arguments = {"pid": state.pid, "start_time": state.start_time, "name": other.name}
    return NetworkPlan(MadeNetwork("minirt.networks.wiring:join", arguments), hosts, servers)
