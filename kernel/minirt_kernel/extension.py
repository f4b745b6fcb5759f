"""Puts minirt into an IPython shell: our own kernel does it at its start, others with ``%load_ext minirt_kernel``."""

from __future__ import annotations

import atexit
from collections.abc import Callable
from typing import Any

from minirt_kernel import faults
from minirt_kernel.cells import PythonCell, classify
from minirt_kernel.runtime import LazyEngine, Runtime

__all__ = ["MAGICS", "load", "unload"]

MAGICS = {"cell": ("dockerfile", "run"), "line": ("docker", "dockerfile", "graph")}


def load(shell: Any) -> Runtime:
    """Install transformer, magics, completion, errors and the name ``engine``; a second call changes nothing."""
    existing = getattr(shell, "minirt", None)
    if isinstance(existing, Runtime):
        return existing
    from minirt_kernel.completion import matcher_for
    from minirt_kernel.magics import MinirtMagics

    runtime = shell.minirt = Runtime(shell)
    faults.install()
    # First of all transformers: those of IPython would take indentation and blank lines off a Dockerfile.
    shell.input_transformers_cleanup.insert(0, _Transformer(shell))
    shell.register_magics(MinirtMagics(shell, runtime))
    shell.Completer.custom_matchers.append(matcher_for(runtime))
    shell.push({"engine": LazyEngine(runtime)}, interactive=False)
    atexit.register(runtime.close)
    return runtime


def unload(shell: Any) -> None:
    """Take it all back out."""
    runtime = getattr(shell, "minirt", None)
    if not isinstance(runtime, Runtime):
        return
    _drop(shell.input_transformers_cleanup, lambda item: isinstance(item, _Transformer))
    _drop(shell.Completer.custom_matchers, lambda item: getattr(item, "matcher_identifier", "") == "minirt")
    for kind, names in MAGICS.items():
        for name in names:
            shell.magics_manager.magics[kind].pop(name, None)
    if isinstance(shell.user_ns.get("engine"), LazyEngine):
        shell.drop_by_id({"engine": shell.user_ns["engine"]})
    del shell.minirt
    atexit.unregister(runtime.close)
    runtime.close()


def _drop(items: list[Any], unwanted: Callable[[Any], bool]) -> None:
    items[:] = [item for item in items if not unwanted(item)]


class _Transformer:
    """Turns a cell of ours into one call, so that history and error messages keep the words of the user."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell

    def __call__(self, lines: list[str]) -> list[str]:
        text = "".join(lines)
        if isinstance(classify(text, self._shell.user_ns.__contains__), PythonCell):
            return lines
        # As a coroutine the kernel keeps answering; where no loop runs (a terminal), the plain call is as good.
        coroutine = self._shell.autoawait and getattr(self._shell, "kernel", None) is not None
        call = "await get_ipython().minirt.cell" if coroutine else "get_ipython().minirt.cell_now"
        return [f"{call}({text!r})\n"]
