"""Python cells stay Python, and the protocol is IPython's."""

from __future__ import annotations

from typing import Any

import pytest

TRICKY = [
    ("docker = 3\ndocker", "3"),
    ("docker - 1", "2"),
    ("docker -1", "2"),
    ("docker if True else 0", "3"),
    ("FROM = 'alpine'\nFROM", "'alpine'"),
    ("FROM in ['alpine']", "True"),
    ("ARG, RUN = 1, 2\nARG + RUN", "3"),
    ("from os import path\npath.basename('/a/b')", "'b'"),
    ("text = '''\nFROM scratch\ndocker ps\n'''\nlen(text.split())", "4"),
    ("class docker:\n    run = 1\ndocker.run", "1"),
    ("import asyncio\nawait asyncio.sleep(0, 'awaited')", "'awaited'"),
    ("%time 1 + 1", "2"),
    ("!echo from a shell", None),
    ("del docker, FROM", None),
]


@pytest.mark.parametrize(("code", "result"), TRICKY)
def test_python_cells_stay_python(kernel: Any, code: str, result: str | None) -> None:
    """Names, operators and strings that look like ours mean what they mean in Python."""
    reply = kernel.run(code)
    assert reply.status == "ok", reply.error
    results = [content["data"]["text/plain"] for content in reply.of("execute_result")]
    assert results == ([result] if result else [])


def test_python_errors_keep_their_traceback(kernel: Any) -> None:
    """Only our errors are shown short."""
    reply = kernel.run("def f():\n    return 1 / 0\nf()")
    assert reply.content["ename"] == "ZeroDivisionError"
    assert "Traceback" in reply.error
    assert "return 1 / 0" in reply.error


def test_kernel_info_names_the_kernel(kernel: Any) -> None:
    """Front ends learn the implementation, and that cells without a mark are Python."""
    info = kernel.ask("kernel_info")
    assert info["implementation"] == "minirt"
    assert info["language_info"]["name"] == "python"
    assert info["help_links"]


def test_history_keeps_the_words_of_the_user(kernel: Any) -> None:
    """The call that a cell is turned into is nobody's business."""
    kernel.run("docker --version", store_history=True)
    answer = kernel.ask("history", True, False, "tail")
    assert answer["history"][-1][2] == "docker --version"


def test_errors_of_the_runtime_are_short_in_python_cells_too(kernel: Any) -> None:
    """What, and what to do; no frames of the library."""
    reply = kernel.run("engine.images.get('not-here:1')")
    assert reply.status == "error"
    assert reply.content["ename"] == "ImageNotFound"
    assert "Traceback" not in reply.error
    assert "not-here:1" in reply.error


def test_the_engine_is_there_without_an_import(kernel: Any) -> None:
    """`engine` is preloaded, is not listed among the user's names, and is the one the cells use."""
    reply = kernel.run("%who")
    assert "engine" not in reply.text()
    reply = kernel.run("engine.home == get_ipython().minirt.engine.home")
    assert reply.of("execute_result")[0]["data"]["text/plain"] == "True"
