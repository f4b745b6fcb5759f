"""Restart policies: docker's four, kept in a small file beside the container's state so that they may change.

``restart`` holds the policy as ``--restart`` writes it; ``stopped`` is there once somebody asked the container to end.
"""

from __future__ import annotations

import errno
import os
import time
from dataclasses import dataclass
from pathlib import Path

from minirt.errors import InvalidSpec
from minirt.store.files import atomic_write

__all__ = ["Backoff", "RestartPolicy", "allow", "forbid", "parse_policy", "read_policy", "was_stopped", "write_policy"]

_NAMES = ("no", "always", "unless-stopped", "on-failure")
_FIRST, _LONGEST, _LONG_RUN = 0.1, 60.0, 10.0  # seconds; docker's (moby, restartmanager)
_POLICY, _STOPPED = "restart", "stopped"


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """``name`` is no, always, unless-stopped or on-failure; ``most`` restarts for the last (0: any number)."""

    name: str = "no"
    most: int = 0

    def wants(self, code: int, restarts: int) -> bool:
        """Whether to start again after this exit code and so many restarts. Here, as a container that somebody
        stopped is not asked about, ``always`` and ``unless-stopped`` are the same.
        """
        if self.name == "on-failure":
            return code != 0 and (self.most == 0 or restarts < self.most)
        return self.name != "no"

    def __str__(self) -> str:
        return f"{self.name}:{self.most}" if self.most else self.name


def parse_policy(text: str) -> RestartPolicy:
    """``no``, ``always``, ``unless-stopped``, ``on-failure[:N]``. Raises :class:`InvalidSpec`."""
    name, colon, most = text.partition(":")
    name = name or "no"
    if name not in _NAMES:
        raise InvalidSpec(f"invalid restart policy: unknown policy '{text}'", hint=f"One of: {', '.join(_NAMES)}.")
    if colon and (name != "on-failure" or not most.isdigit()):
        raise InvalidSpec(
            "invalid restart policy: maximum retry count can only be used with 'on-failure'",
            hint="Write for example on-failure:3.",
        )
    return RestartPolicy(name, int(most or 0))


class Backoff:
    """How long to wait before the next start: 100 ms, doubled each time, anew after a run of ten seconds."""

    def __init__(self) -> None:
        self._delay = 0.0
        self._began = time.monotonic()

    def began(self) -> None:
        self._began = time.monotonic()

    def next(self) -> float:
        """Seconds."""
        if time.monotonic() - self._began >= _LONG_RUN:
            self._delay = 0.0
        self._delay = min(self._delay * 2 or _FIRST, _LONGEST)
        return self._delay


def read_policy(state_dir: str) -> RestartPolicy:
    try:
        with open(f"{state_dir}/{_POLICY}", encoding="ascii") as text:
            return parse_policy(text.read().strip())
    except (OSError, ValueError, InvalidSpec):
        return RestartPolicy()


def write_policy(state_dir: str, policy: RestartPolicy) -> None:
    """Raises :class:`StorageFull`."""
    atomic_write(Path(state_dir, _POLICY), f"{policy}\n".encode(), durable=False)


def forbid(state_dir: str) -> None:
    """Somebody wants it to end: from now on it is not started again by itself."""
    try:
        with open(f"{state_dir}/{_STOPPED}", "w", encoding="ascii"):
            pass
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        # No room for one more file, and stopping something may be what makes room: the policy's own file is there.
        with open(f"{state_dir}/{_POLICY}", "r+", encoding="ascii") as policy:
            policy.write("no".ljust(os.fstat(policy.fileno()).st_size))


def allow(state_dir: str) -> None:
    """It is started on purpose."""
    try:
        os.unlink(f"{state_dir}/{_STOPPED}")
    except FileNotFoundError:
        pass


def was_stopped(state_dir: str) -> bool:
    return os.path.exists(f"{state_dir}/{_STOPPED}")
