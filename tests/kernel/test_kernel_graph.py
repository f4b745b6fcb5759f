"""``%graph``: layers, files, the last build."""

from __future__ import annotations

from typing import Any

import pytest

GRAPH = "application/vnd.minirt.graph+json"


@pytest.fixture(scope="module", autouse=True)
def two_images(kernel: Any) -> None:
    """The second is built on the first, and removes a file of it."""
    assert (
        kernel.run("%%dockerfile -t graph-one:1\nFROM minirt/base\nRUN echo kept > /kept; echo gone > /gone").status
        == "ok"
    )
    assert kernel.run("%%dockerfile -t graph-two:1\nFROM graph-one:1\nRUN rm /gone").status == "ok"


def shown(reply: Any) -> dict[str, Any]:
    (content,) = reply.of("display_data")
    data: dict[str, Any] = content["data"]
    return data


def test_layers_draws_shared_layers_once(kernel: Any) -> None:
    """Two images, three layers: the base and the first image's are shared."""
    data = shown(kernel.run("%graph layers graph-one:1 graph-two:1"))
    kinds = [node["kind"] for node in data[GRAPH]["nodes"].values()]
    assert kinds.count("layer") == 3
    assert "image/svg+xml" in data
    assert "graph-two:1" in data["text/plain"]


def test_layers_without_a_name_draws_all_images(kernel: Any) -> None:
    """As docker images lists all."""
    text = shown(kernel.run("%graph layers"))["text/plain"]
    assert "graph-one:1" in text
    assert "minirt/base" in text


def test_files_tells_what_whiteouts_hide(kernel: Any) -> None:
    """The removed file is still in the image, hidden."""
    lines = shown(kernel.run("%graph files graph-two:1"))["text/plain"].splitlines()
    (gone,) = [line for line in lines if line.strip().startswith("gone")]
    assert "hidden" in gone
    assert "whiteout" in gone
    (kept,) = [line for line in lines if line.strip().startswith("kept")]
    assert " yes " in kept


@pytest.mark.parametrize(
    ("cell", "name", "words"),
    [
        ("%graph", "UsageError", "%graph layers"),
        ("%graph layrs", "UsageError", "Did you mean %graph layers?"),
        ("%graph layers nowhere:1", "ImageNotFound", "nowhere:1"),
        ("%graph files", "UsageError", "one image"),
        ("%graph files nowhere:1", "ImageNotFound", "nowhere:1"),
    ],
)
def test_bad_input_is_told_plainly(kernel: Any, cell: str, name: str, words: str) -> None:
    """What there is to draw, and the nearest name."""
    reply = kernel.run(cell)
    assert reply.content["ename"] == name
    assert words in reply.error
    assert "Traceback" not in reply.error


def test_graphs_can_be_drawn_from_python(kernel: Any) -> None:
    """In the middle of a cell, with a Python variable."""
    reply = kernel.run("for name in ['graph-one:1', 'graph-two:1']:\n    %graph layers $name")
    assert reply.status == "ok", reply.error
    assert len(reply.of("display_data")) == 2
