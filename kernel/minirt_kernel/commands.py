"""Carries out a cell: turns its words into the docker grammar's and lets a thread run them."""

from __future__ import annotations

import asyncio
import functools
import io
import threading
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from minirt.errors import (
    ContainerFailed,
    Location,
    MinirtError,
    NotFound,
    RunFailed,
    UsageError,
)
from minirt.model.cancel import Cancel
from minirt_kernel import faults
from minirt_kernel.arguments import instead_of_typing, may_have_screen, read_options, refuse_archives, split_options
from minirt_kernel.cells import DockerCell, DockerfileCell, DockerfileLine, GraphCell, MistypedCell, RunCell, classify
from minirt_kernel.chain import Link, Piece, read_wish
from minirt_kernel.expansion import expand, names_docker
from minirt_kernel.feed import CellStream, Feed
from minirt_kernel.links import Links, PortLink, links_of, wants_links
from minirt_kernel.words import Word, parse_commands, parse_words
from minirt_kernel.work import Job, perform

if TYPE_CHECKING:
    from minirt_kernel.runtime import Runtime
    from minirt_kernel.screens import NotebookScreens

__all__ = ["SOURCE", "build", "docker_lines", "run_cell", "run_script"]

SOURCE = "cell"
"""What error messages call the text of the cell."""


async def run_cell(runtime: Runtime, text: str) -> None:
    """Any cell that is not Python. Raises :class:`MinirtError` when something in it failed."""
    match classify(text):
        case DockerfileCell() as cell:
            await build(runtime, cell)
        case RunCell() as cell:
            await run_script(runtime, cell)
        case DockerCell() as cell:
            await docker_lines(runtime, cell.text)
        case MistypedCell(word, meant, line):
            written = text.split("\n")[line - 1]
            where = Location(SOURCE, line, written.index(word) + 1, len(word), written)
            raise UsageError(f"there is no {word}", where=where, hint=f"Did you mean {meant}?")
        case GraphCell() as cell:
            from minirt_kernel.graphs import show

            await show(runtime, cell.arguments)
        case DockerfileLine() as cell:
            from minirt_kernel.dockerfile_files import dockerfile_line

            dockerfile_line(runtime, cell.arguments, cell.line)


async def build(runtime: Runtime, cell: DockerfileCell) -> None:
    """``%%dockerfile``: docker build, whose Dockerfile is the cell and whose context is the notebook's folder.

    With ``--continue`` the Dockerfile is the one of an earlier cell, and this cell after it.
    """
    words = parse_words(cell.options, SOURCE, cell.line - 1) if cell.options else ()
    key, number = runtime.cell_key
    known: list[Link] = []
    loop = _own_loop()

    def job(feed: Feed, cancel: Cancel) -> None:
        link, argv = _linked(runtime, cell, _expanded(runtime, words, feed, cancel), Link(key, _piece(cell, number)))
        known.append(link)
        try:
            _execute(runtime, feed, cancel, argv, stdin=_bytes(link.text), screens=_screens(runtime, loop, argv))
        except MinirtError as error:
            if error.where is not None and error.where.source == "Dockerfile":
                error.where = link.place(error.where)
            raise

    def place(line: int) -> int | None:
        link = known[0]
        return link.place(Location("Dockerfile", line)).line if link.owns(line) else None

    await perform(job, functools.partial(runtime.presenter, place=place))
    new = runtime.chain.is_new(key)
    runtime.chain.keep(known[0])
    if new and runtime.pending is not None:
        from minirt_kernel.dockerfile_files import next_cell

        next_cell(runtime)


def _piece(cell: DockerfileCell, number: int) -> Piece:
    return Piece(cell.text, cell.line, number)


_INHERITED = ("build-arg", "build-context", "network", "platform", "secret")


def _linked(runtime: Runtime, cell: DockerfileCell, arguments: list[str], link: Link) -> tuple[Link, list[str]]:
    """The cell as a link of the chain, and its ``docker build``: options that decide steps go on, names do not."""
    where = _magic_line(cell)
    wish, arguments = read_wish(arguments, where)
    options, operands = read_options("build", arguments)
    if any(name == "file" for name, _ in options):
        raise _two_dockerfiles(cell)
    given = tuple(f"--{name}={value}" for name, value in options if name in _INHERITED)
    context = operands[0] if operands else ""
    if wish is not None:
        parent = runtime.chain.parent(wish, link.key, where)
        given = (*parent.options, *given)
        context = context or parent.context
        arguments = [*parent.options, *arguments]
        link = replace(link, parent=parent)
    link = replace(link, options=given, context=context)
    return link, ["build", "--file", "-", *arguments, *([] if operands else [context or "."])]


def _magic_line(cell: DockerfileCell) -> Location:
    text = f"%%dockerfile {cell.options}".rstrip()
    return Location(SOURCE, cell.line - 1, 1, len(text), text)


async def run_script(runtime: Runtime, cell: RunCell) -> None:
    """``%%run``: docker run, with the cell as the script of the image's shell or the input of the command given."""
    words = parse_words(cell.options, SOURCE, cell.line - 1) if cell.options else ()

    def job(feed: Feed, cancel: Cancel) -> None:
        arguments = _expanded(runtime, words, feed, cancel)
        options, rest = split_options("run", arguments)
        if not rest:
            raise _no_image(cell)
        argv, stdin = _script_command(runtime, cell.script, arguments[: len(arguments) - len(rest)], rest, options)
        _execute(runtime, feed, cancel, argv, stdin=stdin)

    await perform(job, runtime.presenter)


