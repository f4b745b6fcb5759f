"""Tellers: with an engine, and without."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from minirt.testing.commands import Teller

if TYPE_CHECKING:
    from minirt.engine import Engine


def _no_engine() -> Any:
    raise AssertionError("this command line should not need an engine")


@pytest.fixture
def words(tmp_path: Path) -> Teller:
    """For what is decided before any engine is asked."""
    return Teller(_no_engine, tmp_path)


@pytest.fixture
def cli(engine: Engine, tmp_path: Path) -> Teller:
    """Over the shared engine; ``tmp_path`` is the working directory."""
    return Teller(lambda: engine, tmp_path)
