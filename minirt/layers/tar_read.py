"""Reading tar: ustar, pax, and the GNU forms that images carry (long names, big numbers).

Written for layers: bytes stay bytes (names need not be UTF-8), nothing is guessed, every length is checked before it
is believed, and one pass over the stream is enough.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field

from minirt.errors import LayerError
from minirt.layers.streams import Source
from minirt.layers.tar_write import BLOCK, byte_sum

__all__ = ["Member", "TarReader"]

_CHUNK = 1 << 20
_LONGEST_EXTRA = 1 << 20  # bytes in a pax or long-name header: Go's limit too
_XATTR = b"SCHILY.xattr."
_BIGGEST_ID = 0xFFFFFFFE  # the next one means "leave it" to chown
_NANO = 1_000_000_000
_REGULAR = frozenset((b"0", b"\0", b"7"))
_WITHOUT_CONTENT = frozenset((b"1", b"2", b"3", b"4", b"5", b"6"))
_ZEROS = bytes(BLOCK)


@dataclass(slots=True)
class Member:
    """One entry. ``name`` and ``link`` may hold surrogate escapes; ``kind`` is tar's type flag, ``b"0"`` for a file.

    ``size`` is in bytes and is 0 for all but files; ``mtime_ns`` is in nanoseconds since 1970.
    """

    name: str
    kind: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime_ns: int
    link: str
    device: tuple[int, int]
    xattrs: dict[str, bytes] = field(default_factory=dict)


class TarReader:
    """Iterate it for the members; between two steps, :meth:`content` reads the current one's bytes.

    Raises :class:`LayerError` for whatever is not a tar. ``size`` counts the bytes read from the stream so far.
    """

    def __init__(self, stream: Source) -> None:
        self._stream = stream
        self._buffer = b""
        self._at = 0
        self._left = 0  # content bytes of the current member not read yet
        self._pad = 0
        self.size = 0

    def __iter__(self) -> Iterator[Member]:
        while (member := self._member()) is not None:
            yield member

    def content(self) -> Iterator[bytes]:
        """The current member's bytes, in pieces."""
        while self._left:
            piece = self._piece(self._left)
            self._left -= len(piece)
            yield piece

    def drain(self) -> None:
        """Read to the end of the stream, so that whoever verifies it has seen every byte."""
        self._buffer, self._at = b"", 0
        while data := self._stream.read(_CHUNK):
            self.size += len(data)

    def _member(self) -> Member | None:
        extra: dict[bytes, bytes] = {}
        while True:
            for _ in self.content():
                pass
            self._take(self._pad)
            self._pad = 0
            block = self._header()
            if block is None:
                return None
            kind = block[156:157]
            if kind == b"x":
                extra |= _records(self._extra(block))
            elif kind == b"L":
                extra[b"path"] = self._extra(block).rstrip(b"\0")
            elif kind == b"K":
                extra[b"linkpath"] = self._extra(block).rstrip(b"\0")
            elif kind == b"g":
                self._extra(block)  # defaults for all members: Go's reader, and so docker, does not apply them
            else:
                return self._finish(block, kind, extra)

    def _header(self) -> bytes | None:
        """The next header block, or ``None`` at the end: a block of zeros, or no more bytes."""
        if self._at == len(self._buffer) and not self._fill():
            return None
        block = self._take(BLOCK)
        if block == _ZEROS:
            return None
        stated = _number(block[148:156])
        blank = block[:148] + b"        " + block[156:]
        total = byte_sum(blank)
        # Some old writers added the bytes as signed numbers.
        if stated != total and stated != total - 256 * sum(byte > 127 for byte in blank):
            raise LayerError("the layer is not a tar archive, or is damaged", cause="a header's checksum is wrong")
        return block

    def _extra(self, block: bytes) -> bytes:
        size = _number(block[124:136])
        if not 0 <= size <= _LONGEST_EXTRA:
            raise LayerError(
                f"the layer has an extended header of {size} bytes", cause="1 MiB is the most that is read"
            )
        data = self._take(size)
        self._take(-size % BLOCK)
        return data

    def _finish(self, block: bytes, kind: bytes, extra: dict[bytes, bytes]) -> Member:
        if kind == b"S" or any(key.startswith(b"GNU.sparse.") for key in extra):
            raise LayerError(
                "the layer has a file in GNU tar's sparse form, which minirt does not read",
                hint="Make the archive again without tar's --sparse.",
            )
        name = extra.get(b"path") or _name(block)
        size = int(extra[b"size"]) if b"size" in extra else _number(block[124:136])
        if size < 0:
            raise LayerError(f"the layer's entry {os.fsdecode(name)!r} has a negative size")
        if kind in _REGULAR:
            kind = b"5" if name.endswith(b"/") and not size else b"0"
        if kind in _WITHOUT_CONTENT:
            size = 0
        link = extra.get(b"linkpath") or block[157:257].partition(b"\0")[0]
        if b"\0" in name + link:
            raise LayerError(f"the layer's entry {os.fsdecode(name)!r} has a NUL byte in its name or target")
        self._left, self._pad = size, -size % BLOCK
        return Member(
            os.fsdecode(name),
            kind,
            _number(block[100:108]) & 0o7777,
            _owner(extra.get(b"uid"), block[108:116]),
            _owner(extra.get(b"gid"), block[116:124]),
            size,
            _nanoseconds(extra[b"mtime"]) if b"mtime" in extra else _number(block[136:148]) * _NANO,
            os.fsdecode(link),
            (_number(block[329:337]), _number(block[337:345])) if kind in (b"3", b"4") else (0, 0),
            {os.fsdecode(k[len(_XATTR) :]): v for k, v in extra.items() if k.startswith(_XATTR)} if extra else {},
        )

    def _fill(self) -> bool:
        data = self._stream.read(_CHUNK)
        self.size += len(data)
        self._buffer, self._at = self._buffer[self._at :] + data, 0
        return bool(data)

    def _take(self, count: int) -> bytes:
        while len(self._buffer) - self._at < count:
            if not self._fill():
                raise _truncated()
        data = self._buffer[self._at : self._at + count]
        self._at += count
        return data

    def _piece(self, most: int) -> bytes:
        if self._at == len(self._buffer) and not self._fill():
            raise _truncated()
        data = self._buffer[self._at : self._at + most]
        self._at += len(data)
        return data


