"""Checks of how single instructions are written."""

from __future__ import annotations

import ast
import contextlib
import json
import re
from collections.abc import Iterator

from minirt.dockerfile.checks.findings import Finding
from minirt.dockerfile.checks.walk import Subject, step_of, steps
from minirt.dockerfile.document import Stage
from minirt.dockerfile.forms import ShellForm
from minirt.dockerfile.instructions import (
    Arg,
    Cmd,
    Entrypoint,
    Env,
    From,
    Healthcheck,
    Instruction,
    Label,
    Maintainer,
    Shell,
)

__all__ = ["check_forms"]

_SECRET = re.compile(
    r"(?:_|^)(?:apikey|auth|credentials?|key|password|pword|passwd|secret|token)(?:_|$)", re.IGNORECASE
)
_NO_SECRET = re.compile(r"(?:_|^)public(?:_|$)", re.IGNORECASE)
_TO_PREVENT = "to prevent unintended behavior related to OS signals"
_MEANT_AS_LIST, _QUOTED = re.compile(r"\[\s*[\"'][^\"']*[\"']\s*(?:,|\]|$)"), re.compile(r"[\"']([^\"']*)[\"']")
_NEEDS_A_SHELL = re.compile(r"[$&|;<>()`*?\[\]{}~'\"\\#=\n]")


def check_forms(subject: Subject) -> Iterator[Finding]:
    for arg in subject.dockerfile.meta_args:
        yield from _blank_lines(arg, "")
        yield from _description(arg, "")
    for step, instruction in steps(subject.dockerfile):
        yield from _blank_lines(instruction, step)
        match instruction:
            case Maintainer(name=name):
                better = f"LABEL org.opencontainers.image.authors={json.dumps(name, ensure_ascii=False)}"
                message = "Maintainer instruction is deprecated in favor of using label"
                yield Finding("MaintainerDeprecated", message, instruction.location, step, better)
            case Env() | Label():
                yield from _key_values(instruction, step)
            case Arg() as arg:
                yield from _description(arg, step)
                yield from _secrets(arg, [one.name for one in arg.args], step)
            case From() as base:
                yield from _description(base, step)
    with_shell: set[str] = set()
    for stage in subject.dockerfile.stages:
        inherited = stage.base.base in with_shell or stage.index in subject.base_shells
        yield from _shell_forms(stage, inherited=inherited)
        if stage.name and (inherited or any(isinstance(one, Shell) for one in stage.instructions)):
            with_shell.add(stage.name)
        yield from _only_the_last_counts(stage)


def _blank_lines(instruction: Instruction, step: str) -> Iterator[Finding]:
    """BuildKit points at the last line of the instruction, before its heredocs; the better lines have no empty one."""
    origin = instruction.origin
    if not origin.blank_lines:
        return
    lines = origin.source.lines[origin.first_line - 1 : origin.text_end]
    better = "\n".join(line for line in lines if line.strip())
    where = origin.source.whole_line(origin.text_end)
    yield Finding("NoEmptyContinuation", "Empty continuation line", where, step, better)


def _key_values(instruction: Env | Label, step: str) -> Iterator[Finding]:
    keyword = instruction.keyword
    if instruction.legacy:
        (pair,) = instruction.pairs
        quoted = (
            pair.value if re.fullmatch(r"[\w.:/@%+,-]+", pair.value) else json.dumps(pair.value, ensure_ascii=False)
        )
        message = f'"{keyword} key=value" should be used instead of legacy "{keyword} key value" format'
        better = f"{keyword} {pair.name}={quoted}"
        yield Finding("LegacyKeyValueFormat", message, instruction.location, step, better)
    if isinstance(instruction, Env):
        yield from _secrets(instruction, [pair.name for pair in instruction.pairs], step)


def _secrets(instruction: Env | Arg, names: list[str], step: str) -> Iterator[Finding]:
    for name in names:
        if _SECRET.search(name) and not _NO_SECRET.search(name):
            message = f'Do not use ARG or ENV instructions for sensitive data ({instruction.keyword} "{name}")'
            better = f"RUN --mount=type=secret,id={name.lower()},env={name} …"
            yield Finding("SecretsUsedInArgOrEnv", message, instruction.origin.find(name), step, better)


def _description(instruction: Arg | From, step: str) -> Iterator[Finding]:
    names = [one.name for one in instruction.args] if isinstance(instruction, Arg) else [instruction.name]
    comments = instruction.origin.comments
    if not comments or not any(names) or comments[-1].split(" ")[0] in names:
        return
    key = names[0] if len(names) == 1 else "<arg_key>"
    message = f"Comment for {instruction.keyword} should follow the format: `# {key} <description>`"
    yield Finding(
        "InvalidDefinitionDescription",
        message,
        instruction.location,
        step,
        f"# {key} {comments[-1]}\n{instruction.original}",
    )


def _shell_forms(stage: Stage, *, inherited: bool) -> Iterator[Finding]:
    """Asking for a shell with SHELL, here or in the stage or image below, says that one is wanted."""
    if inherited:
        return
    for index, one in enumerate(stage.instructions, start=1):
        if isinstance(one, Shell):
            return
        if isinstance(one, Cmd | Entrypoint) and isinstance(one.command, ShellForm):
            text = one.command.text
            words = _words_of(text)
            better = f"{one.keyword} {json.dumps(words, ensure_ascii=False)}" if text else ""
            message = f"JSON arguments recommended for {one.origin.keyword} {_TO_PREVENT}"
            yield Finding("JSONArgsRecommended", message, one.location, step_of(stage.index, index), better)


def _words_of(text: str) -> list[str]:
    """The words of a shell form in exec form; a list that is no JSON (single quotes, no end) was meant as one."""
    if _MEANT_AS_LIST.match(text):
        with contextlib.suppress(ValueError, SyntaxError):
            meant = ast.literal_eval(text)
            if isinstance(meant, list) and all(isinstance(word, str) for word in meant):
                return meant
        return _QUOTED.findall(text)
    return ["/bin/sh", "-c", text] if _NEEDS_A_SHELL.search(text) else text.split()


def _only_the_last_counts(stage: Stage) -> Iterator[Finding]:
    last: dict[str, tuple[int, Instruction]] = {}
    for index, one in enumerate(stage.instructions, start=1):
        if isinstance(one, Cmd | Entrypoint | Healthcheck):
            earlier = last.get(one.keyword)
            if earlier is not None:
                message = (
                    f"Multiple {one.keyword} instructions should not be used in the same stage because only the last "
                    "one will be used"
                )
                step = step_of(stage.index, earlier[0])
                yield Finding("MultipleInstructionsDisallowed", message, earlier[1].location, step)
            last[one.keyword] = (index, one)
