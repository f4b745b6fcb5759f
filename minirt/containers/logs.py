"""The container's log: what it wrote, a JSON object a line (docker's json-file format), in one file or several."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

__all__ = ["LogLine", "LogReader"]


@dataclass(frozen=True, slots=True)
class LogLine:
    """``data`` as it was written, with its newline if it had one; ``stream`` is stdout or stderr; ``details`` are the
    labels and variables that ``--log-opt`` asks for.
    """

    stream: str
    data: bytes
    time: str
    details: Mapping[str, str] = field(default_factory=dict)


class LogReader:
    """Reads on where it stopped, also when the monitor has put the file aside meanwhile (``log.1``, ``log.2`` …)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = 0  # the inode where the last reading stopped
        self._offset = 0

    def read(self) -> Iterator[LogLine]:
        """The lines that are new, oldest first. A last line that is being written now is left for the next time."""
        with ExitStack() as stack:
            files = [stack.enter_context(file) for file in self._open()]
            inodes = [os.fstat(file.fileno()).st_ino for file in files]
            first = inodes.index(self._file) if self._file in inodes else 0
            for file, inode in list(zip(files, inodes, strict=True))[first:]:
                if inode == self._file:
                    file.seek(self._offset)
                else:
                    self._file, self._offset = inode, 0
                yield from self._lines(file)

    def _open(self) -> list[BinaryIO]:
        """All files there are, oldest first. Newest opened first: what is put aside meanwhile is not missed."""
        files: list[BinaryIO] = []
        with suppress(FileNotFoundError):
            files.append(self._path.open("rb"))
            number = 1
            while True:
                files.append(self._path.with_name(f"{self._path.name}.{number}").open("rb"))
                number += 1
        seen: dict[int, BinaryIO] = {}
        for file in files:
            if os.fstat(file.fileno()).st_ino in seen:
                file.close()
            else:
                seen[os.fstat(file.fileno()).st_ino] = file
        return list(reversed(seen.values()))

    def _lines(self, file: BinaryIO) -> Iterator[LogLine]:
        for raw in file:
            if not raw.endswith(b"\n"):
                return
            self._offset += len(raw)
            try:
                entry = json.loads(raw)
                line = LogLine(
                    entry["stream"],
                    entry["log"].encode("utf-8", "surrogateescape"),
                    entry["time"],
                    entry.get("attrs") or {},
                )
            except (ValueError, KeyError, AttributeError):
                continue  # a line torn by a power cut is skipped, not the whole log
            yield line
