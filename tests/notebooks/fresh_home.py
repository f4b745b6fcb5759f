"""A pytest plugin: each notebook starts in an empty home, as a learner's first chapter does, whichever ran before."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator

import pytest

_homes: dict[str, tempfile.TemporaryDirectory[str]] = {}


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before nbval starts the notebook's kernel, which takes the environment as it is then."""
    notebook = str(item.path)
    if notebook not in _homes:
        _homes[notebook] = tempfile.TemporaryDirectory(prefix="minirt-notebook-", ignore_cleanup_errors=True)
    os.environ["MINIRT_HOME"] = os.path.join(_homes[notebook].name, "home")


@pytest.fixture(scope="session", autouse=True)
def _clear() -> Iterator[None]:
    yield
    for home in _homes.values():
        home.cleanup()
