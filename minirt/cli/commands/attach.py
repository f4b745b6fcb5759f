"""``attach``: come back to a container that runs."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from minirt.cli.grammar import Flag, command, switch, value
from minirt.cli.keys import DETACH_KEYS, parse_keys
from minirt.cli.screens import container_program, screen_for
from minirt.cli.session import Session
from minirt.cli.streams import Relay, stdin_descriptor
from minirt.errors import Cancelled, ContainerNotRunning

if TYPE_CHECKING:
    from minirt.engine.containers import Container

__all__ = ["attach", "detach_keys"]


def detach_keys() -> Flag:
    """The option of all commands that can have a screen."""
    text = "Override the key sequence for detaching a container"
    return value("--detach-keys", "", text, parse=parse_keys, default=DETACH_KEYS)


@command(
    "attach",
    "Attach local standard input, output, and error streams to a running container",
    usage="[OPTIONS] CONTAINER",
    arity=(1, 1),
    operands="container",
    flags=[
        detach_keys(),
        switch("--no-stdin", "", "Do not attach STDIN"),
        switch("--sig-proxy", "", "Proxy all received signals to the process", default=True),
    ],
)
def attach(session: Session, arguments: tuple[str, ...], **options: Any) -> int:
    container: Container = session.engine.containers.get(arguments[0])
    if not container.state.alive:
        raise ContainerNotRunning(
            "You cannot attach to a stopped container, start it first",
            hint=f"{session.name} start -ai {container.name} starts it and attaches at once.",
        )
    interactive = container.record.stdin_open and not options["no_stdin"]
    with screen_for(session, terminal=container.record.terminal, interactive=interactive) as screen:
        if screen is not None:
            program = container_program(container, container.connect, keys=options["detach_keys"], stays=True)
            return screen.show(program)
        return _follow(session, container, interactive, proxy=options["sig_proxy"])


def _follow(session: Session, container: Container, interactive: bool, *, proxy: bool) -> int:
    """Without a terminal. An interrupt is passed on to the container if ``proxy``, and ends the attachment."""
    with stdin_descriptor(session.stdin, interactive) as stdin, Relay(session).guarding() as relay:
        attachment = container.connect(relay, stdin=stdin)
        try:
            code = attachment.wait(session.cancel, stays=True)
        except (Cancelled, KeyboardInterrupt):
            if proxy:
                with contextlib.suppress(ContainerNotRunning):
                    container.kill("INT")
            raise
    relay.judge(container.name, code)
    return 0
