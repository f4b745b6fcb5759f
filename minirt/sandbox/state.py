"""The truth about a container on disk: ``state.json``, in docker's field names (``docker inspect``, ``.State``)."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from typing import Any

__all__ = ["NEVER", "now", "read_state", "write_state"]

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
    """Replace ``state.json`` as a whole.

    ``durable`` waits for the disk. The running state needs no wait: after a power cut nothing runs, and the
    start time in the file tells so.
    """
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
