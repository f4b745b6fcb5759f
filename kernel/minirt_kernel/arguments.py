"""What the words of a docker command line ask for, before anything is done: its options, a terminal, an archive."""

from __future__ import annotations

import itertools
import re
import shlex

from minirt.errors import InvalidReference, UsageError

__all__ = ["instead_of_typing", "may_have_screen", "read_options", "refuse_archives", "split_options"]


def split_options(command: str, arguments: list[str]) -> tuple[dict[str, str], list[str]]:
    """The options by long name, and what is not an option: the build's context, or image and command."""
    found, rest = read_options(command, arguments)
    return dict(found), rest


def read_options(command: str, arguments: list[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """The same with every option in its order, also one that is given twice. Raises UsageError."""
    from minirt.cli.flags import FlagShape, split
    from minirt.cli.tree import load

    known = load(command)
    shapes = [*(flag.shape for flag in known.flags), FlagShape("help", "", False)]
    return split(arguments, shapes, interspersed=known.allow_interspersed_args)


def may_have_screen(argv: list[str]) -> bool:
    """Whether the command may want a terminal."""
    words = [word for word in argv if word not in ("container", "image", "builder", "buildx")]
    if words[:1] == ["build"]:
        return "--on-error=shell" in words or ("--on-error", "shell") in itertools.pairwise(words)
    return words[:1] in (["run"], ["exec"], ["start"], ["attach"], ["debug"])


def instead_of_typing(argv: list[str]) -> str:
    """What to type where nobody can type on a terminal."""
    words = argv[1:] if argv[0] == "container" else argv
    command, arguments = words[0], words[1:]
    if command == "build" or "build" in words[:2]:
        return "docker debug tells what the step had changed; with a COMMAND behind it, runs that."
    _, rest = split_options(command, arguments)
    options = [_untyped(word) for word in arguments[: len(arguments) - len(rest)]]
    line = shlex.join(["docker", command, *filter(None, options), *rest])
    if command in ("attach", "start"):
        name = rest[0] if rest else "NAME"
        return f"docker logs {name} shows what it wrote, docker exec {name} COMMAND runs a command in it."
    if len(rest) > 1 or (command == "debug" and rest):
        return f"{line}"
    if command == "debug":
        return f"{line} tells what the step had changed; with a COMMAND behind it, runs that."
    return f"{line} COMMAND runs one command; with -dit it waits, and docker exec NAME COMMAND runs commands in it."


def _untyped(word: str) -> str:
    """An option without -i and -t."""
    if word in ("--interactive", "--tty"):
        return ""
    if re.fullmatch(r"-[A-Za-z]*[it]+[A-Za-z]*", word):
        return "-" + word[1:].replace("i", "").replace("t", "") if word.strip("-it") else ""
    return word


def refuse_archives(argv: list[str]) -> None:
    """A tar archive is no text for a page; a terminal would refuse it too."""
    from minirt.cli.tree import resolve

    try:
        found = resolve(tuple(argv), "docker")
    except UsageError:
        return  # to be told with all that belongs to it
    if found.name == "build":
        _refuse_outputs(list(found.rest))
    if found.name not in ("save", "export", "cp"):
        return
    options, rest = split_options(found.name, list(found.rest))
    if rest[-1:] == ["-"] or (found.name != "cp" and rest and not {"output", "help"} & options.keys()):
        raise UsageError("an archive cannot be shown in a cell", hint="Write it to a file: docker save -o FILE IMAGE")


def _refuse_outputs(words: list[str]) -> None:
    from minirt.cli.build_values import read_output

    options, _ = read_options("build", words)
    for name, text in options:
        try:
            if name == "output" and read_output(text).dest == "-":
                raise UsageError("an archive cannot be shown in a cell", hint="Name a file or directory: dest=FILE")
        except (ValueError, InvalidReference):
            continue  # the command says what is wrong with it
