"""ENV, LABEL, ARG, EXPOSE, VOLUME, SHELL and HEALTHCHECK: instructions that change the config."""

from __future__ import annotations

import re

from minirt.dockerfile.forms import ArgDeclaration, ExecForm, Pair, ShellForm
from minirt.dockerfile.instructions import Arg, Env, Expose, Healthcheck, Label, Shell, Volume
from minirt.dockerfile.request import Request
from minirt.dockerfile.source import BLANKS, GO_SPACE
from minirt.dockerfile.values import parse_duration
from minirt.dockerfile.words import at_blanks, outside_quotes

__all__ = ["read_arg", "read_env", "read_expose", "read_healthcheck", "read_label", "read_shell", "read_volume"]

_FIRST_WORD = re.compile(rf"[^{re.escape(GO_SPACE)}]+")
_RETRIES_LIMIT = 2**31
_SHORTEST_TIME = 1_000_000  # docker's MinimumDuration: a millisecond


def _pairs(request: Request) -> tuple[tuple[Pair, ...], bool]:
    """ENV and LABEL: ``name=value …``, or the old ``name value`` when the first word has no ``=``."""
    words = outside_quotes(request.arguments, request.escape)
    if not words:
        raise request.error(f"{request.keyword} requires at least one argument")
    if "=" not in words[0]:
        name, _, _ = _cut_blank(request.arguments)
        value = request.arguments[len(name) :].lstrip(BLANKS)
        if not value:
            raise request.error(
                f"{request.keyword} must have two arguments", hint=f"Write {request.keyword} {name}=value"
            )
        return (Pair(name, value),), True
    pairs = []
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise request.error(
                f"Syntax error - can't find = in {word!r}. Must be of the form: name=value",
                request.find(word),
                cause="a value with spaces needs quotes",
            )
        if not name:
            raise request.error(f"{request.keyword} names can not be blank", request.find(word))
        pairs.append(Pair(name, value))
    return tuple(pairs), False


def _cut_blank(text: str) -> tuple[str, str, str]:
    for index, char in enumerate(text):
        if char in BLANKS:
            return text[:index], char, text[index + 1 :]
    return text, "", ""


def read_env(request: Request) -> Env:
    return Env(request.origin, *_pairs(request))


def read_label(request: Request) -> Label:
    return Label(request.origin, *_pairs(request))


def read_arg(request: Request) -> Arg:
    words = outside_quotes(request.arguments, request.escape)
    if not words:
        raise request.error("ARG requires at least one argument")
    args = []
    for word in words:
        name, equals, value = word.partition("=")
        if equals and not name:
            raise request.error("ARG names can not be blank", request.find(word))
        args.append(ArgDeclaration(name, value if equals else None))
    return Arg(request.origin, tuple(args))


def read_expose(request: Request) -> Expose:
    words = at_blanks(request.arguments)
    if not words:
        raise request.error("EXPOSE requires at least one argument")
    return Expose(request.origin, tuple(sorted(words)))  # as BuildKit, which sorts before it expands


def read_volume(request: Request) -> Volume:
    words = request.list_of_words()
    if not words:
        raise request.error("VOLUME requires at least one argument")
    paths = tuple(word.strip(GO_SPACE) for word in words)
    if not all(paths):
        raise request.error("VOLUME specified can not be an empty string")
    return Volume(request.origin, paths)


def read_shell(request: Request) -> Shell:
    words = request.json()
    if words is None:
        raise request.error("SHELL requires the arguments to be in JSON form", hint='SHELL ["/bin/sh", "-c"]')
    if not words:
        raise request.error("SHELL requires at least one argument")
    return Shell(request.origin, words)


def read_healthcheck(request: Request) -> Healthcheck:
    match = _FIRST_WORD.match(request.arguments)
    if match is None:
        raise request.error("HEALTHCHECK requires at least one argument")
    kind = match.group().upper()
    start = request.statement.arguments_start
    if kind == "NONE":
        if match.end() < len(request.arguments):
            raise request.error("HEALTHCHECK NONE takes no arguments")
        return Healthcheck(request.origin, None)
    if kind != "CMD":
        raise request.error(
            f'Unknown type "{kind}" in HEALTHCHECK (try CMD)',
            (start, start + match.end()),
            hint="Write HEALTHCHECK [flags] CMD command, or HEALTHCHECK NONE.",
        )
    request.arguments = request.arguments[match.end() :].lstrip(GO_SPACE)
    command = request.command()
    if command in (ShellForm(""), ExecForm(())):
        raise request.error("Missing command after HEALTHCHECK CMD", (start, start + match.end()))
    return Healthcheck(
        request.origin,
        command,
        interval=_duration(request, "interval"),
        timeout=_duration(request, "timeout"),
        start_period=_duration(request, "start-period"),
        start_interval=_duration(request, "start-interval"),
        retries=_retries(request),
    )


def _duration(request: Request, flag: str) -> int:
    text = request.flags.text(flag)
    if not text:
        return 0
    try:
        value = parse_duration(text)
    except ValueError as error:
        hint = f"Write --{flag}=30s; the units are ms, s, m and h."
        raise request.error(str(error), request.flags.span(flag), hint=hint) from None
    if value and value < _SHORTEST_TIME:
        raise request.error(f'Interval "{flag}" cannot be less than 1ms', request.flags.span(flag))
    return value


def _retries(request: Request) -> int:
    text = request.flags.text("retries")
    digits = text.removeprefix("-").removeprefix("+")
    if not text:
        return 0
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 10 or int(digits) >= _RETRIES_LIMIT:
        raise request.error(f"--retries={text} is not a number", request.flags.span("retries"))
    if text.startswith("-") and int(digits):
        raise request.error(f"--retries cannot be negative ({text})", request.flags.span("retries"))
    return int(digits)
