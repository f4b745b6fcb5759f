"""Points in time as docker's options take them: a date, seconds since 1970, or how long ago."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from minirt.cli.units import parse_time
from minirt.errors import InvalidInput

__all__ = ["moment"]

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_PART = r"(\d+(?:\.\d*)?)(h|ms|us|µs|ns|m|s)"


def moment(text: str) -> datetime | None:
    """None for an empty text. A time without a zone is local, as docker's. Raises :class:`InvalidInput`."""
    if not text:
        return None
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return datetime.fromtimestamp(float(text), UTC)
    if re.fullmatch(rf"(?:{_PART})+", text):
        ago = sum(float(count) * _UNITS[unit] for count, unit in re.findall(_PART, text))
        return datetime.now(UTC) - timedelta(seconds=ago)
    local = re.fullmatch(r"\d{4}-\d\d-\d\d(T\d\d(:\d\d(:\d\d(\.\d+)?)?)?)?", text)
    try:
        found = datetime.fromisoformat(text).astimezone() if local else parse_time(text)
    except ValueError:
        found = None
    if found is None:
        error = InvalidInput(f'invalid value for time: "{text}"', hint="Write 2013-01-02T13:23:37Z, or 42m, or 1h30m.")
        error.exit_code = 1
        raise error
    return found
