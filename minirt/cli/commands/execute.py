"""``exec`` and ``logs``: a look into a container."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from minirt.cli.commands.attach import detach_keys
from minirt.cli.grammar import absent, command, switch, value, values
from minirt.cli.screens import Program, screen_for
from minirt.cli.session import Session
from minirt.cli.streams import Relay, stdin_descriptor
from minirt.cli.units import parse_time
from minirt.cli.values import environment, environment_pair
from minirt.errors import InvalidInput

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
        absent("--detach", "d", "Detached mode: run command in the background", word=""),
        detach_keys(),
        values("--env", "e", "Set environment variables", name="env", parse=environment_pair),
        values("--env-file", "", "Read in a file of environment variables"),
        switch("--interactive", "i", "Keep STDIN open even if not attached"),
        absent("--privileged", "", "Give extended privileges to the command", word=""),
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
    }
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


def _begin(
    container: Container, words: list[str], given: dict[str, Any], output: Output, stdin: int, window: Window
) -> Attachment:
    return container.exec_open(words, output, stdin=stdin, window=window, **given)


def _tail(text: str) -> int | None:
    """A number of lines; ``all``, and what is not a number, mean all (docker does the same)."""
    return int(text) if text.isdecimal() else None


@command(
    "logs",
    "Fetch the logs of a container",
    usage="[OPTIONS] CONTAINER",
    arity=(1, 1),
    operands="container",
    flags=[
        absent("--details", "", "Show extra details provided to logs", word=""),
        switch("--follow", "f", "Follow log output"),
        value(
            "--since",
            "",
            'Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)',
        ),
        value(
            "--tail", "n", 'Number of lines to show from the end of the logs (default "all")', parse=_tail, default=None
        ),
        switch("--timestamps", "t", "Show timestamps"),
        value(
            "--until",
            "",
            'Show logs before a timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)',
        ),
    ],
)
def logs(session: Session, arguments: tuple[str, ...], **options: Any) -> None:
    since, until = (_moment(options[name]) for name in ("since", "until"))
    container = session.engine.containers.get(arguments[0])
    relay = Relay(session)
    lines = container.log_lines(follow=options["follow"], tail=options["tail"], cancel=session.cancel)
    for stream, data, time in lines:
        moment = parse_time(time)
        if since is not None and moment is not None and moment < since:
            continue
        if until is not None and moment is not None and moment > until:
            break
        relay(stream, (f"{time} ".encode() if options["timestamps"] else b"") + data)
        relay.check()


def _moment(text: str) -> datetime | None:
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
        error = InvalidInput(f'invalid value for time: "{text}"', hint="Write 2013-01-02T13:23:37Z, or 42m, or 1h30m.")
        error.exit_code = 1
        raise error
    return moment
