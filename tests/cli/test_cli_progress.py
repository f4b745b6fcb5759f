"""Events become lines, by a function of the events alone."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from minirt.cli.progress import printed
from minirt.cli.progress_build import PlainBuild
from minirt.cli.progress_pull import PlainPull, bar
from minirt.model import events
from minirt.model.events import Event, PlannedStage, PlannedStep
from minirt.testing.commands import Teller

STAGES = (
    PlannedStage(
        "0",
        "build",
        "minirt/base",
        (
            PlannedStep("0.0", "FROM minirt/base AS build", "base", 1),
            PlannedStep("0.1", "ENV A=1", "config", 2),
            PlannedStep("0.2", "RUN make", "filesystem", 3),
        ),
    ),
    PlannedStage("1", "", "scratch", (PlannedStep("1.0", "FROM scratch", "base", 4),)),
)
BUILD: list[Event] = [
    events.BuildStarted(STAGES, "app:1"),
    events.StepStarted("0.0"),
    events.StepCached("0.0"),
    events.StepStarted("0.1"),
    events.StepFinished("0.1", 0.0),
    events.StepStarted("0.2"),
    events.StepOutput("0.2", "stdout", b"one\ntw"),
    events.StepStarted("1.0"),
    events.StepFinished("1.0", 0.04),
    events.StepOutput("0.2", "stdout", b"o\n10%\r100%\nrest"),
    events.StepFinished("0.2", 1.25),
    events.WarningRaised("JSONArgsRecommended", "use JSON", 5),
    events.BuildFinished("sha256:abc", 1.3),
    events.ImageTagged("sha256:abc", "app:1"),
]


def _lines(printer: PlainBuild | PlainPull, sequence: list[Event]) -> list[str]:
    return [line for event in sequence for line in printer.lines(event)]


def test_build_lines() -> None:
    """Steps are numbered as they start, output is cut at newlines, a change of step is marked."""
    assert _lines(PlainBuild(), BUILD) == [
        "#1 [build 1/2] FROM minirt/base AS build",
        "#1 CACHED",
        "",
        "#2 [build 2/2] RUN make",
        "#2 one",
        "",
        "#3 [stage-1 1/1] FROM scratch",
        "#3 DONE 0.0s",
        "",
        "#2 ...",
        "#2 two",
        "#2 100%",
        "#2 rest",
        "#2 DONE 1.2s",
        "",
        "#4 exporting to image",
        "#4 writing image sha256:abc done",
        "#4 DONE 1.3s",
        "",
        " 1 warning found:",
        " - JSONArgsRecommended: use JSON (line 5)",
        "#4 naming to app:1 done",
    ]


def test_failed_step() -> None:
    """A failing step shows its last words and the error, even if it only changes the config."""
    failed: list[Event] = [
        *BUILD[:2],
        events.StepStarted("0.1"),
        events.StepFailed("0.1", "no such variable"),
        events.BuildFailed("no such variable"),
    ]
    assert _lines(PlainBuild(), failed)[-2:] == ["#2 ENV A=1", "#2 ERROR: no such variable"]


def test_pull_lines() -> None:
    """A pull reads as docker's does without a terminal."""
    layers = (("sha256:" + "a" * 64, 10), ("sha256:" + "b" * 64, 20))
    sequence: list[Event] = [
        events.PullStarted("docker.io/library/alpine:3.20", layers, (layers[0][0],)),
        events.LayerProgress(layers[1][0], 10, 20),
        events.LayerFetched(layers[1][0]),
        events.PullFinished("docker.io/library/alpine:3.20", "sha256:dead", new=True),
    ]
    assert _lines(PlainPull(), sequence) == [
        "3.20: Pulling from library/alpine",
        "aaaaaaaaaaaa: Already exists",
        "bbbbbbbbbbbb: Pulling fs layer",
        "bbbbbbbbbbbb: Pull complete",
        "Digest: sha256:dead",
        "Status: Downloaded newer image for alpine:3.20",
    ]


def test_large_layers() -> None:
    """A large layer tells of each quarter once."""
    steps = [events.LayerProgress("sha256:" + "a" * 64, done * 10**6, 20 * 10**6) for done in range(21)]
    assert _lines(PlainPull(), list(steps)) == [f"aaaaaaaaaaaa: Downloading {share}% of 20MB" for share in (25, 50, 75)]


def test_bar() -> None:
    """A layer's bar grows to its full width."""
    assert bar(events.LayerProgress("x", 5, 10), 10) == "[=====>    ]  5B/10B"
    assert bar(events.LayerProgress("x", 10, 10), 10).startswith("[==========]")


@pytest.mark.parametrize(("mode", "stream"), [("plain", "err"), ("quiet", ""), ("tty", "err")])
def test_where_it_goes(tmp_path: Path, mode: str, stream: str) -> None:
    """A build shows on standard error, and not at all when it shall be quiet."""
    session = Teller(lambda: None, tmp_path).session()
    with printed(session, "build", mode) as sink:
        for event in BUILD:
            sink(event)
    assert isinstance(session.stdout, io.BytesIO)
    assert isinstance(session.stderr, io.BytesIO)
    assert not session.stdout.getvalue()
    assert bool(session.stderr.getvalue()) == bool(stream)


def test_screen_draws_over_itself(tmp_path: Path) -> None:
    """On a terminal the last picture has every step once, with its time."""
    session = Teller(lambda: None, tmp_path).session()
    with printed(session, "build", "tty") as sink:
        for event in BUILD:
            sink(event)
    assert isinstance(session.stderr, io.BytesIO)
    last = session.stderr.getvalue().decode().rpartition("\x1b[0J")[2]
    assert last.count("RUN make") == 1
    assert "FINISHED" in last
    assert "CACHED" in last


def test_screen_is_no_taller_than_the_terminal(tmp_path: Path) -> None:
    """Many steps: the picture keeps to the newest, so that it can be drawn over."""
    steps = tuple(PlannedStep(f"0.{n}", f"RUN step {n}", "filesystem", n) for n in range(50))
    sequence: list[Event] = [events.BuildStarted((PlannedStage("0", "", "scratch", steps),), "")]
    sequence += [event for step in steps for event in (events.StepStarted(step.id), events.StepFinished(step.id, 0.1))]
    session = Teller(lambda: None, tmp_path).session(rows=10)
    with printed(session, "build", "tty") as sink:
        for event in sequence:
            sink(event)
    assert isinstance(session.stderr, io.BytesIO)
    frames = session.stderr.getvalue().decode().split("\x1b[0J")
    assert max(frame.count("\n") for frame in frames) < 10
    assert "step 49" in frames[-1]


def test_reader_that_goes_away(tmp_path: Path) -> None:
    """Progress that nobody reads does not break off the work."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb", buffering=0) as gone:
        session = Teller(lambda: None, tmp_path).session()
        session.stderr = gone
        with printed(session, "build", "plain") as sink:
            for event in BUILD:
                sink(event)