async def docker_lines(runtime: Runtime, text: str) -> None:
    """One docker command after the other; the first that fails ends the cell."""
    commands = parse_commands(text, SOURCE)
    lines = [names_docker(command) for command in commands]
    for command, line in zip(commands, lines, strict=True):
        if line is None:
            raise UsageError(
                "this line is not a docker command",
                where=command.where,
                cause="the cell starts with a docker command, so all of its lines are taken as such",
                hint="Put Python into a cell of its own, and a shell's command behind an exclamation mark.",
            )
    loop = _own_loop()
    for line in lines:
        told = await perform(_line_job(runtime, line or (), loop), runtime.presenter)
        if told:
            runtime.page.show({"text/plain": told}, uuid.uuid4().hex, update=False)


def _own_loop() -> asyncio.AbstractEventLoop | None:
    """Only the kernel's own loop goes on taking what the page says while a command runs."""
    return asyncio.get_running_loop() if threading.current_thread() is threading.main_thread() else None


def _screens(runtime: Runtime, loop: asyncio.AbstractEventLoop | None, argv: list[str]) -> NotebookScreens | None:
    """Terminals in the output, for a command that may want one."""
    if not may_have_screen(argv):
        return None
    from minirt_kernel.screens import NotebookScreens, fallback

    return NotebookScreens(runtime, loop, fallback(argv, instead_of_typing(argv)))


def _line_job(runtime: Runtime, words: tuple[Word, ...], loop: asyncio.AbstractEventLoop | None) -> Job[str]:
    """The job's result is to be shown in place of a terminal, where there can be none."""

    def job(feed: Feed, cancel: Cancel) -> str:
        argv = _expanded(runtime, words, feed, cancel)
        screens = _screens(runtime, loop, argv)
        if screens is None:
            _execute(runtime, feed, cancel, argv)
            return ""
        from minirt_kernel.screens import NoLivePage

        try:
            _execute(runtime, feed, cancel, argv, screens=screens)
        except NoLivePage as told:
            return told.text
        return ""

    return job


def _expanded(runtime: Runtime, words: tuple[Word, ...], feed: Feed, cancel: Cancel) -> list[str]:
    def output_of(inner: tuple[Word, ...]) -> str:
        from minirt.cli import execute

        kept = io.BytesIO()
        execute(_expanded(runtime, inner, feed, cancel), runtime.session(feed, cancel, stdout=kept))
        return kept.getvalue().decode(errors="replace")

    return expand(words, runtime.shell.user_ns, output_of)


def _execute(
    runtime: Runtime,
    feed: Feed,
    cancel: Cancel,
    argv: list[str],
    *,
    stdin: bytes = b"",
    screens: NotebookScreens | None = None,
) -> None:
    from minirt.cli import execute

    refuse_archives(argv)
    session = runtime.session(feed, cancel, stdin=stdin, screens=screens)
    try:
        with runtime.telling(feed):
            execute(argv, session)
    except ContainerFailed as error:
        raise faults.without_name(error) from None
    except Exception as error:
        # A build that failed, and no page for the shell in its files: what failed is what matters.
        if screens is not None and isinstance(error.__context__, RunFailed) and not isinstance(error, MinirtError):
            raise error.__context__ from None
        raise
    finally:
        for stream in (session.stdout, session.stderr):
            cast(CellStream, stream).finish()
    if (name := wants_links(argv)) is not None:
        feed.put(_links(runtime, name))


def _links(runtime: Runtime, name: str) -> Links:
    """Where the machine answers for a container, or for all."""
    containers = [runtime.engine.containers.get(name)] if name else runtime.engine.containers.list()
    found: list[PortLink] = []
    for container in containers:
        places = [
            (place["HostIp"], int(place["HostPort"]), inner)
            for inner, bindings in container.ports.items()
            for place in bindings or ()
        ]
        found += links_of(container.name, places).links
    return Links(tuple(found))


_SHELLS = ("sh", "ash", "bash", "dash", "ksh", "zsh")


def _script_command(
    runtime: Runtime, script: str, options: list[str], rest: list[str], given: dict[str, str]
) -> tuple[list[str], bytes]:
    """The whole ``docker run`` command line, and its standard input.

    With a command after the image, or an entrypoint, or a ``#!`` line, the cell is that program's input. Else it is
    the argument of the image's shell, so that commands in it may read their own input; and it stops at the first
    command that fails, as cells do.
    """
    body = _bytes(script)
    image, command = rest[0], rest[1:]
    if command or "entrypoint" in given:
        return ["run", "-i", *options, image, *command], body
    if script.startswith("#!") and (interpreter := script[2:].partition("\n")[0].split()):
        return ["run", "-i", "--entrypoint", interpreter[0], *options, image, *interpreter[1:]], body
    shell, *flags = _shell_of(runtime, image)
    if shell.rpartition("/")[2] in _SHELLS:
        flags.insert(0, "-e")
    return ["run", "--entrypoint", shell, *options, image, *flags, script], b""


def _shell_of(runtime: Runtime, image: str) -> list[str]:
    """The image's own SHELL, else docker's default; also for an image that is yet to be pulled."""
    try:
        config = runtime.engine.images.get(image).attrs.get("Config") or {}
    except NotFound:
        config = {}
    return list(config.get("Shell") or ("/bin/sh", "-c"))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _two_dockerfiles(cell: DockerfileCell) -> UsageError:
    return UsageError(
        "%%dockerfile takes no -f: the cell itself is the Dockerfile",
        where=_magic_line(cell),
        hint="Leave -f out, or build the file with a cell such as: docker build -f FILE -t NAME .",
    )


def _no_image(cell: RunCell) -> UsageError:
    text = f"%%run {cell.options}".rstrip()
    return UsageError(
        "%%run needs the name of an image",
        where=Location(SOURCE, cell.line - 1, 1, len(text), text),
        hint="For example: %%run --rm minirt/base",
    )
