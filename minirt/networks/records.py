"""What is known of a network and of a container on it, as the files under ``networks/<name>/`` keep it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ipaddress

__all__ = ["BRIDGE", "BUILT_IN", "PREFIX", "Endpoint", "Network", "Wish"]

BRIDGE, HOST, NONE = "bridge", "host", "none"
PREFIX = "mrt-"
BUILT_IN = (BRIDGE, HOST, NONE)


@dataclass(frozen=True, slots=True)
class Network:
    """``network.json``. ``subnet`` and ``gateway`` are texts; empty for host and none.

    ``ip_range``: only addresses of this part are given to those that ask for none. ``chosen``: the user chose the
    subnet, so it is never exchanged for another one.
    """

    name: str
    id: str
    created: str = ""
    driver: str = "bridge"
    subnet: str = ""
    gateway: str = ""
    ip_range: str = ""
    internal: bool = False
    chosen: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def built_in(self) -> bool:
        return self.name in BUILT_IN

    @property
    def interface(self) -> str:
        """The bridge on the machine; interface names have 15 characters at most."""
        return f"{PREFIX}{self.id[:10]}"

    @property
    def has_names(self) -> bool:
        """Whether containers find each other by name: on networks that users make, as with docker."""
        return not self.built_in

    @property
    def prefix(self) -> int:
        """How many bits of an address name the network."""
        return int(self.subnet.partition("/")[2])

    def hosts(self) -> ipaddress.IPv4Network:
        """Every address of it."""
        import ipaddress  # a container that starts does not wait for it

        return ipaddress.IPv4Network(self.subnet)

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self), indent=1).encode()

    @classmethod
    def from_bytes(cls, raw: bytes) -> Network:
        """Raises ``ValueError`` or ``TypeError`` for what another version wrote."""
        return cls(**{k: v for k, v in json.loads(raw).items() if k in cls.__dataclass_fields__})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """``endpoints/<container id>.json``: a container's place on a network, while it runs.

    ``address`` has no prefix length. The claim is good as long as its owner lives: the process ``owner`` that
    started at ``owner_start`` (first who starts the container, then the container's monitor).
    """

    container: str
    network: str
    address: str
    mac: str
    names: tuple[str, ...] = ()
    owner: int = 0
    owner_start: int = 0

    @property
    def interface(self) -> str:
        """The machine's end of the pair of interfaces."""
        return f"mrt{self.container[:6]}{self.mac[-5:].replace(':', '')}"

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self), indent=1).encode()

    @classmethod
    def from_bytes(cls, raw: bytes) -> Endpoint:
        """Raises ``ValueError`` or ``TypeError`` for what is not one."""
        data: dict[str, Any] = json.loads(raw)
        return cls(**{**data, "names": tuple(data["names"])})


@dataclass(frozen=True, slots=True)
class Wish:
    """A network that a container shall be on whenever it runs; ``ip`` empty: any free address."""

    network: str
    aliases: tuple[str, ...] = ()
    ip: str = ""
