"""Streams of a layer: decompressing, counting and hashing while the bytes go by."""

from __future__ import annotations

import hashlib
import io
import zlib
from typing import Any, BinaryIO, Protocol, cast

from minirt.errors import CorruptBlob, LayerError
from minirt.model.digest import Digest

__all__ = ["HashingReader", "HashingSink", "Source", "decompress"]

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_CHUNK = 256 << 10


class HashingSink(Protocol):
    """Somewhere to write that knows the digest of what was written: a blob writer is one."""

    def write(self, data: memoryview, /) -> int: ...

    @property
    def digest(self) -> Digest: ...


class Source(Protocol):
    """What a layer is read from."""

    def read(self, size: int = -1, /) -> bytes: ...


class HashingReader:
    """Passes reads on and keeps count: ``size`` in bytes and ``digest`` (sha256) of what was read so far."""

    def __init__(self, raw: Source) -> None:
        self._raw = raw
        self._hash = hashlib.sha256()
        self.size = 0

    def read(self, size: int = -1) -> bytes:
        data = self._raw.read(size)
        self._hash.update(data)
        self.size += len(data)
        return data

    @property
    def digest(self) -> Digest:
        return Digest("sha256", self._hash.hexdigest())

    def verify(self, expected: Digest) -> None:
        """Raises :class:`CorruptBlob` unless what was read has the digest ``expected``."""
        if self.digest != expected:
            raise CorruptBlob(
                f"the layer's content has the digest {self.digest}, the image says {expected}",
                cause="the image's config and its layers do not belong together, or a layer was changed",
                hint="Remove the image and pull or build it again.",
            )


def decompress(stream: BinaryIO, media_type: str = "") -> BinaryIO:
    """The tar inside ``stream``: gzip and zstd are recognised by their first bytes, anything else is passed through.

    ``media_type`` is not believed (docker does not either): images in the wild carry wrong ones. Damaged or truncated
    data raises :class:`LayerError` when it is read.
    """
    head = _exactly(stream, 4)
    raw = _Prefixed(head, stream)
    if head.startswith(_GZIP):
        return cast(BinaryIO, io.BufferedReader(_Gunzip(raw), _CHUNK))
    if head == _ZSTD:
        return _unzstd(raw)
    return cast(BinaryIO, raw)


def _exactly(stream: BinaryIO, count: int) -> bytes:
    data = b""
    while len(data) < count and (more := stream.read(count - len(data))):
        data += more
    return data


class _Prefixed:
    """``head`` again, then the rest of the stream."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self._head = head
        self._rest = rest

    def read(self, size: int = -1) -> bytes:
        if not self._head:
            return self._rest.read(size)
        if size < 0:
            data, self._head = self._head + self._rest.read(), b""
            return data
        data, self._head = self._head[:size], self._head[size:]
        return data


class _Gunzip(io.RawIOBase):
    """Several gzip members in a row are one stream (RFC 1952, section 2.2), as pigz and stargz write them."""

    def __init__(self, raw: _Prefixed) -> None:
        super().__init__()
        self._raw = raw
        self._zlib = zlib.decompressobj(wbits=31)
        self._input = b""
        self._inside = False  # between the first and the last byte of a member

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._next(len(buffer))
        except zlib.error as error:
            raise LayerError("the layer's gzip data is damaged", cause=str(error)) from error
        buffer[: len(data)] = data
        return len(data)

    def _next(self, limit: int) -> bytes:
        while True:
            if not self._input:
                self._input = self._raw.read(_CHUNK)
                if not self._input:
                    return self._end()
            if self._zlib.eof:
                self._input = self._input.lstrip(b"\0")  # padding that some writers leave after a member
                if not self._input:
                    continue
                self._zlib = zlib.decompressobj(wbits=31)
            self._inside = True
            data = self._zlib.decompress(self._input, limit)
            if self._zlib.eof:
                self._input, self._inside = self._zlib.unused_data, False
            else:
                self._input = self._zlib.unconsumed_tail
            if data:
                return data

    def _end(self) -> bytes:
        if self._inside:
            data = self._zlib.flush()
            if data:
                return data
            raise LayerError("the layer's gzip data ends too early", cause="the download or the file was cut short")
        return b""


def _unzstd(raw: _Prefixed) -> BinaryIO:
    import zstandard  # not every process that unpacks layers needs it

    source = zstandard.ZstdDecompressor().stream_reader(cast(BinaryIO, raw), read_across_frames=True)
    return cast(BinaryIO, _Unzstd(source))


class _Unzstd:
    def __init__(self, source: Any) -> None:
        self._source = source

    def read(self, size: int = -1) -> bytes:
        import zstandard

        try:
            return bytes(self._source.read(size))
        except zstandard.ZstdError as error:
            raise LayerError("the layer's zstd data is damaged", cause=str(error)) from error
