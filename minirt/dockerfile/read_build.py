"""FROM, RUN, COPY and ADD: the instructions that a filesystem is made with."""

from __future__ import annotations

import re

from minirt.dockerfile.flags import FlagValue
from minirt.dockerfile.forms import InlineFile
from minirt.dockerfile.heredocs import is_heredoc_word, parse_heredoc
from minirt.dockerfile.instructions import Add, Copy, From, Run
from minirt.dockerfile.mounts import InvalidMount, Mount, parse_mount
from minirt.dockerfile.request import Request
from minirt.dockerfile.suggest import nearest
from minirt.dockerfile.words import at_blanks
from minirt.errors import DockerfileError

__all__ = ["read_add", "read_copy", "read_from", "read_run"]

_STAGE_NAME = re.compile(r"[a-z][a-z0-9._-]*")


def read_from(request: Request) -> From:
    words = at_blanks(request.arguments)
    if len(words) not in (1, 3) or (len(words) == 3 and words[1].lower() != "as"):
        raise _bad_from(request, words)
    name = words[2].lower() if len(words) == 3 else ""
    if name and not _STAGE_NAME.fullmatch(name):
        raise request.error(
            f"invalid name for build stage: {words[2]!r}, name can't start with a number or contain symbols",
            request.last_span(),
            hint="A letter first, then letters, digits, '.', '_' or '-'.",
        )
    return From(request.origin, words[0], name, request.flags.text("platform"), words[2] if name else "")


def _bad_from(request: Request, words: tuple[str, ...]) -> DockerfileError:
    cause = hint = ""
    if not words:
        hint = "FROM scratch begins with nothing; FROM minirt/base with a small system."
    elif words[1].startswith("--"):
        cause = "flags come before the image's name"
        hint = f"Write FROM {words[1]} {words[0]}"
    elif len(words) == 2 and words[1].lower() == "as":
        cause = "the stage's name is missing after AS"
    elif len(words) == 2:
        cause = "AS is missing before the stage's name"
        hint = f"Write FROM {words[0]} AS {words[1]}"
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
    if is_heredoc_word(words[-1]):
        raise request.error(f"{keyword} cannot accept a heredoc as a destination", request.last_span())
    by_name = {heredoc.name: heredoc for heredoc in request.statement.heredocs}
    files, sources = [], []
    for word in words[:-1]:
        opened = parse_heredoc(word) if "<<" in word else None
        if opened is None:
            sources.append(word)
        else:  # in JSON form the word has no lines to itself, and BuildKit makes an empty file
            filled = by_name.get(opened.name, opened)
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
