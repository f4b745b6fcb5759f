"""``docker exec``: a further program in a container that runs already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from minirt.containers.records import ContainerRecord
from minirt.containers.starting import Window, make_process
from minirt.model.spec import Process
from minirt.snapshots import Union

__all__ = ["exec_process"]


def exec_process(
    record: ContainerRecord,
    argv: Sequence[str],
    union: Union,
    *,
    environment: Mapping[str, str],
    cwd: str | None,
    user: str,
    terminal: Window | None,
) -> Process:
    """The container's own environment, directory and user, unless others are asked for."""
    inside = replace(
        record,
        user=user or record.user,
        cwd=cwd or record.cwd,
        entrypoint=(),
        command=tuple(argv),
        terminal=terminal is not None,
        stdin_open=False,
    )
    process = make_process(inside, union, terminal)
    return replace(process, env={**process.env, **environment})
