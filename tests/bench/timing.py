"""Measuring: the best of several runs, which is what a thing costs when nothing else is in its way."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterable

__all__ = ["best_ms", "named", "peers_ms", "pss_mib", "sink"]


def best_ms(work: Callable[[], object], times: int, before: Callable[[], object] | None = None) -> float:
    """The shortest of ``times`` runs, in milliseconds of the clock on the wall. ``before`` each is not measured."""
    taken = []
    for _ in range(times):
        if before is not None:
            before()
        start = time.perf_counter()
        work()
        taken.append((time.perf_counter() - start) * 1000)
    return min(taken)


def peers_ms(work: Callable[[], object], times: int, before: Callable[[], object] | None = None) -> float | None:
    """Like :func:`best_ms`, of a peer: None if it fails, which is its own affair and ends nothing here."""
    try:
        return best_ms(work, times, before)
    except (OSError, subprocess.SubprocessError):
        return None


def sink(*_: object) -> None:
    """Where output goes that nobody reads."""


def pss_mib(pids: Iterable[int]) -> float:
    """Memory that these processes hold, shared pages counted by their share (proc(5), smaps_rollup), in MiB."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup") as lines:
                total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        except OSError:
            continue  # it has ended meanwhile
    return total / 1024


def named(start: str) -> list[int]:
    """The processes of this user whose names begin so."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            with open(f"/proc/{entry}/comm") as file:
                if file.read().startswith(start):
                    found.append(int(entry))
        except (OSError, ValueError):
            continue
    return found
