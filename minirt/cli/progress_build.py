"""A build as lines, in BuildKit's plain form (moby/buildkit, util/progress/progressui): a function of the events alone.

Instructions that change only the config make no line of their own, as with BuildKit, unless they fail.
"""

from __future__ import annotations

from collections.abc import Callable

from minirt.model.events import (
    BuildFailed,
    BuildFinished,
    BuildStarted,
    Event,
    ImageTagged,
    LayerFetched,
    PlannedStage,
    PullFinished,
    PullStarted,
    StepCached,
    StepFailed,
    StepFinished,
    StepOutput,
    StepStarted,
    WarningRaised,
)

__all__ = ["PlainBuild", "step_titles"]


def step_titles(stages: tuple[PlannedStage, ...]) -> dict[str, str]:
    """What each step is called, by its id: ``[2/3] RUN make``, with the stage's name where there are several."""
    titles = {}
    for index, stage in enumerate(stages):
        shown = [step for step in stage.steps if step.kind != "config"]
        prefix = "" if len(stages) == 1 else f"{stage.name or f'stage-{index}'} "
        width = len(str(len(shown)))
        for number, step in enumerate(shown, 1):
            titles[step.id] = f"[{prefix}{number:>{width}}/{len(shown)}] {step.text}"
        titles |= {step.id: step.text for step in stage.steps if step.kind == "config"}
    return titles


class PlainBuild:
    """Turns each event into the lines to print for it; keeps only what the next lines depend on."""

    def __init__(self) -> None:
        self._titles: dict[str, str] = {}
        self._config: frozenset[str] = frozenset()
        self._numbers: dict[str, int] = {}
        self._current = ""
        self._name = ""
        self._parts: dict[tuple[str, str], bytes] = {}
        self._warnings: list[str] = []
        self._handlers: dict[type[Event], Callable[..., list[str]]] = {
            BuildStarted: self._plan,
            StepStarted: lambda e: [] if e.step in self._config else self._enter(e.step),
            StepCached: lambda e: [] if e.step in self._config else [*self._enter(e.step), self._say(e.step, "CACHED")],
            StepOutput: self._output,
            StepFinished: self._finished,
            StepFailed: lambda e: [*self._rest(e.step), *self._enter(e.step), self._say(e.step, f"ERROR: {e.message}")],
            PullStarted: lambda e: [*self._enter(f"pull {e.name}"), *self._layers(e)],
            LayerFetched: lambda e: [self._say(self._current, f"{e.digest} done")],
            PullFinished: lambda e: [self._say(self._current, "DONE")],
            ImageTagged: lambda e: [*self._enter("export"), self._say("export", f"naming to {e.name} done")],
            WarningRaised: self._warned,
            BuildFinished: self._end,
            BuildFailed: lambda _event: self.warnings(),
        }

    def lines(self, event: Event) -> list[str]:
        """The lines for ``event``, without newlines."""
        handler = self._handlers.get(type(event))
        return handler(event) if handler is not None else []

    def _plan(self, event: BuildStarted) -> list[str]:
        if event.name != self._name:  # one platform after another: each is a build of its own
            self._name, self._numbers, self._current = event.name, {}, ""
        self._titles = step_titles(event.stages)
        self._config = frozenset(step.id for stage in event.stages for step in stage.steps if step.kind == "config")
        self._titles["export"] = "exporting to image"
        return []

    def _enter(self, key: str) -> list[str]:
        """The heading of a step, when the lines before it were another's."""
        if key == self._current:
            return []
        again = key in self._numbers
        number = self._numbers.setdefault(key, len(self._numbers) + 1)
        blank = [""] if self._current else []
        self._current = key
        title = self._titles.get(key, key)
        return [*blank, f"#{number} ..." if again else f"#{number} {title}"]

    def _say(self, key: str, text: str) -> str:
        return f"#{self._numbers.get(key, 0)} {text}"

    def _output(self, event: StepOutput) -> list[str]:
        slot = (event.step, event.stream)
        *whole, part = (self._parts.get(slot, b"") + event.data).split(b"\n")
        self._parts[slot] = part
        if not whole:
            return []
        return [*self._enter(event.step), *(self._say(event.step, _decode(line)) for line in whole)]

    def _rest(self, step: str) -> list[str]:
        """What was written without a newline at the end."""
        parts = [self._parts.pop(slot) for slot in sorted(self._parts) if slot[0] == step]
        left = [part for part in parts if part]
        return [*self._enter(step), *(self._say(step, _decode(part)) for part in left)] if left else []

    def _finished(self, event: StepFinished) -> list[str]:
        if event.step in self._config:
            return []
        return [*self._rest(event.step), *self._enter(event.step), self._say(event.step, f"DONE {event.seconds:.1f}s")]

    def _layers(self, event: PullStarted) -> list[str]:
        present = set(event.present)
        return [self._say(self._current, f"{digest} CACHED") for digest, _ in event.layers if digest in present]

    def _warned(self, event: WarningRaised) -> list[str]:
        place = f" (line {event.line})" if event.line else ""
        self._warnings.append(f" - {event.rule}: {event.message}{place}")
        return []

    def warnings(self) -> list[str]:
        """What was legal and is likely not meant, to be told at the end."""
        if not self._warnings:
            return []
        count = len(self._warnings)
        return ["", f" {count} warning{'' if count == 1 else 's'} found:", *self._warnings]

    def _end(self, event: BuildFinished) -> list[str]:
        lines = [*self._enter("export"), self._say("export", f"writing image {event.image_id} done")]
        return [*lines, self._say("export", f"DONE {event.seconds:.1f}s"), *self.warnings()]


def _decode(line: bytes) -> str:
    # What follows a carriage return overwrites the line on a terminal: a progress bar's last state is enough.
    return line.rstrip(b"\r").rpartition(b"\r")[2].decode("utf-8", "replace")
