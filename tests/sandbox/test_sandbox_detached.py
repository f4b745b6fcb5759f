"""Containers that outlive their client: the log, the state, and who may be attached."""

from __future__ import annotations

import json
import os
import re
import select
import time
from pathlib import Path
from typing import Any

from minirt.sandbox import Exit, read_state


def _records(state_dir: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (state_dir / "log").read_text().splitlines()]


def _eventually(condition: Any) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and not condition():
        time.sleep(0.02)
    return bool(condition())


def test_log_and_state(bench: Any) -> None:
    """The log is docker's json-file form, the state has docker's names and times."""
    spec, state_dir = bench.detached("echo one; sleep 0.05; echo two >&2; printf three; exit 9")
    running = bench.start(spec)
    state = read_state(str(state_dir))
    assert state is not None
    assert (state["Status"], state["Pid"], state["StartTime"]) == ("running", running.pid, running.start_time)
    assert running.wait(timeout=5) == Exit(9)
    records = _records(state_dir)
    assert [(record["stream"], record["log"]) for record in records] == [
        ("stdout", "one\n"),
        ("stderr", "two\n"),
        ("stdout", "three"),
    ]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", record["time"]) for record in records)
    state = read_state(str(state_dir))
    assert state is not None
    assert (state["Status"], state["Pid"], state["ExitCode"]) == ("exited", 0, 9)
    assert state["StartedAt"] < state["FinishedAt"]


def test_long_lines_are_cut_between_characters(bench: Any) -> None:
    """A very long line becomes several records, none of which ends within a character."""
    spec, state_dir = bench.detached("cat /long")
    text = "é" * 30_000
    (Path(spec.root.upper) / "long").write_text(f"a{text}\nend\n")
    bench.start(spec).wait(timeout=5)
    records = _records(state_dir)
    assert len(records) > 3
    assert "".join(record["log"] for record in records) == f"a{text}\nend\n"


def test_an_attached_client_sees_what_the_log_keeps(bench: Any) -> None:
    """Output goes to both, in full, even if there is more than a pipe holds."""
    spec, state_dir = bench.detached(
        "i=0; while [ $i -lt 3000 ]; do echo line number $i of many lines; i=$((i+1)); done"
    )
    result = bench.run(spec)
    assert result.out.count("\n") == 3000
    assert "".join(record["log"] for record in _records(state_dir)) == result.out


def test_a_client_that_goes_away_does_not_stop_the_container(bench: Any) -> None:
    """Its pipe and its socket closed, the container reads an end and writes on into its log."""
    spec, state_dir = bench.detached(
        "echo first; while read x; do :; done; i=0; while [ $i -lt 3000 ]; do echo $i; i=$((i+1)); done; echo last"
    )
    read_end, write_end = os.pipe()
    keys, typing = os.pipe()
    running = bench.start(spec, stdin=keys, stdout=write_end)
    os.close(write_end)
    os.close(keys)
    assert os.read(read_end, 100) == b"first\n"
    os.close(read_end)
    os.write(typing, b"go\n")
    running.close()
    assert _eventually(lambda: (read_state(str(state_dir)) or {})["Status"] == "exited")
    assert _records(state_dir)[-1]["log"] == "last\n"
    os.close(typing)


def test_a_client_that_does_not_read_holds_nothing_back_when_it_is_gone(bench: Any) -> None:
    """A client that stopped reading blocks the container like a pipe would, until it hangs up."""
    spec, state_dir = bench.detached("i=0; while [ $i -lt 20000 ]; do echo line number $i; i=$((i+1)); done")
    read_end, write_end = os.pipe()
    running = bench.start(spec, stdout=write_end)
    os.close(write_end)
    time.sleep(0.3)
    assert running.poll() is None
    running.close()
    assert _eventually(lambda: (read_state(str(state_dir)) or {})["Status"] == "exited")
    os.close(read_end)
    assert _records(state_dir)[-1]["log"] == "line number 19999\n"


def test_a_detached_terminal(bench: Any) -> None:
    """With a terminal, what appears on it is the log."""
    spec, state_dir = bench.detached("test -t 1 && echo terminal", process={"env": {"PATH": "/bin"}, "terminal": True})
    assert bench.start(spec).wait(timeout=5) == Exit(0)
    assert [record["log"] for record in _records(state_dir)] == ["terminal\r\n"]


def test_a_removed_state_directory(bench: Any) -> None:
    """A container whose directory was deleted under it still ends properly."""
    import shutil

    spec, state_dir = bench.detached("read x", process={"env": {"PATH": "/bin"}})
    keys, typing = os.pipe()
    running = bench.start(spec, stdin=keys)
    os.close(keys)
    shutil.rmtree(state_dir)
    os.close(typing)
    assert running.wait(timeout=5).code == 1
    assert select.select([], [], [], 0) == ([], [], [])
