"""What a build's commands printed, as calm text under the picture.

The picture says which step runs; the text says only what the commands wrote. A line with the instruction stands
above its output, so that the two can be matched, and comes again when another stage spoke in between::

    ▸ RUN echo one; echo two
    one
    two
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable

from minirt.model.events import (
    BuildFailed,
    BuildFinished,
    BuildStarted,
    Event,
    StepFailed,
    StepFinished,
    StepOutput,
    WarningRaised,
)

__all__ = ["Transcript"]

_WIDEST = 100
_LINE = re.compile(r"\bline (\d+)")


class Transcript:
    """Events in, text out. Lines of stages that run at the same time are never mixed within a line."""

    def __init__(self, place: Callable[[int], int | None] | None = None) -> None:
        self._place = place
        self._warnings: list[WarningRaised] = []
        self._titles: dict[str, str] = {}
        self._decoders: dict[str, codecs.IncrementalDecoder] = {}
        self._partial: dict[str, str] = {}
        self._speaking = ""
        self._open = False  # whether the last line has no newline yet

    def add(self, event: Event) -> str:
        """The text that ``event`` adds, often none."""
        if isinstance(event, BuildStarted):
            self._titles = {step.id: step.text for stage in event.stages for step in stage.steps}
            self._speaking = ""
        elif isinstance(event, StepOutput):
            return self._output(event.step, event.data)
        elif isinstance(event, StepFinished | StepFailed):
            return self._end(event.step)
        elif isinstance(event, WarningRaised):
            self._warnings.append(event)
        elif isinstance(event, BuildFinished | BuildFailed):
            return self._told()
        return ""

    def _told(self) -> str:
        """The warnings of this cell's own lines, at the end, where BuildKit has them too."""
        warnings, self._warnings = self._warnings, []
        texts = []
        for warning in warnings:
            line: int | None = warning.line
            if self._place is not None and warning.line:
                line = self._place(warning.line)
            if line is not None:
                texts.append(_warning(warning, line, self._in_the_cell(warning.message)))
        start = "\n" if self._open else ""
        return start + "".join(dict.fromkeys(texts))

    def _in_the_cell(self, message: str) -> str:
        """Lines that the message names, too, as they are counted in the cell; those of earlier cells are not in it."""
        place = self._place
        if place is None:
            return message

        def moved(match: re.Match[str]) -> str:
            line = place(int(match[1]))
            return f"{match[0]} of the Dockerfile" if line is None else f"line {line}"

        return _LINE.sub(moved, message)

    def _output(self, step: str, data: bytes) -> str:
        decoder = self._decoders.setdefault(step, codecs.getincrementaldecoder("utf-8")(errors="replace"))
        text = self._partial.pop(step, "") + decoder.decode(data)
        if self._speaking == step:
            return self._speak(step, text)  # at once, a line that is not finished too: progress dots should move
        lines, newline, rest = text.rpartition("\n")
        if rest:
            self._partial[step] = rest
        return self._speak(step, lines + newline) if newline else ""

    def _end(self, step: str) -> str:
        decoder = self._decoders.pop(step, None)
        rest = self._partial.pop(step, "") + (decoder.decode(b"", final=True) if decoder else "")
        text = self._speak(step, rest) if rest else ""
        if self._open and self._speaking == step:
            self._open = False
            text += "\n"
        return text

    def _speak(self, step: str, text: str) -> str:
        if not text:
            return ""
        head = ""
        if self._speaking != step:
            head = ("\n" if self._open else "") + f"▸ {self._title(step)}\n"
        self._speaking = step
        self._open = not text.endswith("\n")
        return head + text

    def _title(self, step: str) -> str:
        title = self._titles.get(step, f"step {step}")
        first, _, more = title.partition("\n")
        return first[: _WIDEST - 1] + "…" if len(first) > _WIDEST or more else first


def _warning(warning: WarningRaised, line: int, message: str) -> str:
    place = f", line {line}" if line else ""
    lines = [f"⚠ {warning.rule}{place}: {message}"]
    if warning.excerpt:
        lines.append(f"    {warning.excerpt.strip()}")
    if warning.why:
        lines.append(f"  Why: {warning.why}")
    if warning.better:
        better = warning.better.split("\n")
        lines += ["  Better:", *(f"    {one}" for one in better)]
    return "".join(f"{one}\n" for one in lines)
