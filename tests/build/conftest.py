"""A builder over the shared engine, and small helpers to build from texts."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

if TYPE_CHECKING:
    from minirt.build.builder import BuildResult
    from minirt.engine import Engine
    from minirt.model.events import Event

Build = Callable[..., "BuildResult"]


@pytest.fixture
def nothing_left(engine: Engine) -> Iterator[None]:
    """After the test, nothing of the home is mounted, no step is half made and no process of a build lives."""
    yield
    home = str(engine.home)
    assert home not in Path("/proc/self/mountinfo").read_text()
    assert not list((engine.home / "tmp").glob("*build-*"))
    assert not list((engine.home / "tmp").glob("packed-*"))


@pytest.fixture
def events() -> list[Event]:
    """What the builds of this test reported."""
    return []


@pytest.fixture
def build(engine: Engine, events: list[Event]) -> Build:
    """``build(text, context=None, **request fields)`` -> BuildResult."""
    from minirt.build.request import BuildRequest

    def run(text: str, context: Path | None = None, **fields: Any) -> BuildResult:
        cancel = fields.pop("cancel", None)
        return engine.builder.build(BuildRequest(text, context=context, **fields), events.append, cancel)

    return run
