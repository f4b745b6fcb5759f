"""STOPSIGNAL: ``SIGTERM``, ``TERM``, ``9``, ``SIGRTMIN+3`` (moby/sys ``signal.ParseSignal``)."""

from __future__ import annotations

import re
import signal

from minirt.errors import DockerfileError, Location

__all__ = ["check_signal"]

_HIGHEST = 64


def check_signal(text: str, where: Location) -> None:
    """Raises :class:`DockerfileError` unless ``text`` names a signal of Linux."""
    if re.fullmatch(r"[-+]?[0-9]+", text):
        if int(text) != 0:
            return
    else:
        name = text.upper().removeprefix("SIG")
        if f"SIG{name}" in signal.Signals.__members__ or re.fullmatch(r"RTMIN(\+\d+)?|RTMAX(-\d+)?", name):
            return
    raise DockerfileError(
        f"invalid signal: {text}",
        where=where,
        hint=f"Write a name such as SIGTERM, SIGQUIT or SIGKILL, or a number from 1 to {_HIGHEST}.",
    )
