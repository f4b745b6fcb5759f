"""Data that outlives containers: named and anonymous volumes, bound directories, memory."""

from minirt.volumes.store import Volume, Volumes

__all__ = ["Volume", "Volumes"]
