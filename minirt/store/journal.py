"""What happened in a home, in docker's form: ``events.jsonl``, a JSON object a line, only ever appended to.

Every process that changes something writes its own line in one write, so lines of several never mix; ``docker events``
replays the file and goes on with what is appended.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

__all__ = ["Journal", "Page"]

_NAME = "events.jsonl"
_MOST = 4 << 20  # bytes; then the file is put aside, and the one before it forgotten


class Journal:
    """The journal of one home; nothing is opened before it is used."""

    def __init__(self, home: Path) -> None:
        self.path = home / _NAME

    def write(
        self, kind: str, action: str, identity: str, attributes: Mapping[str, str], *, nanoseconds: int | None = None
    ) -> None:
        """Append one event. Never raises ``OSError``: a full disk must not stop what is told about."""
        page = self.open()
        if page is not None:
            page.write(kind, action, identity, attributes, nanoseconds=nanoseconds)
            if page.close() > _MOST:
                with contextlib.suppress(OSError):
                    os.replace(self.path, self.path.with_name(f"{_NAME}.1"))

    def open(self) -> Page | None:
        """For who will not see the file any more when there is something to tell; None where it cannot be written."""
        try:
            return Page(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644))
        except OSError:
            return None

    def read(self) -> list[dict[str, Any]]:
        """All events so far, oldest first."""
        lines = [*_lines(self.path.with_name(f"{_NAME}.1")), *_lines(self.path)]
        return sorted((event for line in lines if (event := _event(line))), key=lambda event: int(event["timeNano"]))

    def tail(self, since: int) -> Iterator[list[dict[str, Any]]]:
        """New events from the byte ``since`` on; an empty list when there is nothing new at this moment."""
        at, rest = since, b""
        while True:
            size = self.size()
            at = 0 if size < at else at  # it was put aside meanwhile
            data = rest + _bytes(self.path, at)
            at += len(data) - len(rest)
            *lines, rest = data.split(b"\n")
            yield [event for line in lines if (event := _event(line))]

    def size(self) -> int:
        """Bytes so far."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0


class Page:
    """The journal, open for appending."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def write(
        self, kind: str, action: str, identity: str, attributes: Mapping[str, str], *, nanoseconds: int | None = None
    ) -> None:
        """As :meth:`Journal.write`."""
        moment = time.time_ns() if nanoseconds is None else nanoseconds
        event: dict[str, Any] = {
            "Type": kind,
            "Action": action,
            "Actor": {"ID": identity, "Attributes": dict(sorted(attributes.items()))},
            "scope": "local",
            "time": moment // 1_000_000_000,
            "timeNano": moment,
        }
        if kind in ("container", "image"):  # kept by docker for clients older than the fields above
            event = {"status": action, "id": identity, "from": attributes.get("image", ""), **event}
            if kind == "image":
                del event["from"]
        with contextlib.suppress(OSError):
            os.write(self.fd, json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode() + b"\n")

    def close(self) -> int:
        """The journal's bytes so far."""
        try:
            return os.fstat(self.fd).st_size
        finally:
            os.close(self.fd)


def _lines(path: Path) -> list[bytes]:
    return _bytes(path, 0).splitlines()


def _bytes(path: Path, start: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(start)
            return file.read()
    except OSError:
        return b""


def _event(line: bytes) -> dict[str, Any] | None:
    try:
        event: dict[str, Any] = json.loads(line)
        return event if isinstance(event, dict) and "timeNano" in event else None
    except ValueError:
        return None  # torn by a power cut
