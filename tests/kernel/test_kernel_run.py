"""``%%run`` and ``docker run`` against real containers."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def test_a_script_runs_in_the_images_shell(kernel: Any) -> None:
    """Lines, quotes and variables are the shell's, and nothing is expanded on the way."""
    reply = kernel.run("%%run --rm minirt/base\nname=world\nfor n in 1 2; do\n  echo \"$name $n\"\ndone\necho '$name'")
    assert reply.status == "ok", reply.error
    assert reply.text() == "world 1\nworld 2\n$name\n"


def test_a_script_stops_at_its_first_failing_command(kernel: Any) -> None:
    """As a cell does; the exit code is told, and the cell is an error."""
    reply = kernel.run("%%run --rm minirt/base\necho before\nsh -c 'exit 7'\necho after")
    assert reply.text() == "before\n"
    assert reply.content["ename"] == "ContainerFailed"
    assert "7" in reply.error
    assert "Traceback" not in reply.error


def test_commands_in_a_script_may_read_their_own_input(kernel: Any) -> None:
    """The script is not on standard input, so nothing in it can swallow the rest."""
    reply = kernel.run("%%run --rm minirt/base\ncat\necho still here")
    assert reply.text() == "still here\n"


def test_with_a_command_the_cell_is_its_input(kernel: Any) -> None:
    """`%%run IMAGE COMMAND`: the cell goes to the command's standard input."""
    reply = kernel.run("%%run --rm minirt/base cat\none $HOME\ntwo\n")
    assert reply.text() == "one $HOME\ntwo\n"


def test_a_shebang_chooses_the_interpreter(kernel: Any) -> None:
    """The first line names the program that the cell is given to."""
    reply = kernel.run("%%run --rm minirt/base\n#!/bin/cat\nany language\n")
    assert reply.text() == "#!/bin/cat\nany language\n"


def test_output_comes_line_by_line_while_the_command_runs(kernel: Any) -> None:
    """Each line is on the page long before the command ends."""
    reply = kernel.run("%%run --rm minirt/base\nfor n in 1 2 3; do echo $n; sleep 0.4; done")
    times = [at for at, kind, _ in reply.messages if kind == "stream"]
    assert reply.text() == "1\n2\n3\n"
    assert len(times) == 3
    assert times[2] - times[0] > 0.6


def test_stdout_and_stderr_stay_apart(kernel: Any) -> None:
    """What a container writes to stderr is stderr on the page."""
    reply = kernel.run("%%run --rm minirt/base\necho out\necho err >&2")
    assert (reply.text("stdout"), reply.text("stderr")) == ("out\n", "err\n")


def test_the_options_are_docker_runs(kernel: Any) -> None:
    """-v, -e and the others stand before the image; a volume outlives the container."""
    kernel.run("%%run --rm -v kernel-test:/data -e WHO=me minirt/base\necho $WHO > /data/file")
    reply = kernel.run("docker run --rm -v kernel-test:/data minirt/base cat /data/file")
    assert reply.text() == "me\n", reply.error
    assert kernel.run("docker volume rm kernel-test").status == "ok"


def test_python_variables_and_pwd_are_filled_in(kernel: Any, notebook_folder: Path) -> None:
    """`$name` is a Python variable, `$PWD` the notebook's folder; in single quotes both are the container's."""
    (notebook_folder / "note.txt").write_text("from the notebook's folder\n")
    kernel.run("what = 'note'")
    reply = kernel.run("docker run --rm -v $PWD:/here minirt/base cat /here/$what.txt")
    assert reply.text() == "from the notebook's folder\n", reply.error
    reply = kernel.run("docker run --rm minirt/base sh -c 'what=inside; echo $what'")
    assert reply.text() == "inside\n"


def test_an_unknown_variable_is_pointed_at(kernel: Any) -> None:
    """Where a shell would silently put nothing, the place is shown."""
    reply = kernel.run('docker run --rm minirt/base echo "$nobody"')
    assert reply.content["ename"] == "UsageError"
    assert "^^^^^^^" in reply.error
    assert "single quotes" in reply.error


def test_several_commands_end_at_the_first_that_fails(kernel: Any) -> None:
    """One after the other; what follows a failure is not run."""
    reply = kernel.run("docker run --rm minirt/base echo one\ndocker run --rm minirt/base false\ndocker images")
    assert reply.text() == "one\n"
    assert reply.content["ename"] == "ContainerFailed"


