"""A container's network before there is a container: found by name, because the room that makes it is a neighbour."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from minirt.model.spec import MadeNetwork, Network

__all__ = ["enter_network"]


def enter_network(network: Network, state_dir: str | None) -> Callable[[], None]:
    """Bring this process into the network that its container will be born in, and return what to do at the end.

    Nothing happens for the networks that need no preparation. Raises what the maker raises.
    """
    if not isinstance(network, MadeNetwork):
        return _nothing
    module, _, name = network.maker.partition(":")
    leave: Callable[[], None] = getattr(importlib.import_module(module), name)(network.arguments, state_dir)
    return leave


def _nothing() -> None:
    """The kernel takes down what is left."""
