"""minirt in Jupyter: a kernel whose cells build images and run containers, and the same magics for any other kernel.

``%load_ext minirt_kernel`` in a notebook of another Python kernel adds ``%%dockerfile``, ``%%run``, ``docker …`` lines
and ``%graph`` to it.
"""

from typing import Any

__all__ = ["load_ipython_extension", "unload_ipython_extension"]


def load_ipython_extension(shell: Any) -> None:
    """IPython calls this for ``%load_ext minirt_kernel``."""
    from minirt_kernel.extension import load

    load(shell).warm()


def unload_ipython_extension(shell: Any) -> None:
    """IPython calls this for ``%unload_ext minirt_kernel``."""
    from minirt_kernel.extension import unload

    unload(shell)
