"""``docker network connect`` and ``disconnect``: a container gets one more network, or one less."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from typing import Any

from minirt.containers.networking import own_names, resolv_conf_of
from minirt.containers.records import ContainerRecord
from minirt.containers.shelf import Shelf
from minirt.containers.state import State
from minirt.errors import Conflict, ContainerNotRunning
from minirt.networks.claims import own_by
from minirt.networks.names import machine_servers
from minirt.networks.plan import Wiring
from minirt.networks.records import Endpoint, Network, Wish
from minirt.networks.store import Networks
from minirt.sandbox import Sandbox

__all__ = ["connect", "disconnect"]


def connect(
    record: ContainerRecord, wish: Wish, state: State, networks: Networks, shelf: Shelf, sandbox: Sandbox
) -> None:
    """Now, if it runs, and at each start. Raises Conflict, InvalidSpec, Unsupported. Under the container's lock."""
    if record.network in ("host", "none") or record.network.startswith("container:"):
        raise Conflict(
            f"container sharing network namespace with another container or host cannot be connected to {wish.network}",
            cause=f"its network mode is {record.network}",
            hint="Make the container with --network and the name of a network.",
        )
    if any(known.network == wish.network for known in record.networks):
        raise Conflict(f"endpoint with name {record.name} already exists in network {wish.network}")
    if state.alive:
        names = (record.name, *wish.aliases, record.short_id)
        network, endpoint = networks.join(wish, record.id, names)
        try:
            own_by(networks.home, endpoint, state.monitor_pid)
            wiring = Wiring(
                record.id, str(networks.home), ((network, endpoint),), resolver=network.has_names,
                servers=tuple(record.dns or machine_servers()), links=record.links, user=bool(os.geteuid()),
            )  # fmt: skip
            sandbox.call("minirt.networks.wiring:attach", _arguments(wiring, state))
        except BaseException:
            networks.leave(network.name, record.id)
            raise
        told: dict[str, Any] = {"add": _line(record, endpoint)}
        if network.has_names:
            told["servers"] = [resolv_conf_of(record, resolver=with_names) for with_names in (False, True)]
        _tell(told, state, sandbox)
    shelf.replace(replace(record, networks=(*record.networks, wish)))


def disconnect(
    record: ContainerRecord, network: Network, state: State, networks: Networks, shelf: Shelf, sandbox: Sandbox
) -> None:
    """Raises Conflict when it is not on that network. Under the container's lock."""
    left = tuple(wish for wish in record.networks if wish.network != network.name)
    if left == record.networks:
        raise Conflict(f"container {record.name} is not connected to network {network.name}")
    endpoint = networks.claim_of(network.name, record.id)
    if state.alive and endpoint is not None:
        wiring = Wiring(record.id, str(networks.home), ((network, endpoint),), user=bool(os.geteuid()))
        sandbox.call("minirt.networks.wiring:detach", _arguments(wiring, state))
        networks.leave(network.name, record.id)
        _tell({"drop": _line(record, endpoint)}, state, sandbox)
    shelf.replace(replace(record, networks=left))


def _line(record: ContainerRecord, endpoint: Endpoint) -> str:
    return f"{endpoint.address}\t{own_names(record)}\n"


def _tell(told: dict[str, Any], state: State, sandbox: Sandbox) -> None:
    """The container's own files. Its resolver stays when the last network with names is left, as with docker."""
    with contextlib.suppress(ContainerNotRunning):
        sandbox.call("minirt.containers.own_files:network_changed", told, inside=(state.pid, state.start_time))


def _arguments(wiring: Wiring, state: State) -> dict[str, Any]:
    return {**wiring.to_json(), "pid": state.pid, "start_time": state.start_time}
