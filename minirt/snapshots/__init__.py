"""Root filesystems made of layers, and the layers that come out of them.

A driver knows how one kind of root filesystem lies on disk: ``overlay`` leaves the work to the kernel, ``copy`` needs
nothing but files. Both stand under the same :class:`Snapshots` protocol, and tell a change in the same bytes.
"""

from minirt.snapshots.contract import Layer, LayerSource, Snapshots, WhiteoutMark, Worker
from minirt.snapshots.copy import CopySnapshots
from minirt.snapshots.overlay import OverlaySnapshots
from minirt.snapshots.union import Union

__all__ = ["CopySnapshots", "Layer", "LayerSource", "OverlaySnapshots", "Snapshots", "Union", "WhiteoutMark", "Worker"]
