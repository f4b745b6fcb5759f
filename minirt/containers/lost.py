"""Ends that nobody saw: a monitor that was killed, or a machine that was switched off, wrote none."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from minirt.containers.state import read_state
from minirt.errors import MinirtError
from minirt.sandbox.state import now, write_state
from minirt.store import Store
from minirt.store.lives import lasted, note_end

__all__ = ["write_lost_end"]


def write_lost_end(store: Store, directory: Path) -> None:
    """Write the end, at the time at which it was found, as docker's engine does with what it finds after a crash.

    Where nothing can be written, or somebody starts or removes the container right now, it is left for later.
    """
    with suppress(OSError, ValueError, MinirtError), store.lock(f"container-{directory.name}", timeout=0):
        state = read_state(directory)
        if not state.lost:
            return
        before = json.loads((directory / "state.json").read_bytes())
        end = {"Status": state.status, "Pid": 0, "ExitCode": state.exit_code, "Error": state.error}
        (directory / "paused").unlink(missing_ok=True)
        after = {**before, **end, "FinishedAt": now(), "Stubs": None}
        write_state(str(directory), after, durable=False)
        note_end(str(directory), state.exit_code, lasted(after))
