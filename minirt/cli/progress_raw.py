"""A build as ``--progress=rawjson`` writes it: one JSON document a line, BuildKit's SolveStatus (client/graph.go)."""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
from typing import Any

from minirt.cli.progress_build import step_titles
from minirt.model.events import (
    BuildStarted,
    Event,
    StepCached,
    StepFailed,
    StepFinished,
    StepOutput,
    StepStarted,
    WarningRaised,
)

__all__ = ["RawBuild"]


class RawBuild:
    """Turns each event into lines; a step is a vertex, named by a digest of its place in the build."""

    def __init__(self) -> None:
        self._titles: dict[str, str] = {}
        self._needs: dict[str, list[str]] = {}
        self._started: dict[str, str] = {}

    def lines(self, event: Event) -> list[str]:
        """The lines for ``event``, without newlines."""
        document = self._document(event)
        return [json.dumps(document, separators=(",", ":"))] if document else []

    def _document(self, event: Event) -> dict[str, Any]:
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        match event:
            case BuildStarted():
                self._plan(event)
                return {"vertexes": [self._vertex(step) for step in self._titles]}
            case StepStarted():
                self._started[event.step] = now
                return {"vertexes": [self._vertex(event.step)]}
            case StepCached():
                return {"vertexes": [{**self._vertex(event.step), "completed": now, "cached": True}]}
            case StepFinished():
                return {"vertexes": [{**self._vertex(event.step), "completed": now}]}
            case StepFailed():
                return {"vertexes": [{**self._vertex(event.step), "completed": now, "error": event.message}]}
            case StepOutput():
                stream, data = 2 if event.stream == "stderr" else 1, base64.b64encode(event.data).decode()
                log = {"vertex": self._digest(event.step), "stream": stream, "data": data, "timestamp": now}
                return {"logs": [log]}
            case WarningRaised():
                short = base64.b64encode(f"{event.rule}: {event.message} (line {event.line})".encode()).decode()
                return {"warnings": [{"vertex": self._digest(event.step), "level": 1, "short": short}]}
        return {}

    def _plan(self, event: BuildStarted) -> None:
        self._titles = step_titles(event.stages)
        for stage in event.stages:
            before: list[str] = []
            for step in stage.steps:
                self._needs[step.id] = before
                before = [self._digest(step.id)]

    def _vertex(self, step: str) -> dict[str, Any]:
        vertex: dict[str, Any] = {"digest": self._digest(step), "name": self._titles.get(step, step)}
        if self._needs.get(step):
            vertex["inputs"] = self._needs[step]
        if step in self._started:
            vertex["started"] = self._started[step]
        return vertex

    def _digest(self, step: str) -> str:
        return "sha256:" + hashlib.sha256(f"{step} {self._titles.get(step, '')}".encode()).hexdigest()
