"""The picture of a build or pull on a terminal: a few lines, drawn again over themselves."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from minirt.cli.progress import Throttle
from minirt.cli.progress_build import PlainBuild, step_titles
from minirt.cli.progress_pull import PlainPull, bar, short
from minirt.model.events import (
    BuildFailed,
    BuildFinished,
    BuildStarted,
    Event,
    EventSink,
    LayerFetched,
    LayerProgress,
    PullFinished,
    PullStarted,
    StepCached,
    StepFailed,
    StepFinished,
    StepOutput,
    StepStarted,
)

__all__ = ["Screen"]

_UP, _CLEAR = "\x1b[{}A", "\x1b[0J"
_TAIL = 6  # lines of a running step's output that stay in sight


class Screen:
    """``open()`` gives the sink; when it ends, the last picture stays."""

    def __init__(self, write: Callable[[str], None], what: str, columns: int, rows: int = 24) -> None:
        self._write, self._what, self._columns, self._rows = write, what, max(40, columns), max(8, rows)
        self._lock = threading.Lock()
        self._throttle = Throttle()
        self._drawn: list[str] = []
        self._start = time.monotonic()
        self._titles: dict[str, str] = {}
        self._shown: list[str] = []
        self._state: dict[str, str] = {}
        self._tail: list[str] = []
        self._failed: list[str] = []
        self._plain = PlainBuild()

    @contextmanager
    def open(self) -> Iterator[EventSink]:
        try:
            yield self.take
        finally:
            with self._lock:
                self._draw()
                self._write("".join(f"{line}\n" for line in self._plain.warnings()))

    def take(self, event: Event) -> None:
        with self._lock:
            if self._what == "build":
                self._build(event)
            else:
                self._pull(event)
            if self._throttle.ready(event):
                self._draw()

    def _build(self, event: Event) -> None:
        lines = self._plain.lines(event)
        match event:
            case BuildStarted(stages):
                self._titles = step_titles(stages)
                self._shown = [step.id for stage in stages for step in stage.steps if step.kind != "config"]
            case StepStarted(step):
                self._state[step] = "running"
                self._tail = []
            case StepCached(step):
                self._state[step] = "CACHED"
            case StepOutput():
                output = [line.partition(" ")[2] for line in lines if line.startswith("#")]
                self._tail = (self._tail + output)[-_TAIL:]
                self._failed = (self._failed + output)[-40:]
            case StepFinished(step, seconds):
                self._state[step] = f"{seconds:.1f}s"
                self._tail, self._failed = [], []
            case StepFailed(step, _message, _seconds):
                self._state[step] = "ERROR"
                self._tail = self._failed
            case BuildFinished() | BuildFailed():
                self._state[""] = "FINISHED" if isinstance(event, BuildFinished) else "ERROR"
                self._tail = [] if isinstance(event, BuildFinished) else self._tail

    def _pull(self, event: Event) -> None:
        match event:
            case PullStarted(_name, layers, present):
                self._titles[""] = PlainPull().lines(event)[0]
                self._shown = [digest for digest, _ in layers]
                self._state = {d: "Already exists" if d in present else "Pulling fs layer" for d in self._shown}
            case LayerProgress(digest, done, total):
                self._state[digest] = f"Downloading {bar(event)}" if done < total else "Verifying Checksum"
            case LayerFetched(digest):
                self._state[digest] = "Pull complete"
            case PullFinished():
                self._tail = PlainPull().lines(event)

    def _picture(self) -> list[str]:
        if self._what != "build":
            rows = [f"{short(digest)}: {self._state[digest]}" for digest in self._shown]
            return [*([self._titles[""]] if "" in self._titles else []), *rows, *self._tail]
        known = [step for step in self._shown if step in self._state]
        done = sum(self._state[step] not in ("running", "ERROR") for step in known)
        word = f" {self._state['']}" if "" in self._state else ""
        rows = [f"[+] Building {time.monotonic() - self._start:.1f}s ({done}/{len(self._shown)}){word}"]
        for step in known:
            state = self._state[step]
            mark = " => CACHED " if state == "CACHED" else " => ERROR " if state == "ERROR" else " => "
            time_text = state if state.endswith("s") else ""
            room = self._columns - len(time_text) - 2
            rows.append(f"{(mark + self._titles[step])[:room]:<{room}} {time_text}")
        return [*rows, *(f" => => # {line}" for line in self._tail)]

    def _draw(self) -> None:
        head, *rows = [row[: self._columns - 1].rstrip() for row in self._picture()] or [""]
        # What has scrolled off the top cannot be drawn over: the picture is never taller than the screen.
        picture = [head, *rows[max(0, len(rows) - self._rows + 2) :]]
        if picture in ([""], self._drawn):
            return
        up = _UP.format(len(self._drawn)) + "\r" + _CLEAR if self._drawn else ""
        self._write(up + "".join(f"{row}\n" for row in picture))
        self._drawn = picture
