"""``--help`` in docker's layout (docker/cli, cli/cobra.go; spf13/pflag, FlagUsagesWrapped)."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from minirt.cli.tree import COMMANDS, GROUPS, aliases_of

if TYPE_CHECKING:
    from minirt.cli.grammar import Command, Flag

__all__ = ["command_help", "flag_lines", "group_help", "root_help"]

_SLOP = 5  # pflag breaks this much early, so that the last line may take in a word that would stand alone


def command_help(command: Command, path: str, columns: int = 80) -> str:
    """The help of one command; ``path`` is how it was called, such as ``docker image ls``."""
    program, _, words = path.partition(" ")
    parts = [f"Usage:  {path} {command.usage}", command.help or ""]
    aliases = aliases_of(words)
    if len(aliases) > 1:
        parts.append("Aliases:\n  " + ", ".join(f"{program} {alias}" for alias in aliases))
    flags = [flag for flag in command.flags if not flag.not_yet and not flag.hidden]
    if flags:
        parts.append("Options:\n" + "\n".join(flag_lines(flags, columns)))
    refused = [flag.long for flag in command.flags if flag.not_yet]
    if refused:
        text = "Of docker's options, minirt refuses for now: " + ", ".join(sorted(refused))
        parts.append(textwrap.fill(text, columns, break_on_hyphens=False))
    return "\n\n".join(parts) + "\n"


def root_help(program: str) -> str:
    """The help of the whole tree, from its table: no command is imported for it."""
    top = {name: entry for name, entry in COMMANDS.items() if not entry.only_in_group}
    common = {name: entry.text for name, entry in top.items() if entry.common}
    others = {name: entry.text for name, entry in sorted(top.items()) if not entry.common}
    return (
        f"Usage:  {program} [OPTIONS] COMMAND\n\n"
        "A small, real container runtime to learn from\n\n"
        f"Common Commands:\n{_rows(common)}\n"
        f"Management Commands:\n{_rows({name: group.text for name, group in GROUPS.items()})}\n"
        f"Commands:\n{_rows(others)}\n"
        "Global Options:\n"
        "  -D, --debug     Show where in the program an unexpected error came from\n"
        "  -v, --version   Print version information and quit\n\n"
        f"Run '{program} COMMAND --help' for more information on a command.\n"
    )


def group_help(program: str, name: str) -> str:
    group = GROUPS[name]
    rows = {word: COMMANDS[target].text for word, target in sorted(group.members.items())}
    return (
        f"Usage:  {program} {name} COMMAND\n\n{group.text}\n\nCommands:\n{_rows(rows)}\n"
        f"Run '{program} {name} COMMAND --help' for more information on a command.\n"
    )


def _rows(rows: dict[str, str]) -> str:
    width = max(11, *(len(name) + 1 for name in rows))
    return "".join(f"  {name:<{width}} {text}\n" for name, text in rows.items())


def flag_lines(flags: Sequence[Flag], columns: int = 80) -> list[str]:
    """The option rows, wrapped, in alphabetical order."""
    heads = []
    for flag in sorted(flags, key=lambda flag: flag.long):
        letter = f"-{flag.short}, " if flag.short else "    "
        heads.append((f"  {letter}{flag.long}{' ' + flag.word if flag.word else ''}", flag.help or ""))
    indent = max(len(head) for head, _ in heads) + 3
    lines = []
    for head, text in heads:
        wrapped = [piece for line in text.split("\n") for piece in _wrap(line, columns - 1 - indent)]
        lines += [f"{head:<{indent}}{wrapped[0]}", *(" " * indent + line for line in wrapped[1:])]
    return lines


def _wrap(text: str, width: int) -> list[str]:
    lines = []
    while width > 24 and len(text) >= width:
        cut = text.rfind(" ", 0, width - _SLOP)
        if cut <= 0:
            break
        lines.append(text[:cut])
        text = text[cut + 1 :]
    return [*lines, text]
