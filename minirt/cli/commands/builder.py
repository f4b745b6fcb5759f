"""``builder prune`` and ``buildx du``."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from minirt.cli.commands.prune import builds_text
from minirt.cli.common import confirmed
from minirt.cli.grammar import Flag, absent, command, switch, value, values
from minirt.cli.session import Session
from minirt.cli.tables import Listing
from minirt.cli.units import human_duration, human_size
from minirt.cli.values import Filters, filter_pair
from minirt.errors import InvalidSpec

__all__ = ["disk_usage", "prune"]

_UNITS = {
    "": 1,
    "b": 1,
    "k": 10**3,
    "kb": 10**3,
    "m": 10**6,
    "mb": 10**6,
    "g": 10**9,
    "gb": 10**9,
    "t": 10**12,
    "tb": 10**12,
}
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


_ONE = "there is one builder, this home's own"


def _room(long: str, text: str) -> Flag:
    return value(long, "", text, word="bytes", parse=_bytes, default=0)


_TYPES = ("regular", "exec.cachemount")


@command(
    "prune",
    "Remove build cache",
    flags=[
        switch("--all", "a", "Remove all unused build cache, not just dangling ones", name="every"),
        absent(
            "--builder", "", "Override the configured builder instance", why="there is one builder, this home's own"
        ),
        values("--filter", "", 'Provide filter values (e.g. "until=24h")', word="filter", parse=filter_pair),
        switch("--force", "f", "Do not prompt for confirmation"),
        _room("--keep-storage", "Amount of disk space to keep for cache (now --reserved-space)"),
        _room("--max-used-space", "Maximum amount of disk space allowed to keep for cache"),
        _room("--min-free-space", "Target amount of free disk space after pruning"),
        _room("--reserved-space", "Amount of disk space always allowed to keep for cache"),
        switch("--verbose", "", "Provide a more verbose output"),
    ],
)
def prune(session: Session, arguments: tuple[str, ...], **options: Any) -> None:
    warning = "This will remove all dangling build cache."
    if options["every"]:
        warning = "This will remove all build cache."
    if not confirmed(session, warning, options["force"]):
        return
    filters = Filters(options["filter"], _FILTERS)
    before = session.engine.images.cache_records() if options["verbose"] else []
    pruned = session.engine.images.prune_builds(
        all=options["every"],
        unused_for=_oldest(filters),
        keep_storage=options["reserved_space"] or options["keep_storage"],
        max_used=options["max_used_space"],
        min_free=options["min_free_space"],
        types=_types(filters),
        ids=filters.wanted("id"),
    )
    if options["verbose"]:
        gone = {key[:25] for key in pruned["CachesDeleted"]}
        session.print("".join(f"{_pretty(one)}\n" for one in before if one["ID"] in gone))
    else:
        session.print(builds_text(pruned))
    session.print(f"Total reclaimed space: {human_size(pruned['SpaceReclaimed'])}\n")


_LIST = Listing(
    {
        "ID": "ID", "Reclaimable": "RECLAIMABLE", "Size": "SIZE", "LastUsedAt": "LAST ACCESSED",
        "CreatedAt": "CREATED AT", "Description": "DESCRIPTION", "Type": "TYPE", "Shared": "SHARED",
        "Mutable": "MUTABLE",
    },
    ("ID", "Reclaimable", "Size", "LastUsedAt"),
    "ID",
)  # fmt: skip
_FILTERS = ("until", "unused-for", "id", "type")


def _oldest(filters: Filters) -> float:
    ages = [_age(text) for name in ("until", "unused-for") for text in filters.wanted(name)]
    return max(ages, default=0.0)


def _types(filters: Filters) -> list[str]:
    found = list(filters.wanted("type"))
    for text in found:
        if text not in _TYPES:
            raise InvalidSpec(f"invalid filter 'type={text}'", hint=f"The types are {' and '.join(_TYPES)}.")
    return found


@command(
    "du",
    "Disk usage of the build cache",
    flags=[
        absent(
            "--builder", "", "Override the configured builder instance", why="there is one builder, this home's own"
        ),
        values("--filter", "", "Provide filter values", word="filter", parse=filter_pair),
        value("--format", "", 'Format the output ("json", "pretty" or a template)'),
        switch("--verbose", "", 'Shorthand for "--format=pretty"'),
    ],
)
def disk_usage(session: Session, arguments: tuple[str, ...], **options: Any) -> None:
    filters = Filters(options["filter"], _FILTERS)
    types, ids, age = _types(filters), filters.wanted("id"), _oldest(filters)
    found = [
        one
        for one in session.engine.images.cache_records()
        if (not types or one["Type"] in types)
        and (not ids or any(one["ID"].startswith(text) for text in ids))
        and time.time() - one["LastUsedAt"] >= age
    ]
    form = "pretty" if options["verbose"] else options["format"]
    if form == "pretty":
        session.print("".join(f"{_pretty(one)}\n" for one in found))
    else:
        session.print(_LIST.render([_shown(one) for one in found], form=form))
        if form and not form.startswith("table"):
            return
    session.print(_totals(found))


def _totals(found: Sequence[dict[str, Any]]) -> str:
    total = sum(one["Size"] for one in found)
    free = sum(one["Size"] for one in found if one["Reclaimable"])
    lines = {"Shared:": total - free, "Private:": free} if free != total else {}
    lines |= {"Reclaimable:": free, "Total:": total}
    return "".join(f"{name:<15}{human_size(size)}\n" for name, size in lines.items())


def _shown(one: dict[str, Any]) -> dict[str, Any]:
    return {**one, "Size": human_size(one["Size"]), "LastUsedAt": _ago(one)}


def _ago(one: dict[str, Any]) -> str:
    return f"{human_duration(max(0.0, time.time() - one['LastUsedAt']))} ago"


def _pretty(one: dict[str, Any]) -> str:
    fields = {
        "ID": one["ID"], "Created at": one["CreatedAt"], "Mutable": one["Mutable"], "Reclaimable": one["Reclaimable"],
        "Shared": one["Shared"], "Size": human_size(one["Size"]), "Description": one["Description"],
        "Last used": _ago(one), "Type": one["Type"],
    }  # fmt: skip
    lines = ((f"{name}:", str(value).lower() if isinstance(value, bool) else value) for name, value in fields.items())
    return "".join(f"{name:<14}{value}\n" for name, value in lines if value != "")
