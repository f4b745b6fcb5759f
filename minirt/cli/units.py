"""Sizes, durations and times in docker's words (docker/go-units, size.go and duration.go)."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["ago", "binary_size", "human_duration", "human_size", "local_time", "parse_time"]

_DECIMAL = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB")
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def human_size(size: float, digits: int = 3) -> str:
    """``size`` bytes in powers of 1000, with ``digits`` significant digits: ``3.7MB``, ``0B``."""
    return _scaled(size, 1000, _DECIMAL, digits)


def binary_size(size: float, digits: int = 4) -> str:
    """``size`` bytes in powers of 1024: ``23.54GiB``."""
    return _scaled(size, 1024, _BINARY, digits)


def _scaled(size: float, base: int, units: tuple[str, ...], digits: int) -> str:
    unit = 0
    while size >= base and unit < len(units) - 1:
        size /= base
        unit += 1
    return f"{size:.{digits}g}{units[unit]}"


def human_duration(seconds: float) -> str:
    """``Less than a second``, ``5 seconds``, ``About a minute``, ``3 weeks`` …"""
    whole = int(seconds)
    if whole < 1:
        return "Less than a second"
    if whole < _MINUTE:
        return "1 second" if whole == 1 else f"{whole} seconds"
    minutes = whole // _MINUTE
    if minutes < 60:
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    hours = int(seconds / _HOUR + 0.5)
    if hours < 48:
        return "About an hour" if hours == 1 else f"{hours} hours"
    for limit, unit, name in ((24 * 14, 24, "days"), (24 * 60, 24 * 7, "weeks"), (24 * 730, 24 * 30, "months")):
        if hours < limit:
            return f"{hours // unit} {name}"
    return f"{hours // (24 * 365)} years"


def parse_time(text: str) -> datetime | None:
    """An RFC 3339 time as docker writes it; None for an absent one (docker writes year 1)."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment if moment.year > 1 else None


def ago(text: str, now: datetime) -> str:
    """How long before ``now`` the RFC 3339 time was: ``2 hours ago``; ``N/A`` without a time."""
    moment = parse_time(text)
    return "N/A" if moment is None else f"{human_duration((now - moment).total_seconds())} ago"


def local_time(text: str, *, exact: bool = False) -> str:
    """As the lists of docker print a time: ``2026-11-23 22:01:50 +0000 UTC``; ``exact``: with parts of a second."""
    moment = parse_time(text)
    if moment is None:
        return ""
    fraction = f".{moment.microsecond:06d}".rstrip("0.") if exact else ""
    return moment.astimezone().strftime(f"%Y-%m-%d %H:%M:%S{fraction} %z %Z")
