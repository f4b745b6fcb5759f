"""``exec`` and ``logs``: a look into a container."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from minirt.cli.commands.attach import detach_keys
from minirt.cli.grammar import command, switch, value, values
from minirt.cli.screens import Program, screen_for
from minirt.cli.session import Session
from minirt.cli.streams import Relay, stdin_descriptor
from minirt.cli.units import parse_time
from minirt.cli.values import environment, environment_pair
from minirt.errors import InvalidInput, SandboxError

if TYPE_CHECKING:
    from minirt.engine.attaching import Attachment, Output, Window
    from minirt.engine.containers import Container

__all__ = ["exec_", "logs"]


@command(
    "exec",
    "Execute a command in a running container",
    usage="[OPTIONS] CONTAINER COMMAND [ARG...]",
    arity=(2, None),
    operands="container",
    interspersed=False,
    flags=[
        switch("--detach", "d", "Detached mode: run command in the background"),
        detach_keys(),
        values("--env", "e", "Set environment variables", name="env", parse=environment_pair),
        values("--env-file", "", "Read in a file of environment variables"),
        switch("--interactive", "i", "Keep STDIN open even if not attached"),
        switch("--privileged", "", "Give extended privileges to the command"),
        switch("--tty", "t", "Allocate a pseudo-TTY"),
        value("--user", "u", 'Username or UID (format: "<name|uid>[:<group|gid>]")'),
        value("--workdir", "w", "Working directory inside the container"),
    ],
)
def exec_(session: Session, arguments: tuple[str, ...], **options: Any) -> int:
    name, *words = arguments
    given = {
        "environment": environment(options["env"], options["env_file"], session.environment, session.cwd),
        "workdir": options["workdir"] or None,
        "user": options["user"],
        "privileged": options["privileged"],
    }
    if options["detach"]:
        return _begin_alone(session, name, words, given, terminal=options["tty"])
    with screen_for(session, terminal=options["tty"], interactive=options["interactive"]) as screen:
        container = session.engine.containers.get(name)
        if screen is not None:
            begin = partial(_begin, container, words, given)
            return screen.show(
                Program(
                    container.name, begin, lambda attachment, cancel: attachment.outcome(cancel), options["detach_keys"]
                )
            )
    window = (session.rows, session.columns) if options["tty"] else None
    with stdin_descriptor(session.stdin, options["interactive"]) as stdin, Relay(session).guarding() as relay:
        code = container.exec_open(words, relay, stdin=stdin, window=window, **given).wait(session.cancel)
    relay.judge(container.name, code)
    return 0


def _begin_alone(session: Session, name: str, words: list[str], given: dict[str, Any], *, terminal: bool) -> int:
    try:
        session.engine.containers.get(name).exec_run(words, detach=True, tty=terminal, **given)
    except SandboxError as error:
        error.exit_code = 1  # docker: nobody waits for this program, so its faults are the command's own
        raise
    return 0


def _begin(
    container: Container, words: list[str], given: dict[str, Any], output: Output, stdin: int, window: Window
) -> Attachment:
    return container.exec_open(words, output, stdin=stdin, window=window, **given)


@command(
    "logs",
    "Fetch the logs of a container",
    usage="[OPTIONS] CONTAINER",
    arity=(1, 1),
    operands="container",
    flags=[
        switch("--details", "", "Show extra details provided to logs"),
        switch("--follow", "f", "Follow log output"),
        value(
            "--since",
            "",
            'Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)',
        ),
        value("--tail", "n", 'Number of lines to show from the end of the logs (default "all")', default="all"),
        switch("--timestamps", "t", "Show timestamps"),
        value(
            "--until",
            "",
            'Show logs before a timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)',
        ),
    ],
)
def logs(session: Session, arguments: tuple[str, ...], **options: Any) -> None:
    since, until = (_moment(name, options[name]) for name in ("since", "until"))
    container = session.engine.containers.get(arguments[0])
    relay = Relay(session)
    # A number of lines; ``all``, and what is not a number, mean all (docker does the same).
    tail = int(options["tail"]) if options["tail"].isdecimal() else None
    lines = container.log_lines(follow=options["follow"], tail=tail, since=since, until=until, cancel=session.cancel)
    for line in lines:
        head = f"{line.time} " if options["timestamps"] else ""
        if options["details"]:
            head += ",".join(f"{_quoted(key)}={_quoted(text)}" for key, text in sorted(line.details.items())) + " "
        relay(line.stream, head.encode() + line.data)
        relay.check()


def _quoted(text: str) -> str:
    """As in the query of an address: what would part one detail from the next is written otherwise."""
    from urllib.parse import quote_plus

    return quote_plus(text)


def _moment(name: str, text: str) -> datetime | None:
    """A time, seconds since 1970, or how long ago (``1h30m``)."""
    if not text:
        return None
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return datetime.fromtimestamp(float(text), UTC)
    if re.fullmatch(r"(?:\d+(?:\.\d+)?(?:h|ms|m|s))+", text):
        units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
        parts = re.findall(r"(\d+(?:\.\d+)?)(h|ms|m|s)", text)
        return datetime.now(UTC) - timedelta(seconds=sum(float(count) * units[unit] for count, unit in parts))
    moment = parse_time(text)
    if moment is None:
        what = f'invalid value for "{name}": failed to parse value as time or duration: "{text}"'
        error = InvalidInput(what, hint="Write 2013-01-02T13:23:37Z, or 42m, or 1h30m.")
        error.exit_code = 1
        raise error
    return moment
