"""``engine.networks``: docker-py's ``client.networks`` (docker-py documentation, "Networks")."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from minirt.engine.happenings import note_prune
from minirt.errors import Conflict, Unsupported

if TYPE_CHECKING:
    from minirt.engine.containers import Container
    from minirt.engine.facade import Engine
    from minirt.networks.records import Network as StoredNetwork

__all__ = ["Network", "NetworkCollection"]


class Network:
    """One network."""

    def __init__(self, engine: Engine, stored: StoredNetwork) -> None:
        self._engine = engine
        self.stored = stored

    def __repr__(self) -> str:
        return f"<Network: {self.name}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Network) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def name(self) -> str:
        return self.stored.name

    @property
    def id(self) -> str:
        """64 hex digits."""
        return self.stored.id

    @property
    def short_id(self) -> str:
        return self.stored.id[:12]

    @property
    def containers(self) -> list[Container]:
        """The running containers on it."""
        return [container for container in self._engine.containers.list() if container.id in self.attrs["Containers"]]

    @property
    def attrs(self) -> dict[str, Any]:
        """What ``docker network inspect`` prints."""
        network = self.stored
        part = {"IPRange": network.ip_range} if network.ip_range else {}
        config = [{"Subnet": network.subnet, **part, "Gateway": network.gateway}] if network.subnet else []
        return {
            "Name": network.name,
            "Id": network.id,
            "Created": network.created,
            "Scope": "local",
            "Driver": network.driver,
            "EnableIPv4": True,
            "EnableIPv6": False,
            "IPAM": {"Driver": "default", "Options": None if network.built_in else {}, "Config": config or None},
            "Internal": network.internal,
            "Attachable": False,
            "Ingress": False,
            "ConfigFrom": {"Network": ""},
            "ConfigOnly": False,
            "Containers": self._containers(),
            "Options": {"com.docker.network.bridge.name": network.interface} if network.driver == "bridge" else {},
            "Labels": dict(network.labels),
        }

    def _containers(self) -> dict[str, Any]:
        if self.name in ("host", "none"):
            return {
                container.id: {"Name": container.name, "IPv4Address": "", "MacAddress": ""}
                for container in self._engine.containers.list()
                if container.record.network == self.name
            }
        claims = self._engine.lifecycle.networks.endpoints(self.stored)
        return {
            claim.container: {
                "Name": claim.names[0] if claim.names else "",
                "EndpointID": f"{claim.container[:32]}{self.id[:32]}",
                "MacAddress": claim.mac,
                "IPv4Address": f"{claim.address}/{self.stored.prefix}",
                "IPv6Address": "",
            }
            for claim in claims
        }

    def reload(self) -> None:
        """Read it again. Raises :class:`NetworkNotFound`."""
        self.stored = self._engine.lifecycle.networks.get(self.id)

    def connect(
        self, container: Container | str, *, aliases: Sequence[str] | None = None, ipv4_address: str | None = None
    ) -> None:
        """Put a container on it, now and at each later start. Raises ContainerNotFound, Conflict, InvalidSpec."""
        record = self._record(container)
        self._engine.lifecycle.connect(record, self.stored, tuple(aliases or ()), ipv4_address or "")
        self._note("connect", container=record.id)

    def disconnect(self, container: Container | str, *, force: bool = False) -> None:
        """Take a container off it. Raises ContainerNotFound, Conflict."""
        record = self._record(container)
        self._engine.lifecycle.disconnect(record, self.stored)
        self._note("disconnect", container=record.id)

    def _note(self, action: str, **more: str) -> None:
        self._engine.journal.write("network", action, self.id, {"name": self.name, "type": self.stored.driver, **more})

    def _record(self, container: Container | str) -> Any:
        shelf = self._engine.lifecycle.shelf
        return shelf.get(container if isinstance(container, str) else container.id)

    def remove(self) -> None:
        """Raises Conflict while containers are on it."""
        self._engine.lifecycle.networks.remove(self.id)
        self._note("destroy")


class NetworkCollection:
    """The networks of this home: docker's three, and the user's."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def create(
        self,
        name: str,
        driver: str | None = None,
        *,
        subnet: str = "",
        gateway: str = "",
        ip_range: str = "",
        internal: bool = False,
        labels: Mapping[str, str] | None = None,
        options: Mapping[str, str] | None = None,
        ipam: Mapping[str, Any] | None = None,
        check_duplicate: bool | None = None,
        enable_ipv6: bool = False,
        attachable: bool | None = None,
        scope: str | None = None,
        ingress: bool | None = None,
    ) -> Network:
        """Make a network whose containers find each other by name. ``ipam`` is docker-py's way to say ``subnet``.

        Names are always unique, and what is for swarms (``attachable``) changes nothing here.
        Raises InvalidSpec, Conflict (name or addresses taken), Unsupported (not root, or another driver).
        """
        from minirt.engine.facade import now

        for word, asked in (("options", options), ("enable_ipv6", enable_ipv6), ("ingress", ingress)):
            if asked or (word == "ingress" and scope not in (None, "local")):
                raise Unsupported(f"networks.create({word}=…)", hint=f"Leave {word} out: one machine, IPv4, a bridge.")
        for pool in (ipam or {}).get("Config") or ():
            subnet = subnet or pool.get("Subnet") or ""
            gateway, ip_range = gateway or pool.get("Gateway") or "", ip_range or pool.get("IPRange") or ""

        if driver in ("host", "null", "none"):
            raise Conflict(
                f'only one instance of "{driver}" network is allowed', hint=f"It is there: --network {driver}."
            )
        if driver not in (None, "bridge"):
            raise Unsupported(f"network driver {driver!r}", hint="minirt has one driver for networks: bridge.")
        stored = self._engine.lifecycle.networks.create(
            name, created=now(), subnet=subnet, gateway=gateway, ip_range=ip_range, internal=internal, labels=labels
        )
        network = Network(self._engine, stored)
        network._note("create")
        return network

    def get(self, name: str) -> Network:
        """By name, id or unique prefix of an id. Raises :class:`NetworkNotFound`."""
        return Network(self._engine, self._engine.lifecycle.networks.get(name))

    def list(
        self,
        names: Sequence[str] | None = None,
        ids: Sequence[str] | None = None,
        filters: Mapping[str, Any] | None = None,
        greedy: bool = False,
    ) -> builtins.list[Network]:
        """All of them, or those with one of these names and ids; ``filters`` are ``driver`` and ``label``.

        Every network knows its containers, so ``greedy`` changes nothing. Raises :class:`InvalidInput`.
        """
        from minirt.engine.filters import has_labels, wanted_values

        wanted = wanted_values(filters or {}, ("driver", "label"))
        return [
            Network(self._engine, stored)
            for stored in self._engine.lifecycle.networks.list()
            if (not names or stored.name in names)
            and (not ids or any(stored.id.startswith(one) for one in ids))
            and ("driver" not in wanted or stored.driver in wanted["driver"])
            and has_labels(stored.labels, wanted.get("label", ()))
        ]

    def prune(
        self, filters: Mapping[str, Any] | None = None, *, wanted: Callable[[Network], bool] = lambda _network: True
    ) -> dict[str, Any]:
        """Remove the user's networks that no container names, and what killed containers left of others.

        ``filters`` are ``label``, ``label!`` and ``until``; ``wanted`` may keep more. Raises :class:`InvalidInput`.
        """
        if filters:
            from minirt.engine.filters import prune_filter

            chosen, given = prune_filter(filters), wanted
            wanted = lambda one: chosen(one.stored.labels, one.stored.created) and given(one)  # noqa: E731
        networks = self._engine.lifecycle.networks
        networks.sweep()
        used = {wish.network for record in self._engine.lifecycle.shelf.all() for wish in record.networks}
        removed = []
        for stored in networks.list():
            network = Network(self._engine, stored)
            if stored.built_in or stored.name in used or not wanted(network):
                continue
            try:
                network.remove()
            except Conflict:
                continue
            removed.append(stored.name)
        note_prune(self._engine.journal, "network", 0)
        return {"NetworksDeleted": removed}
