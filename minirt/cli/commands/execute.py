"""``exec`` and ``logs``: a look into a container."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from minirt.cli.container_flags import NO_TERMINAL
from minirt.cli.grammar import absent, command, switch, value, values
from minirt.cli.session import Session
from minirt.cli.streams import Relay, stdin_descriptor
from minirt.cli.units import parse_time
from minirt.cli.values import environment, environment_pair
from minirt.errors import InvalidInput

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
        absent("--detach-keys", "", "Override the key sequence for detaching a container"),
        values("--env", "e", "Set environment variables", name="env", parse=environment_pair),
        values("--env-file", "", "Read in a file of environment variables"),
        switch("--interactive", "i", "Keep STDIN open even if not attached"),
        absent("--privileged", "", "Give extended privileges to the command", word=""),
        absent("--tty", "t", "Allocate a pseudo-TTY", word="", why=NO_TERMINAL),
        value("--user", "u", 'Username or UID (format: "<name|uid>[:<group|gid>]")'),
        value("--workdir", "w", "Working directory inside the container"),
    ],
)
def exec_(session: Session, arguments: tuple[str, ...], **options: Any) -> None:
    name, *words = arguments
    container = session.engine.containers.get(name)
    entries = environment(options["env"], options["env_file"], session.environment, session.cwd)
    with stdin_descriptor(session.stdin, options["interactive"]) as stdin, Relay(session).guarding() as relay:
        code, _ = container.exec_run(
            words,
            environment=entries,
            workdir=options["workdir"] or None,
            user=options["user"],
            output=relay,
            stdin=stdin,
            cancel=session.cancel,
        )
    relay.judge(container.name, code)


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
