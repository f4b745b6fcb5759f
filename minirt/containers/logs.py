"""The container's log: what it wrote, a JSON object a line (docker's json-file format)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["LogLine", "read_log"]


@dataclass(frozen=True, slots=True)
class LogLine:
    """``data`` as it was written, with its newline if it had one; ``stream`` is stdout or stderr."""

    stream: str
    data: bytes
    time: str


def read_log(path: Path) -> Iterator[LogLine]:
    """The lines so far, oldest first. A last line that is being written at this moment is left for the next time."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        for raw in file:
            if not raw.endswith(b"\n"):
                return
            try:
                entry = json.loads(raw)
                yield LogLine(entry["stream"], entry["log"].encode("utf-8", "surrogateescape"), entry["time"])
            except (ValueError, KeyError, AttributeError):
                continue  # a line torn by a power cut is skipped, not the whole log
