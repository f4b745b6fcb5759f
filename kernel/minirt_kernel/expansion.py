"""Fills in what a docker line leaves open: ``$name``, ``~`` and ``$(docker …)``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePath
from typing import Any

from minirt.errors import Location, UsageError
from minirt_kernel.words import Command, Substitution, Variable, Word, parse_commands

__all__ = ["expand", "names_docker"]

_SIMPLE = (str, int, float, PurePath)


def names_docker(command: Command) -> tuple[Word, ...] | None:
    """The words after ``docker`` (also ``%docker``, ``$ docker``, ``sudo docker``), or None for something else."""
    words = command.words
    for ornament in ("$", "sudo"):
        if words and words[0].literal == ornament:
            words = words[1:]
    if words and words[0].literal in ("docker", "%docker"):
        return words[1:]
    return None


def expand(
    words: tuple[Word, ...], python: Mapping[str, Any], output_of: Callable[[tuple[Word, ...]], str]
) -> list[str]:
    """The arguments. A Python variable wins over the environment's of the same name.

    ``output_of`` runs the docker words of a substitution. Raises :class:`UsageError` for a name that is set nowhere:
    a shell would put nothing there, which is seldom meant.
    """
    found: list[str] = []
    for word in words:
        found += _fields(word, python, output_of)
    return found


def _fields(word: Word, python: Mapping[str, Any], output_of: Callable[[tuple[Word, ...]], str]) -> Iterator[str]:
    """One word, or several where an unquoted substitution has blanks in its output."""
    fields = [""]
    for part in word.parts:
        if isinstance(part, Variable):
            fields[-1] += _value(part, python)
        elif isinstance(part, Substitution):
            text = _output(part, output_of)
            pieces = [text] if part.quoted else text.split()
            if pieces:
                fields[-1] += pieces[0]
                fields += pieces[1:]
        else:
            fields[-1] += part.text
    # As in a shell: a word that is nothing but empty output disappears.
    alone = len(word.parts) == 1 and isinstance(word.parts[0], Substitution) and not word.parts[0].quoted
    return iter([] if alone and fields == [""] else fields)


def _value(variable: Variable, python: Mapping[str, Any]) -> str:
    name = variable.name
    if name in python and isinstance(python[name], _SIMPLE) and not isinstance(python[name], bool):
        return str(python[name])
    if name == "PWD":
        return os.getcwd()  # the environment's may be older than an os.chdir in a cell
    if name == "HOME":
        return os.path.expanduser("~")
    if name in os.environ:
        return os.environ[name]
    raise UsageError(
        f"there is no variable {name!r}",
        where=variable.where,
        cause="neither Python nor the environment has it" + (", as text or a number" if name in python else ""),
        hint=f"Set it in a Python cell; or, if the container should see ${name} itself, put it in single quotes.",
    )


def _output(part: Substitution, output_of: Callable[[tuple[Word, ...]], str]) -> str:
    if part.text == "pwd":
        return os.getcwd()
    commands = parse_commands(part.text, part.where.source, part.where.line)
    words = names_docker(commands[0]) if len(commands) == 1 else None
    if words is None:
        raise _not_docker(part.where)
    return output_of(words).rstrip("\n")


def _not_docker(where: Location) -> UsageError:
    return UsageError(
        "only a docker command or pwd can stand in $( )",
        where=where,
        cause="no shell runs this line",
        hint="Compute it in a Python cell and write $name here.",
    )
