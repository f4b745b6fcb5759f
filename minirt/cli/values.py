"""What stands in options: environment variables, labels, filters, files of them (docker/cli, opts)."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from pathlib import Path

from minirt.errors import InvalidInput, InvalidSpec, PathNotFound

__all__ = ["Filters", "build_arguments", "environment", "filter_pair", "label_pair", "labels", "read_lines"]


def environment(pairs: Sequence[str], files: Sequence[str], outside: Mapping[str, str], cwd: Path) -> list[str]:
    """``NAME=value`` entries: the files' first, then ``-e``'s. A bare NAME takes its value from ``outside``.

    Raises :class:`PathNotFound`, :class:`InvalidSpec`.
    """
    entries: dict[str, str] = {}
    for entry in [*(line for file in files for line in read_lines(cwd / file)), *pairs]:
        name, equals, value = entry.partition("=")
        if equals:
            entries[name] = value
        elif name in outside:
            entries[name] = outside[name]
        else:
            entries.pop(name, None)  # docker: a bare name that is not set outside unsets it
    return [f"{name}={value}" for name, value in entries.items()]


def environment_pair(text: str) -> str:
    """The text itself. Raises :class:`InvalidSpec` when it has no name."""
    if not text or text.startswith("="):
        raise InvalidSpec(
            f"invalid environment variable: {text}", hint="Write NAME=value, or NAME alone to hand it on."
        )
    return text


def read_lines(path: Path) -> list[str]:
    """The entries of an ``--env-file``: ``#`` lines and empty ones are left out; nothing is unquoted, as in docker."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise PathNotFound(f"open {path}: {(error.strerror or '').lower()}") from error
    except UnicodeDecodeError as error:
        raise InvalidSpec(f"env file {path} contains invalid utf8 bytes at {error.start}") from error
    entries = []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.lstrip()
        if not line or line.startswith("#"):
            continue
        name = line.partition("=")[0]
        if not name:
            raise InvalidSpec(f"invalid env file ({path}): no variable name on line '{line}'", cause=f"line {number}")
        if any(c.isspace() for c in name):
            raise InvalidSpec(
                f"invalid env file ({path}): variable '{name}' contains whitespaces", cause=f"line {number}"
            )
        entries.append(line)
    return entries


def label_pair(text: str) -> tuple[str, str]:
    """``name=value``, or a name alone with an empty value."""
    name, _, value = text.partition("=")
    if not name.strip():
        raise InvalidSpec(f"invalid label '{text}': empty name")
    return name, value


def labels(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    return dict(pairs)


def build_arguments(pairs: Sequence[str], outside: Mapping[str, str]) -> dict[str, str]:
    """``--build-arg``: a bare name takes its value from ``outside``, and is dropped when it is not set there."""
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name:
            raise InvalidSpec(f"invalid build argument {pair!r}", hint="Write --build-arg NAME=value.")
        if equals or name in outside:
            found[name] = value if equals else outside[name]
    return found


def filter_pair(text: str) -> tuple[str, str]:
    """``name=value`` of ``--filter``."""
    name, equals, value = text.partition("=")
    if not equals:
        raise InvalidSpec("invalid filter: bad format of filter (expected name=value)")
    return name.strip().lower(), value.strip()


class Filters:
    """``--filter``s: several of one name are alternatives (labels: all must hold), different names must all hold."""

    def __init__(self, pairs: Sequence[tuple[str, str]], known: Sequence[str]) -> None:
        for name, _ in pairs:
            if name not in known:
                error = InvalidInput(f"Invalid filter '{name}'", hint=f"There are: {', '.join(sorted(known))}.")
                error.exit_code = 1
                raise error
        self.pairs = list(pairs)

    def wanted(self, name: str) -> list[str]:
        return [value for key, value in self.pairs if key == name]

    def allows(self, name: str, *actual: str) -> bool:
        """Whether one of ``actual`` is among the wanted values, or none is wanted."""
        wanted = self.wanted(name)
        return not wanted or any(value in wanted for value in actual)

    def matches(self, name: str, *actual: str) -> bool:
        """As :meth:`allows`, with ``*`` patterns."""
        wanted = self.wanted(name)
        return not wanted or any(fnmatch.fnmatchcase(value, pattern) for value in actual for pattern in wanted)

    def contains(self, name: str, *actual: str) -> bool:
        """As :meth:`allows`; a wanted value may be any part of an actual one."""
        wanted = self.wanted(name)
        return not wanted or any(part in value for value in actual for part in wanted)

    def labels(self, actual: Mapping[str, str]) -> bool:
        for wanted in self.wanted("label"):
            name, equals, value = wanted.partition("=")
            if name not in actual or (equals and actual[name] != value):
                return False
        return True

    def label_rules(self, actual: Mapping[str, str]) -> bool:
        """``label`` as :meth:`labels`, and none of ``label!`` may fit: what prune takes."""
        refused = (text.partition("=") for text in self.wanted("label!"))
        hit = any(name in actual and (not equals or actual[name] == value) for name, equals, value in refused)
        return self.labels(actual) and not hit

    def boolean(self, name: str) -> bool | None:
        """None when the filter is not given. Raises for anything but true and false."""
        for value in self.wanted(name):
            if value.lower() in ("true", "1"):
                return True
            if value.lower() in ("false", "0"):
                return False
            error = InvalidInput(f"Invalid filter '{name}={value}'", hint="Write true or false.")
            error.exit_code = 1
            raise error
        return None
