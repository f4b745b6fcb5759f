"""Runs one command line: finds the command, gives it the session, turns errors into docker's exit codes."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import dataclass

from minirt.cli.flags import FlagShape, split
from minirt.cli.session import Session
from minirt.cli.tree import COMMANDS, by_our_name, load, resolve
from minirt.errors import Cancelled, ContainerFailed, MinirtError, NotATerminal, StoreError, UsageError

__all__ = ["execute", "run"]

BROKEN_PIPE = 141  # 128 + SIGPIPE, what a shell shows for a program that wrote to a closed pipe
_GLOBAL = (FlagShape("debug", "D", False), FlagShape("version", "v", False), FlagShape("help", "h", False))


@dataclass
class _Trail:
    """How far a command line was understood: errors are told with the usage of that command."""

    program: str
    path: tuple[str, ...] = ()
    usage: str = "[OPTIONS] COMMAND"
    fault: int = 1
    debug: bool = False
    running: bool = False

    def about_words(self, error: MinirtError) -> bool:
        """Whether the command line itself was wrong, and not what it asked for."""
        return isinstance(error, UsageError) and not self.running

    @property
    def words(self) -> str:
        return " ".join((self.program, *self.path))


def run(argv: Sequence[str], session: Session) -> int:
    """One command line, without the program's name. Prints every error; returns docker's exit code, never raises."""
    trail = _Trail(session.name)
    try:
        return _guarded(argv, session, trail)
    except BrokenPipeError:
        return BROKEN_PIPE
    except MinirtError as error:
        return _report(error, session, trail)
    except KeyboardInterrupt:
        return _report(Cancelled(), session, trail)
    except Exception as error:
        import traceback

        detail = traceback.format_exc() if trail.debug else f"{session.name} --debug … shows where.\n"
        session.complain(f"{session.name}: internal error: {type(error).__name__}: {error}\n{detail}")
        return trail.fault


def execute(argv: Sequence[str], session: Session) -> int:
    """As :func:`run`, for callers that show errors themselves.

    Raises :class:`MinirtError` whose ``exit_code`` is docker's; a container that ends with another code than 0 is a
    :class:`ContainerFailed`.
    """
    trail = _Trail(session.name)
    code = _guarded(argv, session, trail)
    if code:
        raise ContainerFailed(f"{trail.words} ended with exit code {code}", exit_code=code)
    return 0


def _guarded(argv: Sequence[str], session: Session, trail: _Trail) -> int:
    try:
        return _dispatch(argv, session, trail)
    except BrokenPipeError:
        raise
    except MinirtError as error:
        if trail.about_words(error):
            error.hint = f"{error.hint} See '{trail.words} --help'.".strip()
        error.exit_code = _exit_code(error, trail)
        raise
    except OSError as error:
        failure = _failure(error, trail.words)
        failure.exit_code = trail.fault
        raise failure from error


def _failure(error: OSError, words: str) -> MinirtError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        from minirt.store.files import storage_errors  # of Linux, while this module is imported everywhere

        try:
            with storage_errors(words):
                raise error
        except MinirtError as full:
            return full
    return StoreError(
        f"{error.strerror or error}: {error.filename}" if error.filename else error.strerror or str(error)
    )


def _dispatch(argv: Sequence[str], session: Session, trail: _Trail) -> int:
    found, rest = split(argv, _GLOBAL, interspersed=False)
    given = {name for name, _ in found}
    trail.debug = session.debug = session.debug or "debug" in given
    if "version" in given:
        from minirt import __version__

        session.print(f"minirt version {__version__}\n")
        return 0
    if "help" in given or not rest:
        from minirt.cli.help import root_help

        session.print(root_help(session.name))
        return 0
    if rest[0] == "help":  # as docker: help COMMAND
        rest = [*rest[1:], "--help"]
    if rest == ["--help"]:
        return _dispatch(rest, session, trail)
    resolved = resolve(tuple(rest), session.name)
    trail.path = resolved.path
    if not resolved.name:
        return _group_alone(session, resolved.path, resolved.rest)
    command = load(resolved.name)
    trail.usage, trail.fault = command.usage, command.fault
    with command.make_context(trail.words, list(resolved.rest), obj=session) as context:
        trail.running = True
        return command.invoke(context)


def _group_alone(session: Session, path: tuple[str, ...], rest: tuple[str, ...]) -> int:
    from minirt.cli.help import group_help

    if any(word not in ("--help", "-h") for word in rest):
        raise UsageError(f"unknown flag: {rest[0]}")
    session.print(group_help(session.name, path[0]))
    return 0


def _exit_code(error: MinirtError, trail: _Trail) -> int:
    """Docker's: 125 from run for all that went wrong before the program, 126 and 127 for the program, else 1."""
    if trail.about_words(error) or isinstance(error, Cancelled | ContainerFailed | NotATerminal):
        return error.exit_code
    runs_a_program = trail.path[-1:] in (("run",), ("exec",))
    if runs_a_program and error.exit_code in (126, 127):
        return error.exit_code
    return trail.fault


def _report(error: MinirtError, session: Session, trail: _Trail) -> int:
    try:
        session.complain(_described(error, session, trail))
    except BrokenPipeError:
        pass
    return error.exit_code


def _described(error: MinirtError, session: Session, trail: _Trail) -> str:
    """The error as docker lays it out, then what minirt adds: the place, the cause, what to do."""
    if isinstance(error, ContainerFailed):
        return ""  # the program has said all there is to say, and its exit code goes on
    if isinstance(error, Cancelled):
        return f"{session.name}: {error.what}\n"
    if trail.about_words(error):
        # Docker names itself before mistakes about commands, not before those about flags.
        head = f"{session.name}: {error.what}" if error.exit_code == 1 else error.what
        name = " ".join(trail.path)
        usage = f"\n\nUsage:  {trail.words} {trail.usage}" if name or trail.fault == 125 else ""
        return f"{head}{usage}\n\n{error.hint}\n"
    starts_with = f"{session.name}: " if trail.fault == 125 else "Error: "
    error.hint = by_our_name(error.hint, session.name)
    return f"{starts_with}{error.explain()}\n"


def known_commands() -> list[str]:
    return list(COMMANDS)
