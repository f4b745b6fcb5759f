"""What a build's commands printed, as calm text under the picture.

The picture says which step runs; the text says only what the commands wrote. A line with the instruction stands
above its output, so that the two can be matched, and comes again when another stage spoke in between::

    ▸ RUN echo one; echo two
    one
    two
"""

from __future__ import annotations

import codecs

from minirt.model.events import BuildStarted, Event, StepFailed, StepFinished, StepOutput

__all__ = ["Transcript"]

_WIDEST = 100


class Transcript:
    """Events in, text out. Lines of stages that run at the same time are never mixed within a line."""

    def __init__(self) -> None:
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
        return ""

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
