"""The container's log: one JSON object a line, in the form of docker's ``json-file`` driver."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from json.encoder import encode_basestring

from minirt.model.spec import LogLimits
from minirt.sandbox.state import now

__all__ = ["Log"]

_ESCAPED = re.compile(rb'["\\\x00-\x09\x0b-\x1f\x80-\xff]')
_LONGEST_LINE = 16 * 1024  # docker's limit; longer lines become several records


class Log:
    """Appends what the container writes to ``path``; a record is a line, or a piece of a very long one.

    With the driver ``none`` nothing is kept.
    """

    def __init__(self, path: str, limits: LogLimits = LogLimits()) -> None:  # noqa: B008 - frozen
        self._path = path
        self._limits = limits
        self._fd = _open(path) if limits.driver != "none" else -1
        self._size = os.fstat(self._fd).st_size if self._fd >= 0 else 0
        self._more = f', "attrs": {json.dumps(dict(limits.attributes))}' if limits.attributes else ""
        self._partial: dict[str, bytes] = {}

    def write(self, stream: str, data: bytes) -> None:
        """Take what was read; complete lines are on disk afterwards."""
        if self._fd < 0:
            return
        held = self._partial.pop(stream, b"")
        *lines, rest = (held + data).split(b"\n") if held else data.split(b"\n")
        if lines and max(map(len, lines)) <= _LONGEST_LINE:
            records = [line + b"\n" for line in lines]
        else:
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
        if self._fd >= 0:
            os.close(self._fd)

    def _append(self, stream: str, records: list[bytes]) -> None:
        if not records:
            return
        end = f', "stream": "{stream}"{self._more}, "time": "{now()}"}}\n'
        for data in self._batches(records, end):
            try:
                self._make_room(len(data))
                # One write, so that a reader never sees half a batch.
                written = os.write(self._fd, data)
                if written < len(data):
                    # The disk is full: whole lines stay, so that the next one does not begin in the middle of this.
                    written = data.rfind(b"\n", 0, written) + 1
                    os.ftruncate(self._fd, self._size + written)
                self._size += written
            except OSError:
                pass  # a full disk must not stop the container; the reader sees what there was room for

    def _batches(self, records: list[bytes], end: str) -> Iterator[bytes]:
        """All objects at once, or as many at a time as one file may hold."""
        most = self._limits.max_size
        if not most:
            yield _lines(records, end)
            return
        batch = b""
        for record in records:
            line = _line(record, end).encode()
            if batch and len(batch) + len(line) > most:
                yield batch
                batch = b""
            batch += line
        yield batch

    def _make_room(self, size: int) -> None:
        """``log`` becomes ``log.1``, and so on; the oldest goes (docker's ``max-size`` and ``max-file``)."""
        limits = self._limits
        if not limits.max_size or not self._size or self._size + size <= limits.max_size:
            return
        for number in range(limits.max_files - 1, 0, -1):
            try:
                os.replace(self._path if number == 1 else f"{self._path}.{number - 1}", f"{self._path}.{number}")
            except FileNotFoundError:
                continue
        if limits.max_files <= 1:
            os.unlink(self._path)
        fresh = _open(self._path)
        os.close(self._fd)
        self._fd, self._size = fresh, 0


def _line(record: bytes, end: str) -> str:
    """One object. Its two other values need no escape; a quarter of the time that ``json.dumps`` of all three takes."""
    return f'{{"log": {encode_basestring(record.decode("utf-8", "replace"))}{end}'


def _lines(records: list[bytes], end: str) -> bytes:
    """All objects at once. Text that needs no escape, which is nearly all, is not looked at line by line."""
    text = b"".join(records)
    if text.count(b"\n") == len(records) and _ESCAPED.search(text) is None:
        start = b'{"log": "'
        turn = b'\\n"' + end.encode() + start
        return (start + text.replace(b"\n", turn)).removesuffix(start)
    return "".join([_line(record, end) for record in records]).encode()


def _open(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)


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
