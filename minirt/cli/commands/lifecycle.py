"""``start``, ``stop``, ``kill``, ``restart``, ``pause``, ``unpause``, ``wait``, ``rm``, ``rename``, ``commit``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from minirt.cli.commands.attach import detach_keys
from minirt.cli.common import each
from minirt.cli.grammar import absent, command, number, switch, value, values
from minirt.cli.screens import container_program, screen_for
from minirt.cli.session import Session
from minirt.errors import ContainerNotFound, MinirtError, NotFound, UsageError
from minirt.model.reference import Reference

__all__ = ["commit", "kill", "pause", "rename", "restart", "rm", "start", "stop", "unpause", "wait"]

_ONE_OR_MORE: dict[str, Any] = {"arity": (1, None), "operands": "container"}
_NAMES = "CONTAINER [CONTAINER...]"


@command(
    "start",
    "Start one or more stopped containers",
    usage=f"[OPTIONS] {_NAMES}",
    **_ONE_OR_MORE,
    flags=[
        switch("--attach", "a", "Attach STDOUT/STDERR and forward signals"),
        detach_keys(),
        switch("--interactive", "i", "Attach container's STDIN"),
    ],
)
def start(session: Session, arguments: tuple[str, ...], **options: Any) -> int:
    if options["attach"] or options["interactive"]:
        return _start_attached(session, arguments, options)

    def begin(name: str) -> str:
        session.engine.containers.get(name).start()
        return name

    each(session, arguments, begin)
    return 0


def _start_attached(session: Session, names: tuple[str, ...], options: dict[str, Any]) -> int:
    if len(names) > 1:
        error = UsageError("you cannot start and attach multiple containers at once")
        error.exit_code = 1
        raise error
    from minirt.cli.commands.run import attach

    container = session.engine.containers.get(names[0])
    interactive = options["interactive"] and container.record.stdin_open
    with screen_for(session, terminal=container.record.terminal, interactive=interactive) as screen:
        if screen is not None:
            begin = partial(container.open, lives_on=True)
            return screen.show(container_program(container, begin, keys=options["detach_keys"], stays=True))
    attach(session, container, interactive, lives_on=True)
    return 0


@contextmanager
def _named(what: str) -> Iterator[None]:
    """Docker's daemon says what could not be done, then why; for a container that is not there only that."""
    try:
        yield
    except ContainerNotFound:
        raise
    except MinirtError as error:
        error.what = f"{what}: {error.what}"
        raise


@command(
    "stop",
    "Stop one or more running containers",
    usage=f"[OPTIONS] {_NAMES}",
    **_ONE_OR_MORE,
    flags=[
        value("--signal", "s", "Signal to send to the container"),
        number("--timeout", "t", "Seconds to wait before killing the container"),
        value("--time", "", "The same as --timeout", word="int", parse=int, default=None, hidden=True),
    ],
)
def stop(session: Session, arguments: tuple[str, ...], **options: Any) -> None:
    timeout = options["timeout"] if options["timeout"] is not None else options["time"]
    signal = options["signal"] or None

    def end(name: str) -> str:
        with _named(f"cannot stop container: {name}"):
            session.engine.containers.get(name).stop(timeout, signal=signal, cancel=session.cancel)
        return name

    each(session, arguments, end)


@command(
    "restart",
    "Restart one or more containers",
    usage=f"[OPTIONS] {_NAMES}",
    **_ONE_OR_MORE,
    flags=[
        value("--signal", "s", "Signal to send to the container"),
        number("--timeout", "t", "Seconds to wait before killing the container"),
        value("--time", "", "The same as --timeout", word="int", parse=int, default=None, hidden=True),
    ],
)
def restart(session: Session, arguments: tuple[str, ...], **options: Any) -> None:
    timeout = options["timeout"] if options["timeout"] is not None else options["time"]

    def again(name: str) -> str:
        with _named(f"cannot restart container: {name}"):
            session.engine.containers.get(name).restart(timeout, signal=options["signal"] or None)
        return name

    each(session, arguments, again)


@command(
    "kill",
    "Kill one or more running containers",
    usage=f"[OPTIONS] {_NAMES}",
    **_ONE_OR_MORE,
    flags=[value("--signal", "s", "Signal to send to the container", default="KILL")],
)
def kill(session: Session, arguments: tuple[str, ...], **options: Any) -> None:
    def send(name: str) -> str:
        with _named(f"cannot kill container: {name}"):
            session.engine.containers.get(name).kill(options["signal"])
        return name

    each(session, arguments, send)


@command("pause", "Pause all processes within one or more containers", usage=_NAMES, **_ONE_OR_MORE)
def pause(session: Session, arguments: tuple[str, ...]) -> None:
    def hold(name: str) -> str:
        session.engine.containers.get(name).pause()
        return name

    each(session, arguments, hold)


@command("unpause", "Unpause all processes within one or more containers", usage=_NAMES, **_ONE_OR_MORE)
def unpause(session: Session, arguments: tuple[str, ...]) -> None:
    def release(name: str) -> str:
        session.engine.containers.get(name).unpause()
        return name

    each(session, arguments, release)


@command("wait", "Block until one or more containers stop, then print their exit codes", usage=_NAMES, **_ONE_OR_MORE)
def wait(session: Session, arguments: tuple[str, ...]) -> None:
    def until_end(name: str) -> str:
        return str(session.engine.containers.get(name).wait(cancel=session.cancel)["StatusCode"])

    each(session, arguments, until_end)


@command(
    "rm",
    "Remove one or more containers",
    usage=f"[OPTIONS] {_NAMES}",
    **_ONE_OR_MORE,
    flags=[
        switch("--force", "f", "Force the removal of a running container (uses SIGKILL)"),
        absent("--link", "l", "Remove the specified link", word=""),
        switch("--volumes", "v", "Remove anonymous volumes associated with the container"),
    ],
)
def rm(session: Session, arguments: tuple[str, ...], **options: Any) -> None:
    def remove(name: str) -> str | None:
        try:
            session.engine.containers.get(name).remove(force=options["force"], v=options["volumes"])
        except NotFound as error:
            if not options["force"]:
                raise
            session.complain_of(error)  # docker: with --force what is gone is no failure
            return None
        return name

    each(session, arguments, remove)


@command("rename", "Rename a container", usage="CONTAINER NEW_NAME", arity=(2, 2), operands="container")
def rename(session: Session, arguments: tuple[str, ...]) -> None:
    session.engine.containers.get(arguments[0]).rename(arguments[1])


@command(
    "commit",
    "Create a new image from a container's changes",
    usage="[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
    arity=(1, 2),
    operands="container",
    flags=[
        value("--author", "a", 'Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")'),
        values("--change", "c", "Apply Dockerfile instruction to the created image"),
        value("--message", "m", "Commit message"),
        switch("--pause", "p", "Pause container during commit", default=True),
    ],
)
def commit(session: Session, arguments: tuple[str, ...], **options: Any) -> None:
    ref = Reference.parse(arguments[1]) if len(arguments) > 1 else None
    container = session.engine.containers.get(arguments[0])
    image = container.commit(
        ref.name if ref else None,
        ref.tag if ref else None,
        message=options["message"],
        author=options["author"],
        changes=options["change"],
        pause=options["pause"],
    )
    session.print(f"{image.id}\n")
