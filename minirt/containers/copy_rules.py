"""Where a copy lands: the path rules of ``docker cp`` (docs.docker.com, "docker container cp"), as pure functions."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from minirt.errors import InvalidInput

__all__ = ["Landing", "Place", "landing", "split_name"]


@dataclass(frozen=True, slots=True)
class Place:
    """One end of a copy: the path as typed, and what is there.

    ``real`` is the path with its links resolved (of what is missing: its parent's); ``directory`` what it is now.
    ``dangling``: written with a slash at its end, and a link to nothing.
    """

    text: str
    exists: bool
    directory: bool
    real: str
    dangling: bool = False


@dataclass(frozen=True, slots=True)
class Landing:
    """The existing directory to unpack in, and what the copied thing is called there; empty: only its contents."""

    directory: str
    name: str


def split_name(text: str) -> tuple[str, str]:
    """(container, path) of one argument of ``cp``; the container is empty for a path of the machine.

    A path that is absolute, or starts with a dot, never names a container.
    """
    container, colon, path = text.partition(":")
    if not colon or text.startswith(("/", ".")):
        return "", text
    return container, path


def landing(source: Place, target: Place) -> Landing:
    """Where ``source``, which exists, lands. Raises :class:`InvalidInput` where docker refuses, with exit code 1."""
    name = posixpath.basename(source.text.rstrip("/"))
    only_contents = name in ("", ".")
    if name == "..":
        name = posixpath.basename(source.real)
    if target.exists and target.directory:
        return Landing(target.real, "" if source.directory and only_contents else name)
    if target.exists and source.directory:
        raise _refused("cannot copy directory", "The target is a file; a directory can only be copied to a directory.")
    if not target.exists and not source.directory and target.text.endswith(("/", "/.")):
        raise _refused("no such directory", "A path that ends with / must be a directory that exists.")
    if not target.exists and target.text.endswith("/."):
        return Landing(target.real, "")  # only what is in it was asked for, so it must be there: its callers say so
    if target.dangling:
        directory, last = posixpath.split(target.text.rstrip("/"))
        raise _refused(
            f'cannot overwrite non-directory "{last}" with directory "{directory}"',
            "It is a link to something that is not there. Without the slash, what it points to is made.",
        )
    directory, last = posixpath.split(target.real.rstrip("/"))
    return Landing(directory or "/", last)


def _refused(what: str, hint: str) -> InvalidInput:
    error = InvalidInput(what, hint=hint)
    error.exit_code = 1
    return error