def test_the_output_of_a_docker_command_can_be_an_argument(kernel: Any) -> None:
    """`docker rm $(docker ps -aq)`, as everyone types it."""
    kernel.run("docker create --name kernel-a minirt/base\ndocker create --name kernel-b minirt/base")
    reply = kernel.run("docker rm $(docker ps -aq --filter name=kernel-)")
    assert reply.status == "ok", reply.error
    assert len(reply.text().split()) == 2
    assert "kernel-" not in kernel.run("docker ps -a").text()


def test_a_missing_image_says_what_to_do(kernel: Any) -> None:
    """No traceback; the name is in it."""
    reply = kernel.run("docker run --pull never nowhere:1")
    assert reply.content["ename"] == "ImageNotFound"
    assert "nowhere:1" in reply.error
    assert "What to do" in reply.error


@pytest.mark.parametrize(
    "cell",
    [
        "%%run --name kernel-sleeper minirt/base\necho started\nsleep 60",
        "docker run --rm --name kernel-sleeper minirt/base sh -c 'echo started; sleep 60'",
    ],
)
def test_an_interrupt_stops_the_container(kernel: Any, cell: str) -> None:
    """The program is gone, the cell says Interrupted, and the next one works at once."""
    request = kernel.send(cell)
    while kernel.client.get_iopub_msg(timeout=20)["msg_type"] != "stream":
        pass
    start = time.monotonic()
    kernel.manager.interrupt_kernel()
    reply = kernel.collect(request, timeout=20)
    assert time.monotonic() - start < 12
    assert reply.content["ename"] == "Cancelled"
    assert "Interrupted" in reply.error
    assert "kernel-sleeper" not in kernel.run("docker ps").text()
    kernel.run("docker rm -f kernel-sleeper")


def test_magics_work_in_the_middle_of_python(kernel: Any) -> None:
    """A loop over containers, each waited for; output in order with Python's."""
    code = "for n in range(2):\n    print('python', n)\n    %docker run --rm minirt/base echo container $n"
    reply = kernel.run(code)
    assert reply.text() == "python 0\ncontainer 0\npython 1\ncontainer 1\n", reply.error


def test_a_magic_in_the_middle_of_python_can_be_interrupted(kernel: Any) -> None:
    """Also where the cell is plain Python that waits."""
    request = kernel.send("if True:\n    %docker run --rm minirt/base sh -c 'echo started; sleep 60'")
    while kernel.client.get_iopub_msg(timeout=20)["msg_type"] != "stream":
        pass
    kernel.manager.interrupt_kernel()
    reply = kernel.collect(request, timeout=20)
    assert reply.content["ename"] == "Cancelled"


def test_a_restart_ends_what_the_cell_ran_and_keeps_what_was_detached(
    start_kernel: Callable[..., Any], tmp_path: Path, kernel_home: Path
) -> None:
    """Stopping the kernel is an interrupt for its running cell; `docker run -d` was meant to stay."""
    first = start_kernel(tmp_path, kernel_home)
    assert first.run("docker run -d --name kernel-long minirt/base sleep 50").status == "ok"
    first.send("%%run --rm --name kernel-short minirt/base\necho started; sleep 50")
    while first.client.get_iopub_msg(timeout=20)["msg_type"] != "stream":
        pass
    first.close()
    second = start_kernel(tmp_path, kernel_home)
    listing = second.run("docker ps -a").text()
    assert "kernel-long" in listing
    assert "kernel-short" not in listing
    assert second.run("docker rm -f kernel-long").status == "ok"
    second.close()


def test_a_killed_kernel_leaves_containers_that_the_next_one_controls(
    start_kernel: Callable[..., Any], tmp_path: Path, kernel_home: Path
) -> None:
    """As with docker, whose container runs on when its client is killed: it is listed and can be removed."""
    first = start_kernel(tmp_path, kernel_home)
    first.send("%%run --name kernel-orphan minirt/base\necho started; sleep 50")
    while first.client.get_iopub_msg(timeout=20)["msg_type"] != "stream":
        pass
    first.manager.shutdown_kernel(now=True)
    second = start_kernel(tmp_path, kernel_home)
    assert "kernel-orphan" in second.run("docker ps -a").text()
    assert second.run("docker rm -f kernel-orphan").status == "ok"
    assert "kernel-orphan" not in second.run("docker ps -a").text()
    second.close()
