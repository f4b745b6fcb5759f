"""``%%dockerfile``, cells that start with FROM, and ``docker build``: real builds with their picture."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

GRAPH = "application/vnd.minirt.graph+json"


def pictures(reply: Any) -> list[dict[str, Any]]:
    return [content["data"] for _, kind, content in reply.messages if kind.endswith("display_data")]


def statuses(picture: dict[str, Any]) -> list[str]:
    """The statuses of the steps, in order."""
    return [node["status"] for name, node in picture[GRAPH]["nodes"].items() if name.startswith("step-")]


def test_a_dockerfile_cell_builds_an_image_and_draws_it(kernel: Any) -> None:
    """Graph, SVG and text twin in one bundle; the image is there and runs."""
    reply = kernel.run("%%dockerfile -t kernel-hello:1\nFROM minirt/base\nRUN echo hello > /greeting\nENV A=1")
    assert reply.status == "ok", reply.error
    last = pictures(reply)[-1]
    assert set(last) >= {GRAPH, "image/svg+xml", "text/plain"}
    assert last[GRAPH]["status"] == "done"
    assert len(statuses(last)) == 3
    assert "ENV A=1" in last["text/plain"]
    assert kernel.run("docker run --rm kernel-hello:1 cat /greeting").text() == "hello\n"


def test_the_picture_changes_while_the_cell_runs(kernel: Any) -> None:
    """A step is waiting, then running, then done; its output comes while it runs."""
    reply = kernel.run("FROM minirt/base\nRUN echo one; sleep 0.6; echo two\nRUN sleep 0.3; date +%N > /unique")
    frames = [statuses(picture) for picture in pictures(reply)]
    assert ["done", "running", "waiting"] in frames or ["cached", "running", "waiting"] in frames
    assert frames[-1][1:] == ["done", "done"]
    assert "▸ RUN echo one; sleep 0.6; echo two\none\ntwo\n" in reply.text()
    times = [at for at, kind, _ in reply.messages if kind == "stream"]
    assert times[-1] - times[0] > 0.3


def test_a_second_build_comes_from_the_cache(kernel: Any) -> None:
    """The same cell again: every step cached, and no output is repeated."""
    cell = "%%dockerfile -t kernel-cached:1\nFROM minirt/base\nRUN echo noise; echo x > /x"
    kernel.run(cell)
    reply = kernel.run(cell)
    assert statuses(pictures(reply)[-1])[1:] == ["cached"]
    assert "noise" not in reply.text()


def test_the_context_is_the_notebooks_folder(kernel: Any, notebook_folder: Path) -> None:
    """COPY takes files that lie beside the notebook, or in the directory that is named."""
    (notebook_folder / "app.txt").write_text("beside\n")
    (notebook_folder / "sub").mkdir(exist_ok=True)
    (notebook_folder / "sub" / "app.txt").write_text("below\n")
    for options, expected in (("", "beside\n"), (" sub", "below\n")):
        reply = kernel.run(f"%%dockerfile -t kernel-context:1{options}\nFROM minirt/base\nCOPY app.txt /")
        assert reply.status == "ok", reply.error
        assert kernel.run("docker run --rm kernel-context:1 cat /app.txt").text() == expected


def test_docker_build_from_a_file_draws_the_graph_too(kernel: Any, notebook_folder: Path) -> None:
    """`docker build -f dockerfile -t name .`, as it is."""
    (notebook_folder / "dockerfile").write_text("FROM minirt/base\nRUN echo from a file > /it\n")
    reply = kernel.run("docker build -f dockerfile -t kernel-file .")
    assert reply.status == "ok", reply.error
    assert pictures(reply)[-1][GRAPH]["status"] == "done"
    assert "kernel-file" in kernel.run("docker images").text()


def test_a_typing_mistake_is_shown_in_the_cells_own_lines(kernel: Any) -> None:
    """Line and caret count in the cell, the nearest instruction is offered, and nothing was built."""
    reply = kernel.run("%%dockerfile -t kernel-typo:1\n# a comment\nFROM minirt/base\nONBULID RUN x")
    assert reply.status == "error"
    assert reply.content["ename"] == "DockerfileError"
    assert "cell, line 4" in reply.error
    assert "4 | ONBULID RUN x\n    | ^^^^^^^" in reply.error
    assert "ONBUILD" in reply.error
    assert "Traceback" not in reply.error
    assert pictures(reply) == []


def test_a_failing_step_is_marked_and_pointed_at(kernel: Any) -> None:
    """The graph shows where; the error says the exit code, the line, and what the command wrote is above."""
    reply = kernel.run("%%dockerfile\nFROM minirt/base\nRUN echo before; exit 3\nRUN echo after")
    assert reply.content["ename"] == "RunFailed"
    assert "3" in reply.error
    assert "3 | RUN echo before; exit 3" in reply.error
    assert statuses(pictures(reply)[-1])[1] == "failed"
    assert "before\n" in reply.text()
    assert "after" not in reply.text()


def test_run_all_stops_at_a_failing_build(kernel: Any) -> None:
    """The reply is an error, so the cells that wait are not run."""
    first = kernel.send("FROM minirt/base\nRUN exit 1")
    second = kernel.send("print('not reached')")
    assert kernel.collect(first).status == "error"
    assert kernel.collect(second).status == "aborted"


@pytest.mark.parametrize(
    ("cell", "name", "words"),
    [
        ("%%dockerfile --nonsense\nFROM scratch", "UsageError", "--nonsense"),
        ("%%dockerfile -t UPPER\nFROM scratch", None, "lowercase"),
        ("%%dockerfile no/such/folder\nFROM scratch", "PathNotFound", "no/such/folder"),
        ("%%dockerfile -f other\nFROM scratch", "UsageError", "-f"),
        ("FROM minirt/base\nCOPY missing.txt /", "CopyFailed", "missing.txt"),
        ("FROM minirt/base\nCOPY ../../../etc/passwd /", "CopyFailed", "passwd"),
        ("%%dockerfile", None, "Dockerfile"),
    ],
)
def test_bad_input_is_told_plainly(kernel: Any, cell: str, name: str | None, words: str) -> None:
    """An error of ours with the word in question, never a traceback."""
    reply = kernel.run(cell)
    assert reply.status == "error"
    assert name is None or reply.content["ename"] == name
    assert words in reply.error
    assert "Traceback" not in reply.error
    assert "internal error" not in reply.error


def test_an_interrupt_stops_the_build_and_leaves_nothing_half_made(kernel: Any, kernel_home: Path) -> None:
    """No image, no container, no staging files; the picture says that the step was stopped."""
    before = kernel.run("docker images -aq").text()
    request = kernel.send("%%dockerfile -t kernel-never:1\nFROM minirt/base\nRUN echo started; sleep 60")
    while kernel.client.get_iopub_msg(timeout=20)["msg_type"] != "stream":
        pass
    start = time.monotonic()
    kernel.manager.interrupt_kernel()
    reply = kernel.collect(request, timeout=20)
    assert time.monotonic() - start < 5
    assert reply.content["ename"] == "Cancelled"
    assert reply.error.startswith("Interrupted")
    assert "running" not in statuses(pictures(reply)[-1])
    assert "kernel-never" not in kernel.run("docker images").text()
    assert kernel.run("docker images -aq").text() == before
    assert list((kernel_home / "tmp").iterdir()) == []


def test_graph_last_shows_the_final_picture_again(kernel: Any) -> None:
    """As after a page that was reloaded in the middle of the cell."""
    built = kernel.run("FROM minirt/base\nRUN echo for the last graph > /x")
    again = kernel.run("%graph last")
    assert again.status == "ok", again.error
    assert pictures(again)[0]["image/svg+xml"] == pictures(built)[-1]["image/svg+xml"]


def test_two_kernels_build_at_once_on_one_home(
    kernel: Any, start_kernel: Callable[..., Any], kernel_home: Path, tmp_path: Path
) -> None:
    """Both succeed, and each sees the other's image."""
    other = start_kernel(tmp_path, kernel_home)
    cell = "%%dockerfile -t kernel-both:{n}\nFROM minirt/base\nRUN echo same > /same; sleep 0.3\nRUN echo {n} > /own"
    requests = [(one, one.send(cell.format(n=n))) for n, one in enumerate((kernel, other))]
    replies = [one.collect(request) for one, request in requests]
    assert [reply.status for reply in replies] == ["ok", "ok"], [reply.error for reply in replies]
    for one in (kernel, other):
        listing = one.run("docker images kernel-both").text()
        assert " 0 " in listing
        assert " 1 " in listing
    other.close()
