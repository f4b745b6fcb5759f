"""``update``: limits and the restart policy of containers that exist."""

from __future__ import annotations

from typing import Any

from minirt.cli.common import each
from minirt.cli.grammar import absent, command
from minirt.cli.session import Session
from minirt.cli.setting_flags import limit_flags, limit_options
from minirt.errors import UsageError

__all__ = ["update"]

_REAL_TIME = "it takes a kernel with real-time group scheduling, and no cgroups of version 2"


@command(
    "update",
    "Update configuration of one or more containers",
    usage="[OPTIONS] CONTAINER [CONTAINER...]",
    arity=(1, None),
    operands="container",
    flags=[
        *limit_flags(),
        absent("--cpu-rt-period", "", "Limit the CPU real-time period in microseconds", word="int", why=_REAL_TIME),
        absent("--cpu-rt-runtime", "", "Limit the CPU real-time runtime in microseconds", word="int", why=_REAL_TIME),
    ],
)
def update(session: Session, arguments: tuple[str, ...], **options: Any) -> None:
    wanted = limit_options(options)
    if all(value is None for value in wanted.values()):
        raise UsageError("you must provide one or more flags when using this command")

    def change(name: str) -> str:
        session.engine.containers.get(name).update(**wanted)
        return name

    each(session, arguments, change)
