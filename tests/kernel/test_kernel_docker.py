"""``docker …`` lines: the command line's own grammar, in a cell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


def test_tables_are_dockers(kernel: Any) -> None:
    """Columns as the terminal shows them."""
    kernel.run("docker create --name kernel-listed minirt/base")
    assert kernel.run("docker images").text().split("\n")[0].split() == [
        "REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE",
    ]  # fmt: skip
    assert "kernel-listed" in kernel.run("docker ps -a --filter name=kernel-listed --format '{{.Names}}'").text()
    assert kernel.run("docker rm kernel-listed").status == "ok"


@pytest.mark.parametrize("cell", ["docker info", "docker version", "docker --help", "docker run --help", "docker"])
def test_commands_that_tell_about_themselves(kernel: Any, cell: str) -> None:
    """They print and end well."""
    reply = kernel.run(cell)
    assert reply.status == "ok", reply.error
    assert len(reply.text()) > 50


@pytest.mark.parametrize(
    ("cell", "name", "words"),
    [
        ("%%dockerfil -t x:1\nFROM minirt/base", "UsageError", "Did you mean %%dockerfile?"),
        ("%%Run minirt/base\nls", "UsageError", "Did you mean %%run?"),
        ("Docker ps -a", "UsageError", "Did you mean docker ps?"),
        ("dokcer images", "UsageError", "Did you mean docker images?"),
        ("docker imags", "UsageError", "images"),
        ("docker run --nme x minirt/base", "UsageError", "--name"),
        ("docker-compose up", "UsageError", "minirt does not"),
        ("docker run", "UsageError", "requires at least 1 argument"),
        ("docker inspect nothing-of-that-name", None, "nothing-of-that-name"),
        ("docker rmi nothing-of-that-name", "ImageNotFound", "nothing-of-that-name"),
        ("docker run Upper:1", "InvalidReference", "lowercase"),
        ("docker run -v :/x minirt/base", None, ":/x"),
        ("docker logs nobody", "ContainerNotFound", "nobody"),
        ("docker images | wc -l", "UsageError", "pipe"),
        ("docker save minirt/base", "UsageError", "-o"),
        ("docker ps\nls", "UsageError", "exclamation mark"),
        ("docker rm $(ls)", "UsageError", "pwd"),
        ("docker build no/such/folder", "PathNotFound", "no/such/folder"),
        ("docker run minirt/base no-such-program", "CommandNotFound", "no-such-program"),
    ],
)
def test_bad_input_is_told_plainly(kernel: Any, cell: str, name: str | None, words: str) -> None:
    """The word in question and what to do; never a traceback."""
    reply = kernel.run(cell)
    assert reply.status == "error"
    assert name is None or reply.content["ename"] == name
    assert words in reply.error
    assert "Traceback" not in reply.error
    assert "internal error" not in reply.error


def test_an_error_in_a_later_line_is_found_before_anything_runs(kernel: Any) -> None:
    """A quote that is never closed stops the cell at its start."""
    reply = kernel.run("docker run --rm minirt/base echo ran\ndocker run 'x")
    assert reply.status == "error"
    assert reply.text() == ""


def test_images_travel_through_files(kernel: Any, notebook_folder: Path) -> None:
    """Save -o, rmi, load -i: what everyone types, in one cell."""
    cell = (
        "docker tag minirt/base kernel-travel:1 && docker save -o travel.tar kernel-travel:1\n"
        "docker rmi kernel-travel:1; docker load -i travel.tar"
    )
    reply = kernel.run(cell)
    assert reply.status == "ok", reply.error
    assert (notebook_folder / "travel.tar").stat().st_size > 10_000
    assert "kernel-travel" in kernel.run("docker images").text()


def test_the_shells_docker_stays_the_shells(kernel: Any) -> None:
    """`!docker` is not ours; `!minirt` is the same grammar in the shell, in the same home."""
    reply = kernel.run("!minirt images --format '{{.Repository}}' | sort | head -n 3")
    assert reply.status == "ok", reply.error
    assert reply.text().strip()
    assert "not found" not in reply.text()


def test_internal_errors_are_short_and_name_the_place(kernel: Any) -> None:
    """A mistake of ours is admitted, with file and line; the server's log has the rest."""
    code = (
        "from minirt_kernel.work import perform\n"
        "def job(feed, cancel):\n    raise RuntimeError('oops')\n"
        "await perform(job, get_ipython().minirt.presenter)"
    )
    reply = kernel.run(code)
    assert "internal error: RuntimeError: oops" in reply.error
    assert "line 3" in reply.error
    assert reply.text("stderr") == ""
