"""Shared by the tests of pictures: recorded builds, and a reader for SVG."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from minirt.model.events import Event
from minirt.views import BuildView

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def replay() -> Callable[..., BuildView]:
    """A view that has taken in a whole log."""

    def run(log: list[Event], *, stable: bool = False) -> BuildView:
        view = BuildView(stable=stable)
        for event in log:
            view.add(event, 0.0)
        return view

    return run


@pytest.fixture
def read_svg() -> Callable[[str], ElementTree.Element]:
    """Parse a picture; the namespace is taken off the names."""

    def run(text: str) -> ElementTree.Element:
        root = ElementTree.fromstring(text)
        for element in root.iter():
            element.tag = element.tag.removeprefix("{http://www.w3.org/2000/svg}")
        return root

    return run
