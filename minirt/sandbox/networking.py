"""A container's network before there is a container: found by name, because the room that makes it is a neighbour."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

from minirt.model.spec import LoopbackNetwork, Network

__all__ = ["Membership", "enter_network"]


def _nothing() -> None:
    """The kernel takes down what is left."""


@dataclass(frozen=True, slots=True)
class Membership:
    """What to do when the container has ended: ``ended`` before anybody is told, ``afterwards`` when all are."""

    ended: Callable[[], None] = _nothing
    afterwards: Callable[[], None] = _nothing


def enter_network(network: Network, state_dir: str | None) -> Membership:
    """Bring this process into the network that its container will be born in.

    Nothing happens for the networks that need no preparation. Raises what the maker raises.
    """
    if isinstance(network, LoopbackNetwork) or not network.maker:
        return Membership()
    module, _, name = network.maker.partition(":")
    ended, afterwards = getattr(importlib.import_module(module), name)(network.arguments, state_dir)
    return Membership(ended, afterwards)
