"""``stats``, ``exec -d`` and what else was asked of a running container from the command line."""

from __future__ import annotations

import json
import re
import threading
import time
from typing import TYPE_CHECKING

from minirt.cli import run
from minirt.testing.commands import Teller

if TYPE_CHECKING:
    from minirt.engine import Engine

_HEAD = "CONTAINER ID   NAME      CPU %"


def test_one_reading(cli: Teller, engine: Engine) -> None:
    """Docker's columns and units; ended containers only with --all, and then with nothing used."""
    cli.ok("run", "-d", "--name", "busy", "minirt/base", "sh", "-c", "while :; do :; done")
    cli.ok("create", "--name", "idle", "minirt/base", "true")
    table = cli.ok("stats", "--no-stream").lines
    assert re.split(r"\s{2,}", table[0]) == [
        "CONTAINER ID", "NAME", "CPU %", "MEM USAGE / LIMIT", "MEM %", "NET I/O", "BLOCK I/O", "PIDS",
    ]  # fmt: skip
    assert len(table) == 2
    row = json.loads(cli.ok("stats", "--no-stream", "--format", "json", "busy").out)
    assert row["Name"] == row["Container"] == "busy" and int(row["PIDs"]) >= 1
    assert float(row["CPUPerc"].rstrip("%")) > 0 and re.fullmatch(r"[\d.]+[KMG]?i?B / [\d.]+GiB", row["MemUsage"])
    every = cli.ok("stats", "--no-stream", "-a", "--format", "{{.Name}} {{.MemUsage}} {{.PIDs}}").lines
    assert "idle 0B / 0B 0" in every
    whole = cli.ok("stats", "--no-stream", "--no-trunc", "--format", "{{.ID}}", "busy").out.strip()
    assert whole == engine.containers.get("busy").id
    assert cli("stats", "--no-stream", "nobody").err.startswith("Error: No such container: nobody")


def test_readings_go_on_until_interrupted(cli: Teller) -> None:
    """Each takes the place of the one before; an interrupt ends it with its exit code."""
    cli.ok("run", "-d", "--name", "busy", "minirt/base", "sleep", "60")
    frames: list[str] = []
    session = cli.session(again=frames.append)

    def interrupt() -> None:
        deadline = time.monotonic() + 30
        while len(frames) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        session.cancel.cancel()

    thread = threading.Thread(target=interrupt)
    thread.start()
    assert run(("stats", "busy"), session) == 130
    thread.join()
    assert len(frames) >= 2 and all(frame.startswith(_HEAD) for frame in frames)


def test_exec_in_the_background(cli: Teller) -> None:
    """Nothing is printed, and it runs; what cannot be started is said, with exit code 1."""
    cli.ok("run", "-d", "--name", "host", "minirt/base", "sleep", "60")
    assert cli.ok("exec", "-d", "-e", "A=b", "host", "sh", "-c", "echo $A > /dev/shm/said").out == ""
    deadline = time.monotonic() + 20
    while cli("exec", "host", "cat", "/dev/shm/said").out != "b\n":
        assert time.monotonic() < deadline
    assert cli("exec", "-d", "host", "no-such-program").code == 1


def test_stopping_by_another_signal(cli: Teller) -> None:
    """Stop -s asks with it; a signal that does not exist is refused before anything happens."""
    script = "trap 'exit 5' HUP; echo ready; while :; do sleep 0.1; done"
    cli.ok("run", "-d", "--name", "tidy", "minirt/base", "sh", "-c", script)
    refused = cli("stop", "-s", "BOGUS", "tidy")
    assert (refused.code, refused.err.splitlines()[0]) == (
        1, "Error: cannot stop container: tidy: invalid signal: BOGUS",
    )  # fmt: skip
    deadline = time.monotonic() + 20
    while not cli.ok("logs", "tidy").out:
        assert time.monotonic() < deadline
    cli.ok("stop", "-s", "HUP", "tidy")
    assert cli.ok("inspect", "-f", "{{.State.ExitCode}}", "tidy").out == "5\n"


def test_details_of_logs(cli: Teller) -> None:
    """Labels and variables that --log-opt names stand before each line, escaped as docker escapes them."""
    cli.ok(
        "run", "--name", "told", "--log-opt", "labels=a", "--log-opt", "env=Q", "-l", "a=x y", "-e", "Q=1",
        "minirt/base", "echo", "hi",
    )  # fmt: skip
    assert cli.ok("logs", "--details", "told").out == "Q=1,a=x+y hi\n"
    assert cli("logs", "--since", "nonsense", "told").err.startswith('Error: invalid value for "since"')


def test_words_that_scripts_look_for(cli: Teller) -> None:
    """A name it has already, a port that is not published, a kind that is none: docker's sentences."""
    cli.ok("create", "--name", "same", "minirt/base", "true")
    for line, words in (
        ("rename same same", "Renaming a container with the same name as its current name"),
        ("port same 80", "No public port '80' published for same"),
        (
            "inspect --type bogus same",
            'unknown type: "bogus": must be one of "container", "image", "network", "volume"',
        ),
    ):
        said = cli(*line.split())
        assert (said.code, said.err.splitlines()[0]) == (1, f"Error: {words}")
