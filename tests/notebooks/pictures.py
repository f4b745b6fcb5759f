"""A pytest plugin: pictures that show what the machine gives are compared by their text twins.

``%graph namespaces`` draws what a container has for itself as two cards and what it shares as one, so its very shape
depends on who runs it: as root, as an ordinary user, in a pod. Its text twin has the same rows on each of them; what
may differ there stands last in a line, and ``sanitize.cfg`` makes that the same.
"""

from __future__ import annotations

from typing import Any

import nbformat
import nbval.plugin
import pytest

_GRAPH = "application/vnd.minirt.graph+json"
_BY_MACHINE = ("namespaces",)


@pytest.hookimpl
def pytest_configure() -> None:
    """Put the twin in the place of the drawing, in what is saved and in what came out, before nbval compares."""
    compare = nbval.plugin.IPyNbCell.compare_outputs

    def compared(cell: Any, test: Any, reference: Any, skip_compare: Any = None) -> Any:
        return compare(cell, [_told(one) for one in test], [_told(one) for one in reference], skip_compare)

    nbval.plugin.IPyNbCell.compare_outputs = compared


def _told(output: Any) -> Any:
    graph = output.get("data", {}).get(_GRAPH)
    if graph is None or graph["id"] not in _BY_MACHINE:
        return output
    return nbformat.from_dict({**output, "data": {"title": graph["title"], "text/plain": graph["text"]}})
