"""Runs a :class:`~minirt.model.spec.SandboxSpec` as an isolated process.

``Sandbox`` (this side) talks to the ``spawner``, which forks a ``monitor`` for each container, which clones the
container's ``init``; a ``worker`` does work on files as a container would see them.
"""

from minirt.sandbox.attach import attach
from minirt.sandbox.client import Sandbox
from minirt.sandbox.running import Exit, Running
from minirt.sandbox.state import read_state

__all__ = ["Exit", "Running", "Sandbox", "attach", "read_state"]
