"""The file that a big layer's tar is written to.

The bytes of a layer go to the disk in any case, before its image gets a name, and are seldom read soon after: to keep
them in the page cache as well costs more time than all the rest of packing. So from a few megabytes on, whole pieces
are written past it (``O_DIRECT``, open(2)), where the file system can do that.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self

from minirt.layers.beneath import flags

__all__ = ["BlobFile"]

_DIRECT = flags("O_DIRECT")
_ENOUGH = 16 << 20  # bytes that are worth keeping in memory
_ALIGNED = 1 << 20  # pieces of this size, at multiples of it, may go past the cache


class BlobFile:
    """A new file, for :class:`~minirt.layers.outflow.Outflow`. Raises :class:`OSError`, as all files do."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | flags("O_CLOEXEC"), 0o644)
        self._at = 0
        self._able = bool(_DIRECT)
        self._direct = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, data: memoryview) -> int:
        """All of ``data``. Pieces of a megabyte should begin at a page's border in memory."""
        whole = len(data) == _ALIGNED and self._at % _ALIGNED == 0 and self._at >= _ENOUGH
        self._set_direct(whole and self._able)
        view = data
        while view:
            try:
                view = view[os.write(self._fd, view) :]
            except OSError:
                if not self._direct:
                    raise
                self._able = False  # it took the flag and not the piece
                self._set_direct(False)
        self._at += len(data)
        return len(data)

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move on; what is left out is a hole."""
        self._at = os.lseek(self._fd, offset, whence)
        return self._at

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _set_direct(self, wanted: bool) -> None:
        if wanted == self._direct:
            return
        import fcntl  # which not every system has that this room is imported on

        try:
            now = fcntl.fcntl(self._fd, fcntl.F_GETFL)
            fcntl.fcntl(self._fd, fcntl.F_SETFL, now | _DIRECT if wanted else now & ~_DIRECT)
            self._direct = wanted
        except OSError:
            self._able = False
