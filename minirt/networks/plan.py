"""What a container's network shall be, as it travels to the monitor that makes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from minirt.networks.ports import Publish
from minirt.networks.records import Endpoint, Network

__all__ = ["Wiring"]


@dataclass(frozen=True, slots=True)
class Wiring:
    """``places`` are the networks with the container's address on each, the one with the default route first.

    ``resolver``: a name server at 127.0.0.11, that asks ``servers`` what it does not know; ``links`` are names for
    this container alone, texts ``container id:name``. ``user``: the bridges are in the home's own network (an
    ordinary user's), and ``program`` is the path of what leads out of that, if anything. Not ``own``: the container
    shares the machine's network.
    """

    container: str
    home: str
    places: tuple[tuple[Network, Endpoint], ...] = ()
    publish: tuple[Publish, ...] = ()
    resolver: bool = False
    servers: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    user: bool = False
    program: str = ""
    own: bool = True

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Wiring:
        places = tuple(
            (Network(**network), Endpoint(**{**place, "names": tuple(place["names"])}))
            for network, place in data["places"]
        )
        return cls(
            container=data["container"],
            home=data["home"],
            places=places,
            publish=tuple(Publish(**entry) for entry in data["publish"]),
            resolver=data["resolver"],
            servers=tuple(data["servers"]),
            links=tuple(data["links"]),
            user=data["user"],
            program=data["program"],
            own=data["own"],
        )
