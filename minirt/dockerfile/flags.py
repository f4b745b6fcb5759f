"""The flags that each instruction has, and reading them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from minirt.dockerfile.source import Origin, Span
from minirt.dockerfile.suggest import did_you_mean

__all__ = ["BOOL", "FLAGS", "MANY", "TEXT", "FlagValue", "Flags", "read_flags"]

TEXT, BOOL, MANY = "text", "bool", "many"

_TRANSFER = {"chown": TEXT, "chmod": TEXT, "link": BOOL, "exclude": MANY}
_TIMES = ("interval", "timeout", "start-period", "start-interval", "retries")

FLAGS: Mapping[str, Mapping[str, str]] = {
    "FROM": {"platform": TEXT},
    "RUN": {"mount": MANY, "network": TEXT, "security": TEXT},
    "COPY": {"from": TEXT, "parents": BOOL, **_TRANSFER},
    "ADD": {"keep-git-dir": BOOL, "checksum": TEXT, "unpack": BOOL, **_TRANSFER},
    "HEALTHCHECK": dict.fromkeys(_TIMES, TEXT),
}
"""By instruction: the name of each flag, and whether it takes a text, a boolean, or may be repeated."""


@dataclass(frozen=True, slots=True)
class FlagValue:
    text: str
    span: Span


class Flags:
    """The flags of one instruction, checked against what it has."""

    __slots__ = ("_values",)

    def __init__(self, values: dict[str, list[FlagValue]]):
        self._values = values

    def text(self, name: str) -> str:
        """The value, or nothing."""
        found = self._values.get(name)
        return found[0].text if found else ""

    def many(self, name: str) -> tuple[FlagValue, ...]:
        return tuple(self._values.get(name, ()))

    def switch(self, name: str) -> bool | None:
        """None when the flag is not there."""
        found = self._values.get(name)
        return found[0].text == "true" if found else None

    def span(self, name: str) -> Span | None:
        found = self._values.get(name)
        return found[0].span if found else None


_NONE = Flags({})


def read_flags(keyword: str, written: tuple[tuple[str, Span], ...], origin: Origin) -> Flags:
    """Raises DockerfileError for a flag that is unknown, repeated, without its value, or not a boolean."""
    if not written:
        return _NONE
    known = FLAGS.get(keyword, {})
    values: dict[str, list[FlagValue]] = {}
    for word, span in written:
        name, equals, value = word[2:].partition("=")
        kind = known.get(name)
        if kind is None:
            raise _unknown(keyword, name, known, origin, span)
        if name in values and kind != MANY:
            raise origin.error(f"duplicate flag specified: {name}", span)
        if kind == BOOL:
            value = value.lower() if equals else "true"
            if value not in ("true", "false"):
                raise origin.error(f"expecting boolean value for flag {name}, not: {value}", span)
        elif not equals:
            raise origin.error(
                f"missing a value on flag: {name}", span, hint=f"Write --{name}=value, with no space around the =."
            )
        values.setdefault(name, []).append(FlagValue(value, span))
    return Flags(values)


def _unknown(keyword: str, name: str, known: Mapping[str, str], origin: Origin, span: Span) -> Exception:
    near = did_you_mean(name, known).replace("did you mean ", "did you mean --")
    others = [other for other, flags in FLAGS.items() if name in flags]
    cause = ""
    if others:
        cause = f"--{name} belongs to {' and '.join(others)}"
    elif keyword in ("CMD", "ENTRYPOINT", "SHELL"):
        cause = "flags of the command itself come after its name"
    if not near and known:
        near = f"{keyword} has " + ", ".join(f"--{one}" for one in known) + "."
    return origin.error(f"unknown flag: {name}", span, cause=cause, hint=near or f"{keyword} has no flags.")
