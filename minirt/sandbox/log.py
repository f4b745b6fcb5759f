"""The container's log: one JSON object a line, in the form of docker's ``json-file`` driver."""

from __future__ import annotations

import json
import os

from minirt.sandbox.state import now

__all__ = ["Log"]

_LONGEST_LINE = 16 * 1024  # docker's limit; longer lines become several records


class Log:
    """Appends what the container writes to ``path``; a record is a line, or a piece of a very long one."""

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        self._partial: dict[str, bytes] = {}

    def write(self, stream: str, data: bytes) -> None:
        """Take what was read; complete lines are on disk afterwards."""
        *lines, rest = (self._partial.pop(stream, b"") + data).split(b"\n")
        records = [piece for line in lines for piece in _pieces(line + b"\n")]
        while len(rest) > _LONGEST_LINE:
            piece, rest = _cut(rest)
            records.append(piece)
        if rest:
            self._partial[stream] = rest
        self._append(stream, records)

    def close(self) -> None:
        """Write the last lines, which have no newline."""
        for stream, rest in self._partial.items():
            self._append(stream, list(_pieces(rest)))
        os.close(self._fd)

    def _append(self, stream: str, records: list[bytes]) -> None:
        if not records:
            return
        time = now()
        texts = [
            json.dumps({"log": record.decode("utf-8", "replace"), "stream": stream, "time": time}, ensure_ascii=False)
            for record in records
        ]
        try:
            # One write, so that a reader never sees half a batch.
            os.write(self._fd, ("\n".join(texts) + "\n").encode())
        except OSError:
            pass  # a full disk must not stop the container; the reader sees what there was room for


def _cut(line: bytes) -> tuple[bytes, bytes]:
    """The first record of a long line, not in the middle of a UTF-8 character."""
    end = _LONGEST_LINE
    while end > _LONGEST_LINE - 4 and line[end] & 0xC0 == 0x80:
        end -= 1
    return line[:end], line[end:]


def _pieces(line: bytes) -> list[bytes]:
    pieces = []
    while len(line) > _LONGEST_LINE + 1:
        piece, line = _cut(line)
        pieces.append(piece)
    return [*pieces, line]
