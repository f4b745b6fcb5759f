"""Where a layer's bytes go while it is packed: collected into big pieces, then hashed and written.

Hashing and writing let go of the interpreter's lock, so from the second piece on they happen in a thread of their own
while the next piece is being collected: packing many files and hashing them takes the time of the longer one.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import queue
import threading
from typing import BinaryIO, Self

from minirt.layers.blob_file import BlobFile
from minirt.layers.holes import ZEROS, data_ranges
from minirt.layers.streams import HashingSink
from minirt.model.digest import Digest

__all__ = ["Outflow"]

_PIECE = len(ZEROS)
_PIECES = 3  # one being filled, one on its way, one waiting


class Outflow:
    """Use it as a context manager, and :meth:`finish` it; then the digest is known. Not for several threads.

    A sink that knows its digest (a blob writer) is asked for it, so that no byte is hashed twice. In a sink that can
    seek, long runs of zeros become holes.
    """

    def __init__(self, out: BinaryIO | HashingSink | BlobFile) -> None:
        self._out = out
        self._hash = None if hasattr(out, "digest") else hashlib.sha256()
        self._memory = memoryview(mmap.mmap(-1, _PIECE))
        self._used = 0
        self._free: queue.SimpleQueue[memoryview] = queue.SimpleQueue()
        self._full: queue.SimpleQueue[memoryview | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        self._made = 1
        self._skips = hasattr(out, "seekable") and out.seekable()
        self.size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def add(self, data: bytes | memoryview) -> None:
        """Bytes that are in memory."""
        view = memoryview(data)
        while len(view) > _PIECE - self._used:
            room = _PIECE - self._used
            self._memory[self._used :] = view[:room]
            self._used, view = _PIECE, view[room:]
            self._turn()
        self._memory[self._used : self._used + len(view)] = view
        self._used += len(view)

    def copy(self, fd: int, size: int) -> None:
        """``size`` bytes from the start of an open file; zeros for what is missing if it became shorter meanwhile."""
        if size <= _PIECE:
            self._read(fd, size)
            return
        at = 0
        for start, end in data_ranges(fd, size):
            self.zeros(start - at)
            os.lseek(fd, start, os.SEEK_SET)
            self._read(fd, end - start)
            at = end
        self.zeros(size - at)

    def zeros(self, size: int) -> None:
        """``size`` zero bytes."""
        if size >= 2 * _PIECE:
            rest = -self._used % _PIECE
            self.add(ZEROS[:rest])
            size -= rest
            if self._used:
                self._turn()
            self._start()
            for _ in range(size // _PIECE):
                self._full.put(ZEROS)
            self.size += size // _PIECE * _PIECE
            size %= _PIECE
        while size:
            part = min(size, _PIECE)
            self.add(ZEROS[:part])
            size -= part

    def _read(self, fd: int, size: int) -> None:
        left = size
        while left:
            if self._used == _PIECE:
                self._turn()
            room = self._memory[self._used : self._used + min(left, _PIECE - self._used)]
            count = os.readv(fd, [room])
            if not count:
                room[:] = bytes(len(room))
                count = len(room)
            self._used += count
            left -= count

    def finish(self) -> None:
        """Pass on what is left and wait until all is written. Raises what writing raised."""
        self._stop()
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        self._pass(self._memory[: self._used])
        self.size += self._used
        self._used = 0

    def digest(self) -> Digest:
        """Of all that was passed on."""
        if self._hash is not None:
            return Digest("sha256", self._hash.hexdigest())
        digest: Digest = self._out.digest  # type: ignore[union-attr]  # asked for in __init__
        return digest

    def _stop(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            self._full.put(None)
            thread.join()

    def _turn(self) -> None:
        """The piece is full: hand it over, and go on with an empty one."""
        if self._error is not None:
            self.finish()
        self.size += self._used
        self._used = 0
        self._start()
        self._full.put(self._memory)
        if self._made < _PIECES:
            self._made += 1
            self._memory = memoryview(mmap.mmap(-1, _PIECE))
        else:
            self._memory = self._free.get()

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._carry, name="layer-out", daemon=True)
            self._thread.start()

    def _carry(self) -> None:
        while (piece := self._full.get()) is not None:
            try:
                if self._error is None:
                    self._pass(piece)
            except BaseException as error:
                self._error = error
            if piece is not ZEROS:
                self._free.put(piece)

    def _pass(self, view: memoryview) -> None:
        if not view:
            return
        if self._hash is not None:
            self._hash.update(view)
        if view is ZEROS and self._skips:
            self._out.seek(len(view), os.SEEK_CUR)  # type: ignore[union-attr]  # asked for in __init__
        else:
            self._out.write(view)
