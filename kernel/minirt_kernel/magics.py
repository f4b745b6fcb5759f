"""The magics by name. Cells that hold nothing else never come here: the transformer makes them coroutines.

These serve the rest: ``%docker ps`` in the middle of Python, ``get_ipython().run_cell_magic(…)``, ``%lsmagic``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from IPython.core.magic import Magics, cell_magic, line_cell_magic, line_magic, magics_class

if TYPE_CHECKING:
    from minirt_kernel.runtime import Runtime

__all__ = ["MinirtMagics"]


@magics_class
class MinirtMagics(Magics):
    """Each waits for its command to end; an interrupt ends it early."""

    def __init__(self, shell: Any, runtime: Runtime) -> None:
        super().__init__(shell)
        self._runtime = runtime

    @line_cell_magic
    def dockerfile(self, line: str, cell: str | None = None) -> None:
        """Build an image: ``%%dockerfile [--continue] -t NAME[:TAG] [docker build's flags] [CONTEXT]``.

        The cell is the Dockerfile; the context is the notebook's folder if none is given. With ``--continue`` the
        cell goes on from the last one. ``%dockerfile --export FILE`` writes the Dockerfile that the cells amount to,
        ``%dockerfile --import FILE`` turns a Dockerfile into cells.
        """
        self._runtime.cell_now(f"%dockerfile {line}" if cell is None else f"%%dockerfile {line}\n{cell}")

    @cell_magic("run")  # type: ignore[arg-type]
    def run_in_container(self, line: str, cell: str) -> None:
        """Run a script in a new container: ``%%run [docker run's flags] IMAGE [COMMAND]``.

        The image's shell runs the cell, up to the first command that fails; with a COMMAND, or a ``#!`` line, the
        cell is that program's standard input.
        """
        self._runtime.cell_now(f"%%run {line}\n{cell}")

    @line_magic
    def docker(self, line: str) -> None:
        """Run a docker command: ``%docker images``. A whole cell of such lines needs no ``%``."""
        # IPython reads the old program's name, docker-compose, as this magic's with an option.
        self._runtime.cell_now(f"%docker {line.removeprefix('-') if line.startswith('-compose') else line}")

    @line_magic
    def graph(self, line: str) -> None:
        """Draw images or the last build: ``%graph layers [IMAGE…]``, ``%graph files IMAGE [PATH]``, ``%graph last``."""
        self._runtime.cell_now(f"%graph {line}")
