"""``builder prune``."""

from __future__ import annotations

from typing import Any

from minirt.cli.commands.prune import builds_text
from minirt.cli.common import confirmed
from minirt.cli.grammar import command, switch, value, values
from minirt.cli.session import Session
from minirt.cli.units import human_size
from minirt.cli.values import Filters, filter_pair
from minirt.errors import InvalidSpec

__all__ = ["prune"]

_UNITS = {"": 1, "b": 1, "k": 10**3, "kb": 10**3, "m": 10**6, "mb": 10**6, "g": 10**9, "gb": 10**9, "t": 10**12}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _bytes(text: str) -> int:
    number = text.strip().lower().rstrip("bkmgt")
    unit = text.strip().lower()[len(number) :]
    try:
        return int(float(number) * _UNITS[unit])
    except (ValueError, KeyError):
        raise ValueError(f"invalid size: '{text}'") from None


def _age(text: str) -> float:
    """``24h``, ``1h30m``, ``10s`` in seconds."""
    total, number = 0.0, ""
    for char in text:
        if char.isdigit() or char == ".":
            number += char
        elif number and char in _SECONDS:
            total, number = total + float(number) * _SECONDS[char], ""
        else:
            break
    else:
        if not number and text:
            return total
    raise InvalidSpec(f"invalid filter 'until={text}'", hint="Write an age such as until=24h or until=90m.")


@command(
    "prune",
    "Remove build cache",
    flags=[
        switch("--all", "a", "Remove all unused build cache, not just dangling ones", name="every"),
        values("--filter", "", 'Provide filter values (e.g. "until=24h")', word="filter", parse=filter_pair),
        switch("--force", "f", "Do not prompt for confirmation"),
        value("--keep-storage", "", "Amount of disk space to keep for cache", word="bytes", parse=_bytes, default=0),
    ],
)
def prune(session: Session, arguments: tuple[str, ...], **options: Any) -> None:
    warning = "This will remove all dangling build cache."
    if options["every"]:
        warning = "This will remove all build cache."
    if not confirmed(session, warning, options["force"]):
        return
    filters = Filters(options["filter"], ("until", "unused-for"))
    ages = [_age(text) for name in ("until", "unused-for") for text in filters.wanted(name)]
    pruned = session.engine.images.prune_builds(
        all=options["every"], unused_for=max(ages, default=0.0), keep_storage=options["keep_storage"]
    )
    session.print(f"{builds_text(pruned)}Total reclaimed space: {human_size(pruned['SpaceReclaimed'])}\n")
