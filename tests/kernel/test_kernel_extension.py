"""``%load_ext minirt_kernel`` in kernels and shells that are not ours."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

GRAPH = "application/vnd.minirt.graph+json"


@pytest.fixture(scope="module")
def plain(start_kernel: Callable[..., Any], kernel_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """IPython's own kernel with the extension loaded."""
    kernel = start_kernel(tmp_path_factory.mktemp("plain"), kernel_home, "ipykernel_launcher")
    assert kernel.run("%load_ext minirt_kernel").status == "ok"
    return kernel


def test_all_cells_work_in_ipythons_own_kernel(plain: Any) -> None:
    """A Dockerfile with its picture, a script, docker lines, Python."""
    built = plain.run("%%dockerfile -t extension:1\nFROM minirt/base\nRUN echo hi > /hi")
    assert built.status == "ok", built.error
    assert GRAPH in [*built.of("display_data"), *built.of("update_display_data")][-1]["data"]
    assert plain.run("%%run --rm extension:1\ncat /hi").text() == "hi\n"
    assert "extension" in plain.run("docker images").text()
    assert (
        plain.run("docker = 3; _two = docker - 1; del docker\n_two + 1").of("execute_result")[0]["data"]["text/plain"]
        == "3"
    )


def test_errors_and_interrupts_are_shown_the_same_way(plain: Any) -> None:
    """Short, and as an error."""
    reply = plain.run("FROM minirt/base\nONBULID x")
    assert reply.content["ename"] == "DockerfileError"
    assert "Traceback" not in reply.error
    request = plain.send("%%run --rm minirt/base\necho started; sleep 60")
    while plain.client.get_iopub_msg(timeout=20)["msg_type"] != "stream":
        pass
    plain.manager.interrupt_kernel()
    assert plain.collect(request, timeout=20).content["ename"] == "Cancelled"


def test_loading_twice_changes_nothing_and_unloading_undoes_it(plain: Any) -> None:
    """After unloading, a docker line is Python again."""
    assert plain.run("%reload_ext minirt_kernel\n%load_ext minirt_kernel").status == "ok"
    assert plain.run("docker --version").status == "ok"
    assert plain.run("%unload_ext minirt_kernel").status == "ok"
    assert plain.run("docker --version").content["ename"] in ("NameError", "TypeError", "SyntaxError")
    assert plain.run("engine").content["ename"] == "NameError"
    assert plain.run("%load_ext minirt_kernel").status == "ok"


def test_a_terminal_gets_the_text_twin(kernel_home: Path, tmp_path: Path) -> None:
    """In plain IPython a picture is its table, printed once."""
    cell = "%load_ext minirt_kernel\n"
    script = tmp_path / "cells.ipy"
    script.write_text(
        cell + "get_ipython().run_cell('FROM minirt/base\\nRUN echo in a terminal')\n"
        "get_ipython().run_cell('docker run --rm minirt/base echo from a container')\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "IPython", "--no-banner", "--colors=nocolor", str(script)],
        env={**os.environ, "MINIRT_HOME": str(kernel_home), "IPYTHONDIR": str(tmp_path / "ipython")},
        capture_output=True, text=True, timeout=60, cwd=tmp_path,
    )  # fmt: skip
    assert done.stdout.count("Step  Instruction") == 1, done.stderr
    assert "in a terminal" in done.stdout
    assert "from a container" in done.stdout
