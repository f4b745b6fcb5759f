"""The facade over all rooms, in docker-py's shape, and the only place where they are put together."""

from minirt.engine.facade import Engine

__all__ = ["Engine"]
