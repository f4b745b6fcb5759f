"""The truth about a container on disk: ``state.json``, in docker's field names (``docker inspect``, ``.State``)."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Mapping
from typing import Any

__all__ = ["ATTACH_SOCKET", "NEVER", "now", "read_state", "write_state"]

ATTACH_SOCKET = "attach"  # in the container's directory: where others than the first client come to
NEVER = "0001-01-01T00:00:00Z"


def now() -> str:
    """The time as docker writes it: RFC 3339, UTC, nanoseconds."""
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{nanoseconds:09d}Z"


def read_state(state_dir: str) -> dict[str, Any] | None:
    """The container's state, or None if it was never written."""
    try:
        with open(f"{state_dir}/state.json", encoding="utf-8") as file:
            state: dict[str, Any] = json.load(file)
            return state
    except FileNotFoundError:
        return None


def write_state(state_dir: str, state: Mapping[str, Any], *, durable: bool) -> None:
    """Replace ``state.json`` as a whole; on a full disk, write over what the file has room for already.

    ``durable`` waits for the disk. The running state needs no wait: after a power cut nothing runs, and the
    start time in the file tells so.
    """
    try:
        _replace(state_dir, state, durable=durable)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        _write_over(f"{state_dir}/state.json", json.dumps(state).encode())


def _write_over(path: str, data: bytes) -> None:
    """Not atomic, but the truth: the block that a small file has can be written again when no other is free."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        # Blanks rather than a shorter file, so that a reader never sees an end of the one and a start of the other.
        os.pwrite(fd, data.ljust(os.fstat(fd).st_size), 0)
    finally:
        os.close(fd)


def _replace(state_dir: str, state: Mapping[str, Any], *, durable: bool) -> None:
    temporary = f"{state_dir}/.state.json.{os.getpid()}"
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(state, file, indent=1)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, f"{state_dir}/state.json")
    except BaseException:
        try:
            os.unlink(temporary)
        except OSError:
            pass
        raise
