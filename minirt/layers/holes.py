"""Sparse files: where the data is, so that holes are neither read nor written.

A hole reads as zeros and takes no room (lseek(2), "Seeking file data and holes"). A layer's tar has no holes: there
they are zeros, as BuildKit writes them; but a file on a disk, the tar itself too, can keep them as holes.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

__all__ = ["LEAST_HOLE", "ZEROS", "data_ranges", "write_sparsely"]

ZEROS = memoryview(bytes(1 << 20))
LEAST_HOLE = 1 << 16  # bytes of zeros that are worth a hole
_SEEK_DATA = getattr(os, "SEEK_DATA", 3)
_SEEK_HOLE = getattr(os, "SEEK_HOLE", 4)


def data_ranges(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """The parts (start, end) of an open file's first ``size`` bytes that are not holes, in order.

    One part, the whole, where the file system cannot tell. Moves the file's position.
    """
    at = 0
    while at < size:
        try:
            start = os.lseek(fd, at, _SEEK_DATA)
            end = os.lseek(fd, start, _SEEK_HOLE)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole from here on
                return
            start, end = at, size
        if start >= size:
            return
        yield start, min(end, size)
        at = end


def write_sparsely(fd: int, data: bytes | memoryview) -> None:
    """Write at the file's position; a large piece of zeros only moves it on.

    Afterwards the size must be set, with truncate.

    Raises :class:`OSError`.
    """
    view = memoryview(data)
    if LEAST_HOLE <= len(view) <= len(ZEROS) and view == ZEROS[: len(view)]:
        os.lseek(fd, len(view), os.SEEK_CUR)
        return
    while view:
        view = view[os.write(fd, view) :]
