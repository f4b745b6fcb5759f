"""Completion and help for editors: what may stand at the cursor, and what the word under it means."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from minirt.cli.grammar import Command, Flag
from minirt.cli.session import Session
from minirt.cli.tree import COMMANDS, GROUPS, Resolved, aliases_of, load, resolve
from minirt.errors import MinirtError, UsageError

if TYPE_CHECKING:
    from minirt.engine import Engine

__all__ = ["Completion", "complete", "help_for"]


@dataclass(frozen=True, slots=True)
class Completion:
    """``text`` replaces the last word; ``kind`` is command, flag, value, image, container, volume, network or path."""

    text: str
    kind: str
    help: str = ""


# Values that a flag allows, and flags whose value names something.
_CHOICES = {
    "--pull": ("always", "missing", "never"),
    "--progress": ("auto", "none", "plain", "quiet", "rawjson", "tty"),
    "--on-error": ("fail", "shell"),
    "--call": ("check", "outline", "targets"),
    "--provenance": ("false",),
    "--sbom": ("false",),
    "--network": ("host", "none"),
    "--net": ("host", "none"),
    "--type": ("container", "image", "network", "volume"),
    "--format": ("table", "json"),
    "--driver": ("local",),
    "--platform": ("linux/amd64", "linux/arm64"),
}
_KINDS = {
    "--volumes-from": "container",
    "--volume": "volume",
    "--env-file": "path",
    "--label-file": "path",
    "--file": "path",
    "--input": "path",
    "--output": "path",
    "--cidfile": "path",
    "--iidfile": "path",
    "--metadata-file": "path",
    "--tag": "image",
}


def complete(words: Sequence[str], session: Session) -> list[Completion]:
    """What can stand in place of the last of ``words`` (which may be empty); the program's name is not among them.

    Never raises: where nothing can be known, the list is empty.
    """
    *before, prefix = words or [""]
    try:
        found = _candidates(tuple(before), prefix, session)
        return [candidate for candidate in found if candidate.text.startswith(prefix)]
    except (MinirtError, OSError):
        return []


def _candidates(before: tuple[str, ...], prefix: str, session: Session) -> list[Completion]:
    while before and before[0] in ("-D", "--debug"):
        before = before[1:]
    resolved = _resolved(before)
    if resolved is None:
        return []
    if not resolved.name:
        return _commands(resolved) if not resolved.rest else []
    command = load(resolved.name)
    if prefix.startswith("--") and "=" in prefix:
        name, _, start = prefix.partition("=")
        flag = _flag(command, name)
        values = _values(flag, start, session) if flag is not None else []
        return [Completion(f"{name}={value.text}", value.kind, value.help) for value in values]
    waiting, operands = _position(command, resolved.rest)
    if waiting is not None:
        return _values(waiting, prefix, session)
    inside = operands and not command.allow_interspersed_args
    if prefix.startswith("-"):
        return [] if inside else list(_flags(command))
    if operands and (inside or (command.arity[1] is not None and len(operands) >= command.arity[1])):
        return []
    return _named(command.operands, prefix, session)


def _resolved(words: tuple[str, ...]) -> Resolved | None:
    try:
        return resolve(words, "")
    except UsageError:
        return None


def _commands(resolved: Resolved) -> list[Completion]:
    if resolved.path:
        members = GROUPS[resolved.path[0]].members
        return [Completion(word, "command", COMMANDS[target].text) for word, target in sorted(members.items())]
    top = {name: entry.text for name, entry in COMMANDS.items() if not entry.only_in_group}
    top |= {name: group.text for name, group in GROUPS.items()}
    return [Completion(name, "command", text) for name, text in sorted(top.items())]


def _flags(command: Command) -> Iterator[Completion]:
    for flag in sorted(command.flags, key=lambda flag: flag.long):
        if not flag.not_yet and not flag.hidden:
            yield Completion(flag.long, "flag", flag.help or "")
    for flag in command.flags:
        if flag.short and not flag.not_yet:
            yield Completion(f"-{flag.short}", "flag", flag.help or "")


def _flag(command: Command, word: str) -> Flag | None:
    """The option that ``word`` names; of letters in a row, the last."""
    for flag in command.flags:
        if word.startswith("--") and flag.long == word:
            return flag
        if not word.startswith("--") and len(word) > 1 and flag.short == word[-1]:
            return flag
    return None


def _position(command: Command, rest: tuple[str, ...]) -> tuple[Flag | None, list[str]]:
    """The option that waits for its value after ``rest``, and the arguments so far."""
    operands: list[str] = []
    waiting: Flag | None = None
    for word in rest:
        if waiting is not None:
            waiting = None
        elif operands and not command.allow_interspersed_args:
            operands.append(word)
        elif word.startswith("-") and word != "-":
            flag = _flag(command, word) if "=" not in word else None
            waiting = flag if flag is not None and flag.word else None
        else:
            operands.append(word)
    return waiting, operands


def _values(flag: Flag, prefix: str, session: Session) -> list[Completion]:
    if flag.long in _CHOICES:
        return [Completion(choice, "value") for choice in _CHOICES[flag.long]]
    kind = _KINDS.get(flag.long, "")
    if kind == "volume" and prefix.startswith((".", "/")):
        kind = "path"
    return _named(kind, prefix, session)


def _named(kind: str, prefix: str, session: Session) -> list[Completion]:
    if kind == "path":
        return list(_paths(prefix, session))
    if kind == "network":
        return [Completion("host", "network"), Completion("none", "network")]
    engine = session.engine if kind else None
    if engine is None:
        return []
    found: list[Completion] = []
    if kind in ("image", "any"):
        found += _images(engine, prefix)
    if kind in ("container", "any"):
        found += [
            Completion(c.name, "container", f"{c.record.image}, {c.status}") for c in engine.containers.list(True)
        ]
    if kind in ("volume", "any"):
        found += [Completion(volume.name, "volume", "volume") for volume in engine.volumes.list()]
    return found


def _images(engine: Engine, prefix: str) -> list[Completion]:
    found = []
    for image in engine.images.list():
        found += [Completion(tag, "image", image.stored.id.short) for tag in image.tags]
        if not image.tags or (prefix and image.stored.id.short.startswith(prefix)):
            found.append(Completion(image.stored.id.short, "image", "an image's id"))
    base = "minirt/base"
    if not any(completion.text.startswith(base) for completion in found):
        found.append(Completion(base, "image", "made from this machine's own programs, no network needed"))
    return found


def _paths(prefix: str, session: Session) -> Iterator[Completion]:
    head, tail = os.path.split(prefix)
    directory = session.cwd / head if head else session.cwd
    for entry in sorted(os.scandir(directory), key=lambda entry: entry.name):
        if entry.name.startswith(".") and not tail.startswith("."):
            continue
        slash = "/" if entry.is_dir() else ""
        yield Completion(os.path.join(head, entry.name) + slash, "path", "directory" if slash else "file")


def help_for(words: Sequence[str], name: str = "docker") -> str:
    """Markdown about the last of ``words``: a flag, a command, or the command it belongs to. Empty: nothing to say."""
    resolved = _resolved(tuple(words))
    while resolved is None and words:
        words = words[:-1]
        resolved = _resolved(tuple(words))
    if resolved is None:
        return ""
    if not resolved.name:
        return _group_markdown(resolved, name)
    command = load(resolved.name)
    last = words[-1]
    flag = _flag(command, last.partition("=")[0]) if last.startswith("-") else None
    path = " ".join((name, *resolved.path))
    if flag is None and len(words) > 1 and not last.startswith("-"):
        waiting, operands = _position(command, resolved.rest[:-1])
        if waiting is not None and (command.allow_interspersed_args or not operands):
            flag = waiting
    return _flag_markdown(flag, path) if flag is not None else _command_markdown(command, path, resolved, name)


def _group_markdown(resolved: Resolved, name: str) -> str:
    rows = "\n".join(f"- `{found.text}`: {found.help}" for found in _commands(resolved))
    title = " ".join((name, *resolved.path))
    return f"**`{title}`** *COMMAND*\n\n{rows}\n"


def _flag_markdown(flag: Flag, path: str) -> str:
    value = f" *{flag.word}*" if flag.word else ""
    again = "\n\nMay be given several times." if flag.multiple and not flag.not_yet else ""
    refused = f"\n\nNot in minirt so far: {flag.not_yet}." if flag.not_yet else ""
    return f"**`{flag.shown}`**{value} (`{path}`)\n\n{_plain(flag.help or '')}{again}{refused}\n"


def _command_markdown(command: Command, path: str, resolved: Resolved, name: str) -> str:
    others = [f"`{name} {alias}`" for alias in aliases_of(resolved.name) if f"{name} {alias}" != path]
    lines = [f"**`{path}`** `{command.usage}`", command.help or ""]
    if others:
        lines.append(f"Also: {', '.join(others)}")
    flags = [flag for flag in sorted(command.flags, key=lambda flag: flag.long) if not flag.not_yet and not flag.hidden]
    if flags:
        lines.append("| option | |\n|---|---|\n" + "\n".join(_flag_row(flag) for flag in flags))
    return "\n\n".join(lines) + "\n"


def _flag_row(flag: Flag) -> str:
    word = f" {flag.word}" if flag.word else ""
    return f"| `{flag.shown}{word}` | {_plain(flag.help or '').replace('|', chr(92) + '|').replace(chr(10), '<br>')} |"


def _plain(text: str) -> str:
    return text.replace("<", "&lt;")
