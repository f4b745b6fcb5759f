"""Errors on the page."""

from __future__ import annotations

import re

import pytest
from minirt_kernel import faults

from minirt.errors import Cancelled, ContainerFailed, DockerfileError, Location, MinirtError


def plain(error: MinirtError) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(faults.render(error)))


def test_an_error_says_what_where_why_and_what_to_do() -> None:
    """In that order, with the caret under the place."""
    error = DockerfileError(
        "unknown instruction: ONBULID",
        where=Location("cell", 3, 1, 7, "ONBULID RUN x"),
        cause="a typing mistake",
        hint="Did you mean ONBUILD?",
    )
    assert plain(error) == (
        "Dockerfile error: unknown instruction: ONBULID\n"
        "  cell, line 3\n"
        "  3 | ONBULID RUN x\n"
        "    | ^^^^^^^\n"
        "Likely cause: a typing mistake\n"
        "What to do: Did you mean ONBUILD?"
    )


def test_an_interrupt_is_told_kindly() -> None:
    """Not as a failure."""
    assert plain(Cancelled()) == "Interrupted. Nothing half made was kept."


def test_places_are_counted_in_the_cells_lines() -> None:
    """Only places in the cell's own Dockerfile move; those in other files stay."""
    error = MinirtError("x", where=Location("Dockerfile", 2, 1, 1, "RUN"))
    faults.shift(error, "Dockerfile", 1)
    assert error.where == Location("cell", 3, 1, 1, "RUN")
    other = MinirtError("x", where=Location("other.dockerfile", 2))
    faults.shift(other, "Dockerfile", 1)
    assert other.where == Location("other.dockerfile", 2)


@pytest.mark.parametrize(
    ("code", "cause"),
    [(3, ""), (126, "no program"), (127, "no such program"), (137, "SIGKILL"), (139, "SIGSEGV"), (255, "")],
)
def test_an_exit_code_is_told_without_a_random_name(code: int, cause: str) -> None:
    """Codes above 128 name the signal, 126 and 127 are what a shell means by them."""
    error = faults.without_name(ContainerFailed("the command in container x", exit_code=code))
    assert error.what == f"the container ended with exit code {code}"
    assert cause in error.cause
    assert bool(error.cause) == bool(cause)


def test_every_error_knows_how_to_show_itself() -> None:
    """IPython asks for `_render_traceback_`; any kind of ours has it."""
    faults.install()
    assert ContainerFailed("x", exit_code=1)._render_traceback_()  # type: ignore[attr-defined]
