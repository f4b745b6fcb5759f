"""A recorded build on the page of a real kernel: frames, text, interrupts, and messages answered meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

GRAPH = "application/vnd.minirt.graph+json"

# A job that tells of a build of three steps; `pause` in seconds between its events.
RECORDED = """
import threading, time
from minirt.model.events import *
from minirt_kernel.work import perform
STEPS = (PlannedStep("0.0", "FROM minirt/base", "base", 1), PlannedStep("0.1", "RUN echo one", "filesystem", 2),
         PlannedStep("0.2", "ENV A=1", "config", 3))
def events():
    yield BuildStarted((PlannedStage("0", "", "minirt/base", STEPS),), "hello:1")
    yield StepStarted("0.0"); yield StepFinished("0.0", 0.01)
    yield StepStarted("0.1")
    for word in (b"one\\n", b"two", b" three\\n"):
        yield StepOutput("0.1", "stdout", word)
    yield LayerCommitted("0.1", "sha256:" + "a" * 64, 10, 1); yield StepFinished("0.1", 0.5)
    yield StepStarted("0.2"); yield StepFinished("0.2", 0.0)
    yield BuildFinished("sha256:" + "b" * 64, 0.6)
def recorded(pause):
    def job(feed, cancel):
        for event in events():
            feed.put(event)
            cancel.check()
            time.sleep(pause)
    return job
presenter = get_ipython().minirt.presenter
"""


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, start_kernel: Callable[..., Any]) -> Any:
    """A kernel that knows the recorded build."""
    folder = tmp_path_factory.mktemp("live")
    kernel = start_kernel(folder, folder / "home", MINIRT_LIVE="1")
    assert kernel.run(RECORDED).status == "ok"
    kernel.run("await perform(recorded(0), presenter)")  # Graphviz is compiled at its first use
    return kernel


def graphs(messages: list[tuple[float, str, dict[str, Any]]]) -> list[tuple[float, str, dict[str, Any]]]:
    return [(at, kind, content) for at, kind, content in messages if kind.endswith("display_data")]


def test_a_graph_moves_while_the_cell_runs(live: Any) -> None:
    """One display, then updates of the same id: at most eight a second, the last one complete."""
    reply = live.run("await perform(recorded(0.1), presenter)")
    assert reply.status == "ok"
    frames = graphs(reply.messages)
    assert [kind for _, kind, _ in frames[:2]] == ["display_data", "update_display_data"]
    assert {kind for _, kind, _ in frames[1:]} == {"update_display_data"}
    assert len({content["transient"]["display_id"] for _, _, content in frames}) == 1
    assert 4 <= len(frames) <= 1 + 8 * (frames[-1][0] - frames[0][0]) + 2
    assert frames[0][0] < frames[-1][0] - 0.3
    last = frames[-1][2]["data"]
    assert set(last) >= {GRAPH, "image/svg+xml", "text/plain"}
    assert "application/vnd.jupyter.widget-view+json" not in last
    assert last[GRAPH]["status"] == "done"


def test_output_stands_below_the_graph_and_comes_while_the_command_runs(live: Any) -> None:
    """The picture first, then the commands' lines as they are written."""
    reply = live.run("await perform(recorded(0.1), presenter)")
    kinds = [kind for _, kind, _ in reply.messages if kind in ("display_data", "stream")]
    assert kinds[0] == "display_data"
    assert reply.text() == "▸ RUN echo one\none\ntwo three\n"
    first = next(at for at, kind, _ in reply.messages if kind == "stream")
    assert first < reply.messages[-1][0] - 0.3


def test_comm_messages_are_answered_while_the_cell_runs(live: Any) -> None:
    """A slider moved during a build reaches Python at once."""
    setup = """
    import comm, time
    seen = []
    channel = comm.create_comm(target_name="test")
    channel.on_msg(lambda message: (seen.append(time.monotonic()), channel.send({"answer": 1})))
    print(channel.comm_id)
    """
    comm_id = live.run(setup).text().strip()
    live.drain()
    request = live.send("await perform(recorded(0.15), presenter)")
    time.sleep(0.5)
    session = live.client.session
    sent = time.monotonic()
    live.client.shell_channel.send(session.msg("comm_msg", {"comm_id": comm_id, "data": {}}))
    answered = busy_until = 0.0
    while not busy_until:
        message = live.client.get_iopub_msg(timeout=20)
        if message["msg_type"] == "comm_msg":
            answered = time.monotonic()
        mine = message["parent_header"].get("msg_id") == request
        if mine and message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
            busy_until = time.monotonic()
    assert answered
    assert answered - sent < 0.5
    assert answered < busy_until - 0.3
    live.client.get_shell_msg(timeout=20)


def test_threads_write_into_the_cell_that_started_them(live: Any) -> None:
    """What any thread of the job says lands in the job's own cell, in order."""
    code = """
from minirt_kernel.feed import CellStream
def job(feed, cancel):
    out = CellStream(feed, "stdout")
    def say():
        for n in range(5):
            out.write(f"line {n}\\n".encode()); time.sleep(0.05)
    thread = threading.Thread(target=say); thread.start(); thread.join()
await perform(job, presenter)
"""
    reply = live.run(code)
    assert reply.text() == "".join(f"line {n}\n" for n in range(5))
    times = [at for at, kind, _ in reply.messages if kind == "stream"]
    assert len(times) >= 3, "the lines came together, at the end"


def test_an_interrupt_ends_the_job_kindly_and_quickly(live: Any) -> None:
    """The cell says Interrupted, without a traceback, as an error that stops Run All."""
    code = """
left = []
def job(feed, cancel):
    try:
        while True:
            cancel.check(); time.sleep(0.02)
    finally:
        left.append("tidied up")
await perform(job, presenter)
"""
    request = live.send(code)
    following = live.send("print('the next cell')")
    time.sleep(0.5)
    start = time.monotonic()
    live.manager.interrupt_kernel()
    reply = live.collect(request, timeout=20)
    assert time.monotonic() - start < 2
    assert reply.status == "error"
    assert reply.content["ename"] == "Cancelled"
    assert reply.error.startswith("Interrupted")
    assert "Traceback" not in reply.error
    assert live.collect(following).status == "aborted"
    assert live.run("print(left)").text() == "['tidied up']\n"


def test_without_live_frames_only_the_final_picture_is_emitted(
    tmp_path: Path, start_kernel: Callable[..., Any]
) -> None:
    """For a comparing test: one display_data, no update, then the text; the same each time."""
    kernel = start_kernel(tmp_path, tmp_path / "home", MINIRT_LIVE="0")
    kernel.run(RECORDED)
    first, second = (kernel.run("await perform(recorded(0.01), presenter)") for _ in range(2))
    kernel.close()
    assert [kind for _, kind, _ in graphs(first.messages)] == ["display_data"]
    assert first.text() == "▸ RUN echo one\none\ntwo three\n"
    bundles = [graphs(reply.messages)[0][2]["data"] for reply in (first, second)]
    assert bundles[0] == bundles[1]