def _truncated() -> LayerError:
    return LayerError("the layer ends in the middle of an entry", cause="the download or the file was cut short")


def _name(block: bytes) -> bytes:
    name = block[:100].partition(b"\0")[0]
    # Only ustar has the prefix; GNU tar keeps times in the same place.
    if block[257:263] == b"ustar\0":
        prefix = block[345:500].partition(b"\0")[0]
        if prefix:
            return prefix + b"/" + name
    return name


def _number(text: bytes) -> int:
    """An octal number, or GNU's base-256 for the big ones."""
    if text[0] & 0x80:
        return int.from_bytes(bytes((text[0] & 0x7F,)) + text[1:], "big") - (
            1 << (8 * len(text) - 1) if text[0] & 0x40 else 0
        )
    digits = text.partition(b"\0")[0].strip()
    try:
        return int(digits, 8) if digits else 0
    except ValueError:
        raise LayerError(
            "the layer is not a tar archive, or is damaged", cause=f"{digits!r} is no octal number"
        ) from None


def _owner(record: bytes | None, text: bytes) -> int:
    owner = int(record) if record is not None else _number(text)
    if not 0 <= owner <= _BIGGEST_ID:
        raise LayerError(f"the layer names an owner that cannot exist: {owner}")
    return owner


def _nanoseconds(text: bytes) -> int:
    whole, _, fraction = text.partition(b".")
    nanoseconds = int(fraction[:9].ljust(9, b"0")) if fraction else 0
    seconds = int(whole)
    return seconds * _NANO + (-nanoseconds if whole.startswith(b"-") else nanoseconds)


def _records(data: bytes) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    at = 0
    try:
        while at < len(data) and data[at] != 0:
            space = data.index(b" ", at)
            end = at + int(data[at:space])
            key, equals, value = data[space + 1 : end - 1].partition(b"=")
            if not equals or end > len(data) or end <= space + 1 or data[end - 1] != 0x0A:
                raise ValueError("a record's length is wrong")
            if key in (b"uid", b"gid", b"size"):
                int(value)
            elif key == b"mtime":
                _nanoseconds(value)
            found[key] = value
            at = end
    except ValueError as error:
        raise LayerError("the layer has a damaged extended header", cause=str(error)) from None
    return found
