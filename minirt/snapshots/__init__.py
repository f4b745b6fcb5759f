"""Root filesystems made of layers, and the layers that come out of them.

A driver knows how one kind of root filesystem lies on disk. ``overlay`` is the first; a driver that materialises
trees can stand beside it under the same :class:`Snapshots` protocol.
"""

from minirt.snapshots.contract import Layer, LayerSource, Snapshots, WhiteoutMark, Worker
from minirt.snapshots.overlay import OverlaySnapshots
from minirt.snapshots.union import Union

__all__ = ["Layer", "LayerSource", "OverlaySnapshots", "Snapshots", "Union", "WhiteoutMark", "Worker"]
