"""The descriptors of a process that was forked for something else."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection

__all__ = ["keep_only"]


def keep_only(kept: Collection[int]) -> None:
    """Close all others; standard input, output and error are ``/dev/null`` then, unless they are kept."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in kept:
            with contextlib.suppress(OSError):
                os.close(int(name))
    null = os.open("/dev/null", os.O_RDWR)
    for number in {0, 1, 2} - {*kept, null}:
        os.dup2(null, number)
