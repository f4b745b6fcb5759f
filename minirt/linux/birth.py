"""When a file was born: statx(2) tells, and Python's ``os.stat`` does not."""

from __future__ import annotations

import ctypes
import struct

__all__ = ["birth_ns"]

_STATX_BTIME, _AT_EMPTY_PATH = 0x800, 0x1000
_SIZE = 256  # of struct statx
_MASK_AT, _BTIME_AT = 0, 80


def birth_ns(fd: int) -> int:
    """Of an open file: nanoseconds since 1970, or 0 where the file system does not know."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "statx"):
        return 0
    buffer = ctypes.create_string_buffer(_SIZE)
    if libc.statx(fd, b"", _AT_EMPTY_PATH, _STATX_BTIME, buffer):
        return 0
    if not struct.unpack_from("=I", buffer, _MASK_AT)[0] & _STATX_BTIME:
        return 0
    seconds, nanoseconds = struct.unpack_from("=qI", buffer, _BTIME_AT)
    return int(seconds) * 1_000_000_000 + int(nanoseconds)
