"""Texts as Go prints them.

``docker history`` shows what BuildKit wrote with Go's ``fmt`` verbs (``%q``, ``%v``), so an image built
here has the same history only if these forms are the same (pkg.go.dev/fmt and strconv.Quote).
"""

from __future__ import annotations

from collections.abc import Iterable

from minirt.model.config import Healthcheck

__all__ = ["duration", "healthcheck", "plain_list", "quote", "quoted_list"]

_SHORT = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
_UNITS = ((3_600_000_000_000, "h"), (60_000_000_000, "m"))


def quote(text: str) -> str:
    """``%q`` of a string: double quotes, backslash escapes, printable characters as they are."""
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    if char in _SHORT:
        return _SHORT[char]
    code = ord(char)
    if char == " " or char.isprintable():
        return char
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def quoted_list(words: Iterable[str]) -> str:
    """``%q`` of a slice of strings: ``["sh" "-c" "echo hi"]``, without commas."""
    return "[" + " ".join(map(quote, words)) + "]"


def plain_list(words: Iterable[str]) -> str:
    """``%v`` of a slice of strings: ``[/data /cache]``."""
    return "[" + " ".join(words) + "]"


def duration(nanoseconds: int) -> str:
    """``time.Duration.String``: ``1m30s``, ``1.5s``, ``100ms``, ``0s``."""
    if nanoseconds == 0:
        return "0s"
    sign, rest = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    if rest < 1_000_000_000:
        for size, unit in ((1_000_000, "ms"), (1_000, "µs"), (1, "ns")):
            if rest >= size:
                return f"{sign}{_decimal(rest, size)}{unit}"
    parts: list[str] = []
    for size, unit in _UNITS:
        count, rest = divmod(rest, size)
        if count or parts:
            parts.append(f"{count}{unit}")
    return sign + "".join(parts) + _decimal(rest, 1_000_000_000) + "s"


def _decimal(value: int, unit: int) -> str:
    whole, part = divmod(value, unit)
    if not part:
        return str(whole)
    digits = len(str(unit)) - 1
    return f"{whole}.{part:0{digits}d}".rstrip("0")


def healthcheck(check: Healthcheck) -> str:
    """``%q`` of a pointer to docker's HealthcheckConfig: durations are quoted, and retries are one character."""
    times = (check.interval, check.timeout, check.start_period, check.start_interval)
    quoted = " ".join(quote(duration(time)) for time in times)
    return f"&{{{quoted_list(check.test)} {quoted} {quoted_rune(check.retries)}}}"


def quoted_rune(number: int) -> str:
    """``%q`` of an integer: the character of that number, in single quotes; U+FFFD if there is none."""
    char = chr(number) if 0 <= number <= 0x10FFFF and not 0xD800 <= number < 0xE000 else "\ufffd"
    if char in "'\\":
        return f"'\\{char}'"
    return "'\"'" if char == '"' else f"'{_escaped(char)}'"
