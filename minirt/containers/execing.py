"""``docker exec``: a further program in a container that runs already."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from minirt.containers.attaching import forward
from minirt.containers.records import ContainerRecord
from minirt.containers.starting import make_process
from minirt.containers.state import State
from minirt.model.cancel import Cancel
from minirt.model.spec import Process
from minirt.sandbox import Sandbox
from minirt.snapshots import Union

__all__ = ["exec_process", "run_exec"]

Output = Callable[[str, bytes], None]


def exec_process(
    record: ContainerRecord,
    argv: Sequence[str],
    union: Union,
    *,
    environment: Mapping[str, str],
    cwd: str | None,
    user: str,
) -> Process:
    """The container's own environment, directory and user, unless others are asked for."""
    inside = replace(record, user=user or record.user, cwd=cwd or record.cwd, entrypoint=(), command=tuple(argv))
    process = make_process(inside, union)
    return replace(process, env={**process.env, **environment})


def run_exec(
    sandbox: Sandbox,
    state: State,
    process: Process,
    *,
    privileged: bool,
    output: Output,
    stdin: int | None,
    cancel: Cancel | None,
) -> int:
    """Run it, hand on what it writes, and return its exit code. Raises what :meth:`Sandbox.exec` does, Cancelled."""
    pipes = {"stdout": os.pipe(), "stderr": os.pipe()}
    try:
        running = sandbox.exec(
            state.pid,
            state.start_time,
            process,
            privileged=privileged,
            stdin=stdin,
            stdout=pipes["stdout"][1],
            stderr=pipes["stderr"][1],
        )
    except BaseException:
        for read, _ in pipes.values():
            os.close(read)
        raise
    finally:
        for _, write in pipes.values():
            os.close(write)
    streams = {read: name for name, (read, _) in pipes.items()}
    reader = threading.Thread(target=forward, args=(streams, output), daemon=True)
    reader.start()
    try:
        end = running.wait(cancel=cancel)
    except BaseException:
        running.kill(9)
        raise
    reader.join()
    return end.code
