"""Values as Go writes them: durations, sizes, booleans; used by flags and mounts."""

from __future__ import annotations

import re

__all__ = ["parse_bool", "parse_duration", "parse_size"]

_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_PART = re.compile(r"(\d{0,20})(?:\.(\d{0,20}))?(ns|us|µs|μs|ms|s|m|h)")
_SIZE = re.compile(r"(\d{1,20}(?:\.\d{0,20})?) ?(?:([kmgtpe])i?)?b?", re.IGNORECASE)


def parse_duration(text: str) -> int:
    """Nanoseconds of ``1m30s``, ``500ms``, ``0``; raises ValueError. Source: Go's ``time.ParseDuration``."""
    sign = -1 if text.startswith("-") else 1
    rest = text.lstrip("+-") if text[:1] in ("+", "-") and text[1:2] not in ("+", "-") else text
    if rest == "0":
        return 0
    total, position = 0, 0
    while position < len(rest):
        match = _PART.match(rest, position)
        if not match or not (match[1] or match[2]):
            raise ValueError(f"{text!r} is not a duration")
        unit = _UNITS[match[3]]
        total += int(match[1] or 0) * unit
        if match[2]:
            total += int(match[2]) * unit // 10 ** len(match[2])
        position = match.end()
    if not rest or total > 2**63 - 1:
        raise ValueError(f"{text!r} is not a duration")
    return sign * total


def parse_size(text: str) -> int:
    """Bytes of ``64m``, ``1.5g``, ``1024``; units are powers of 1024; raises ValueError. Source: docker/go-units."""
    match = _SIZE.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a size")
    power = " kmgtpe".index((match[2] or " ").lower())
    return int(float(match[1]) * 1024**power)


def parse_bool(text: str) -> bool:
    """Go's ``strconv.ParseBool``; raises ValueError."""
    if text in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if text in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise ValueError(f"{text!r} is not true or false")
