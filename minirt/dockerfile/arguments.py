"""From a statement to its typed instruction: one function an instruction."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from minirt.dockerfile.flags import Flags, FlagValue, read_flags
from minirt.dockerfile.heredocs import is_heredoc_word, parse_heredoc
from minirt.dockerfile.instructions import (
    Add,
    Arg,
    ArgDeclaration,
    Cmd,
    Command,
    Copy,
    Entrypoint,
    Env,
    ExecForm,
    Expose,
    From,
    Healthcheck,
    InlineFile,
    Instruction,
    Label,
    Maintainer,
    OnBuild,
    Pair,
    Run,
    Shell,
    ShellForm,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from minirt.dockerfile.lexer import Statement
from minirt.dockerfile.mounts import InvalidMount, Mount, parse_mount
from minirt.dockerfile.source import BLANKS, GO_SPACE, Origin, Span
from minirt.dockerfile.suggest import nearest
from minirt.dockerfile.values import parse_duration
from minirt.dockerfile.words import NotStrings, argument_spans, at_blanks, exec_form, outside_quotes
from minirt.errors import DockerfileError

__all__ = ["READERS", "Request"]

_STAGE_NAME = re.compile(r"[a-z][a-z0-9._-]*")
_FIRST_WORD = re.compile(rf"[^{re.escape(GO_SPACE)}]+")
_RETRIES_LIMIT = 2**31
_SHORTEST_TIME = 1_000_000  # docker's MinimumDuration: a millisecond


class Request:
    """A statement while it is being read."""

    __slots__ = ("arguments", "escape", "flags", "keyword", "origin", "statement")

    def __init__(self, statement: Statement, escape: str):
        self.statement = statement
        self.escape = escape
        self.origin: Origin = statement.origin
        self.keyword = statement.keyword
        self.arguments = statement.arguments
        self.flags: Flags = read_flags(statement.keyword, statement.flags, statement.origin)

    def span(self) -> Span:
        """All the arguments."""
        return (self.statement.arguments_start, len(self.origin.text))

    def error(self, what: str, span: Span | None = None, *, cause: str = "", hint: str = "") -> DockerfileError:
        if span is None and self.arguments:
            span = self.span()
        return self.origin.error(what, span, cause=cause, hint=hint)

    def one(self) -> str:
        """The whole rest as one argument."""
        if not self.arguments:
            raise self.error(f"{self.keyword} requires exactly one argument")
        return self.arguments

    def json(self) -> tuple[str, ...] | None:
        """The words of the exec form, None in the shell form."""
        try:
            return exec_form(self.arguments)
        except NotStrings as error:
            raise self.error(
                str(error), cause="something in the brackets is not in double quotes", hint='["program", "argument"]'
            ) from None

    def command(self) -> Command:
        words = self.json()
        return ShellForm(self.arguments) if words is None else ExecForm(words)

    def list_of_words(self) -> tuple[str, ...]:
        words = self.json()
        return at_blanks(self.arguments) if words is None else words


def read_from(request: Request) -> From:
    words = at_blanks(request.arguments)
    if len(words) not in (1, 3) or (len(words) == 3 and words[1].lower() != "as"):
        raise _bad_from(request, words)
    name = words[2].lower() if len(words) == 3 else ""
    if name and not _STAGE_NAME.fullmatch(name):
        raise request.error(
            f"invalid name for build stage: {words[2]!r}, name can't start with a number or contain symbols",
            _last_span(request),
            hint="A letter first, then letters, digits, '.', '_' or '-'.",
        )
    return From(request.origin, words[0], name, request.flags.text("platform"), words[2] if name else "")


def _bad_from(request: Request, words: tuple[str, ...]) -> DockerfileError:
    cause = hint = ""
    if not words:
        hint = "FROM scratch begins with nothing; FROM minirt/base with a small system."
    elif len(words) == 2 and words[1].lower() == "as":
        cause = "the stage's name is missing after AS"
    elif len(words) == 2:
        cause = "AS is missing before the stage's name"
        hint = f"Write FROM {words[0]} AS {words[1]}"
    elif words[1].startswith("--"):
        cause = "flags come before the image's name"
    elif any(word.startswith("#") for word in words):
        cause = "a comment needs a line of its own"
    return request.error("FROM requires either one or three arguments", cause=cause, hint=hint)


def read_run(request: Request) -> Run:
    flags = request.flags
    mounts = tuple(_mount(request, value) for value in flags.many("mount"))
    network = _choice(request, "network", ("default", "none", "host"))
    security = _choice(request, "security", ("sandbox", "insecure"))
    return Run(request.origin, request.command(), mounts, network, security, request.statement.heredocs)


def _mount(request: Request, value: FlagValue) -> Mount:
    try:
        return parse_mount(value.text)
    except InvalidMount as error:
        start = request.origin.text.find(error.word, *value.span) if error.word else -1
        span = (start, start + len(error.word)) if start >= 0 else value.span
        raise request.error(str(error), span, hint=error.hint) from None


def _choice(request: Request, flag: str, choices: tuple[str, ...]) -> str:
    value = request.flags.text(flag)
    if request.flags.span(flag) is None:
        return choices[0]
    if value not in choices:
        near = nearest(value, choices)
        hint = f"did you mean {near}?" if near else f"It can be {', '.join(choices)}."
        raise request.error(f"invalid {flag} mode: {value!r}", request.flags.span(flag), hint=hint)
    return value


def _transfer(request: Request) -> tuple[tuple[str, ...], str, tuple[InlineFile, ...]]:
    words = request.list_of_words()
    keyword = request.keyword
    if len(words) < 2:
        what = f"{keyword} requires at least two arguments"
        if words:
            what += ", but only one was provided. Destination could not be determined"
        raise request.error(what, hint=f"Write {keyword} {words[0] if words else 'source'} /a/path/")
    heredocs = request.statement.heredocs
    if not heredocs:
        return words[:-1], words[-1], ()
    if is_heredoc_word(words[-1]):
        raise request.error(f"{keyword} cannot accept a heredoc as a destination", _last_span(request))
    by_name = {heredoc.name: heredoc for heredoc in heredocs}
    files, sources = [], []
    for word in words[:-1]:
        opened = parse_heredoc(word) if "<<" in word else None
        if opened is None:
            sources.append(word)
        elif opened.name in by_name:
            filled = by_name[opened.name]
            files.append(InlineFile(filled.name, filled.body, filled.expand))
    return tuple(sources), words[-1], tuple(files)


def read_copy(request: Request) -> Copy:
    sources, destination, files = _transfer(request)
    flags = request.flags
    return Copy(
        request.origin,
        sources,
        destination,
        files,
        chown=flags.text("chown"),
        chmod=flags.text("chmod"),
        link=flags.switch("link") or False,
        exclude=tuple(value.text for value in flags.many("exclude")),
        from_=flags.text("from"),
        parents=flags.switch("parents") or False,
    )


def read_add(request: Request) -> Add:
    sources, destination, files = _transfer(request)
    flags = request.flags
    return Add(
        request.origin,
        sources,
        destination,
        files,
        chown=flags.text("chown"),
        chmod=flags.text("chmod"),
        link=flags.switch("link") or False,
        exclude=tuple(value.text for value in flags.many("exclude")),
        checksum=flags.text("checksum"),
        keep_git_dir=flags.switch("keep-git-dir"),
        unpack=flags.switch("unpack"),
    )


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
                _find(request, word),
                cause="a value with spaces needs quotes",
            )
        if not name:
            raise request.error(f"{request.keyword} names can not be blank", _find(request, word))
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
            raise request.error("ARG names can not be blank", _find(request, word))
        args.append(ArgDeclaration(name, value if equals else None))
    return Arg(request.origin, tuple(args))


def read_expose(request: Request) -> Expose:
    words = at_blanks(request.arguments)
    if not words:
        raise request.error("EXPOSE requires at least one argument")
    return Expose(request.origin, words)


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


_NO_TRIGGERS = ("FROM", "MAINTAINER")


def read_onbuild(request: Request) -> OnBuild:
    if not request.arguments:
        raise request.error("ONBUILD requires at least one argument")
    statement = request.statement.inner()
    keyword_span = (request.statement.arguments_start, request.statement.arguments_start + len(statement.keyword))
    if statement.keyword == "ONBUILD":
        raise request.error("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed", keyword_span)
    if statement.keyword in _NO_TRIGGERS:
        raise request.error(f"{statement.keyword} isn't allowed as an ONBUILD trigger", keyword_span)
    expression = request.arguments + "".join(f"\n{doc.content}{doc.name}" for doc in statement.heredocs)
    reader = READERS.get(statement.keyword)
    inner: Instruction | None = None
    if reader is not None:
        try:
            inner = reader(Request(statement, request.escape))
        except DockerfileError:
            inner = None  # BuildKit looks inside only when the trigger runs; the parser adds a notice
    return OnBuild(request.origin, expression, inner)


def _find(request: Request, word: str) -> Span:
    start = request.origin.text.find(word, request.statement.arguments_start)
    return (start, start + len(word)) if start >= 0 else request.span()


def _last_span(request: Request) -> Span:
    spans = argument_spans(request.origin.text)
    return spans[-1] if spans else request.span()


READERS: Mapping[str, Callable[[Request], Instruction]] = {
    "ADD": read_add,
    "ARG": read_arg,
    "CMD": lambda request: Cmd(request.origin, request.command()),
    "COPY": read_copy,
    "ENTRYPOINT": lambda request: Entrypoint(request.origin, request.command()),
    "ENV": read_env,
    "EXPOSE": read_expose,
    "FROM": read_from,
    "HEALTHCHECK": read_healthcheck,
    "LABEL": read_label,
    "MAINTAINER": lambda request: Maintainer(request.origin, request.one()),
    "ONBUILD": read_onbuild,
    "RUN": read_run,
    "SHELL": read_shell,
    "STOPSIGNAL": lambda request: StopSignal(request.origin, request.one()),
    "USER": lambda request: User(request.origin, request.one()),
    "VOLUME": read_volume,
    "WORKDIR": lambda request: Workdir(request.origin, request.one()),
}
