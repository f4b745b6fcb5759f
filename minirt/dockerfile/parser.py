"""From text to a :class:`Dockerfile`: statements become instructions, instructions become stages."""

from __future__ import annotations

from minirt.dockerfile.diagnosis import unknown_instruction
from minirt.dockerfile.document import Dockerfile, Notice, Stage
from minirt.dockerfile.instructions import Arg, From, Instruction, OnBuild
from minirt.dockerfile.lexer import Lexer, Statement, decode
from minirt.dockerfile.readers import READERS
from minirt.dockerfile.request import Request
from minirt.dockerfile.source import Origin
from minirt.errors import DockerfileError, Location

__all__ = ["parse", "parse_trigger"]


def parse(text: str | bytes, source: str = "Dockerfile") -> Dockerfile:
    """Read a whole Dockerfile; ``source`` is its name in errors.

    Raises :class:`DockerfileError`, always with a location. Variables are not expanded yet.
    """
    lexer = Lexer(decode(text, source) if isinstance(text, bytes) else text, source)
    instructions = []
    above: Origin | None = None
    for statement in lexer.statements():
        instructions.append(_instruction(statement, above, lexer.escape))
        above = statement.origin
    meta_args, stages = _stages(instructions, lexer.source.name, lexer.source.lines)
    return Dockerfile(
        source=lexer.source,
        stages=stages,
        meta_args=meta_args,
        directives=lexer.directives,
        escape=lexer.escape,
        warnings=_notices(instructions, lexer),
    )


def parse_trigger(expression: str, source: str = "ONBUILD") -> Instruction:
    """One instruction from a base image's ONBUILD list; raises :class:`DockerfileError`."""
    lexer = Lexer(expression, source)
    found = [_instruction(statement, None, lexer.escape) for statement in lexer.statements()]
    where = lexer.source.whole_line(1)
    if len(found) != 1:
        raise DockerfileError("an ONBUILD trigger must be one instruction", where=where)
    if isinstance(found[0], From | OnBuild) or found[0].keyword == "MAINTAINER":
        raise DockerfileError(f"{found[0].keyword} isn't allowed as an ONBUILD trigger", where=where)
    return found[0]


def _instruction(statement: Statement, above: Origin | None, escape: str) -> Instruction:
    reader = READERS.get(statement.keyword)
    if reader is None:
        raise unknown_instruction(statement.origin, above, escape)
    return reader(Request(statement, escape))


def _stages(
    instructions: list[Instruction], name: str, lines: tuple[str, ...]
) -> tuple[tuple[Arg, ...], tuple[Stage, ...]]:
    meta_args: list[Arg] = []
    groups: list[tuple[From, list[Instruction]]] = []
    for instruction in instructions:
        if isinstance(instruction, From):
            groups.append((instruction, []))
        elif groups:
            groups[-1][1].append(instruction)
        elif isinstance(instruction, Arg):
            meta_args.append(instruction)
        else:
            raise instruction.origin.error(
                "no build stage in current context",
                (0, len(instruction.origin.keyword)),
                cause=f"{instruction.keyword} stands before the first FROM; only ARG may",
                hint="Begin with FROM, for example FROM minirt/base",
            )
    if not groups:
        what = "dockerfile contains no stages to build" if instructions else "file with no instructions"
        where = Location(name, 1, 1, 1, lines[0].rstrip("\r") if lines else "")
        raise DockerfileError(what, where=where, hint="A Dockerfile needs a FROM, for example FROM minirt/base")
    stages = tuple(Stage(index, base, tuple(rest)) for index, (base, rest) in enumerate(groups))
    return tuple(meta_args), stages


def _notices(instructions: list[Instruction], lexer: Lexer) -> tuple[Notice, ...]:
    notices = []
    syntax = lexer.directives.get("syntax")
    if syntax is not None:
        message = f"# syntax={syntax.value} names a frontend image; minirt reads today's language itself"
        notices.append(Notice("SyntaxIgnored", message, syntax.location))
    for instruction in instructions:
        if isinstance(instruction, OnBuild) and instruction.inner is None:
            message = "this trigger cannot be parsed: images built FROM this one will fail"
            notices.append(Notice("BrokenTrigger", message, instruction.location))
    return tuple(notices)
