"""Which function reads which instruction; ONBUILD is here because it reads another one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from minirt.dockerfile.instructions import Cmd, Entrypoint, Instruction, Maintainer, OnBuild, StopSignal, User, Workdir
from minirt.dockerfile.read_build import read_add, read_copy, read_from, read_run
from minirt.dockerfile.read_config import (
    read_arg,
    read_env,
    read_expose,
    read_healthcheck,
    read_label,
    read_shell,
    read_volume,
)
from minirt.dockerfile.request import Request
from minirt.dockerfile.source import GO_SPACE
from minirt.errors import DockerfileError

__all__ = ["READERS"]

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
    bodies = "".join(f"\n{doc.content}{doc.name}" for doc in statement.heredocs)
    expression = request.arguments + _trailing_space(request) + bodies
    reader = READERS.get(statement.keyword)
    inner: Instruction | None = None
    if reader is not None:
        try:
            inner = reader(Request(statement, request.escape))
        except DockerfileError:
            inner = None  # BuildKit looks inside only when the trigger runs; the parser adds a notice
    return OnBuild(request.origin, expression, inner)


def _trailing_space(request: Request) -> str:
    """BuildKit keeps what follows the last word of a trigger, spaces too."""
    _, line, _ = request.origin.pieces[-1]
    text = request.origin.source.lines[line - 1].rstrip("\r")
    return text[len(text.rstrip(GO_SPACE)) :]


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
