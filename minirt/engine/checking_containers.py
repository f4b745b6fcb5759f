"""What ``docker system check`` looks at in each container's directory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from minirt.containers.records import ContainerRecord
from minirt.engine.findings import Finding, Problem
from minirt.engine.leftovers import end_processes, monitors_of
from minirt.errors import InvalidDocument, MinirtError
from minirt.sandbox.state import write_state

if TYPE_CHECKING:
    from minirt.engine.facade import Engine

__all__ = ["containers"]

_KILLED = 137


def containers(engine: Engine) -> Iterator[Finding]:
    """Every container has a record, a state, a storage layer, its layers below and its volumes."""
    shelf = engine.lifecycle.shelf
    for identity in shelf.unfinished():
        yield from _half_made(engine, identity)
    for directory in sorted((engine.store.home / "containers").glob("*")):
        yield from _unreadable(directory)
    for record in shelf.all():
        directory = shelf.directory(record.id)
        where = f"containers/{record.short_id} ({record.name})"
        if engine.lifecycle.state(record).status == "dead":
            # Somebody wanted it gone, and its record stayed only because something kept its files from going.
            problem = Problem(where, "its removal was interrupted", "remove what is left of it")
            yield Finding(problem, partial(engine.lifecycle.remove, record, force=True))
            continue
        yield from _state(engine, record, directory, where)
        # An upper directory, or the whole tree where root filesystems are copies.
        if not any((directory / name).is_dir() for name in ("upper", "tree")):
            yield Finding(
                Problem(where, f"its storage layer is gone: docker rm {record.name}, it cannot start any more")
            )
        for diff_id in record.diff_ids:
            if not engine.snapshots.diff_path(diff_id).is_dir() and not engine.store.has(record.image_id):
                yield Finding(
                    Problem(where, f"the layer {diff_id} below it is gone: pull or build {record.image} again")
                )
        for point in record.mounts:
            if point.kind == "volume":
                try:
                    engine.volume_store.get(point.name)
                except MinirtError:
                    what = f"its volume {point.name} is gone: docker volume create {point.name} makes an empty one"
                    yield Finding(Problem(where, what))


def _half_made(engine: Engine, identity: str) -> Iterator[Finding]:
    directory = engine.lifecycle.shelf.directory(identity)
    if not engine.store.is_locked(f"container-{identity}"):  # then it is being made or removed right now
        problem = Problem(f"containers/{identity}", "a container without a record", "remove it")
        yield Finding(problem, partial(engine.snapshots.discard, directory))


def _unreadable(directory: Path) -> Iterator[Finding]:
    """A record that is there and cannot be read: its files may be dear to somebody, so nothing is removed."""
    try:
        ContainerRecord.from_bytes((directory / "config.json").read_bytes())
    except FileNotFoundError:
        return
    except (OSError, InvalidDocument) as error:
        what = (
            f"the container's record cannot be read ({error}); what it wrote is in {directory / 'upper'}: copy what"
            f" you want to keep, then remove {directory.name[:12]}'s directory"
        )
        yield Finding(Problem(f"containers/{directory.name[:12]}/config.json", what))


def _state(engine: Engine, record: ContainerRecord, directory: Path, where: str) -> Iterator[Finding]:
    """What the monitor wrote is JSON; if not, nobody can tell any more how the container ended."""
    try:
        json.loads((directory / "state.json").read_bytes())["Status"]
        return
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError):
        pass
    living = monitors_of(engine.store.home, record.id)
    cure = "end the container and write it anew, as exited" if living else "write it anew, as exited with code 137"
    yield Finding(Problem(f"{where}/state.json", "is torn", cure), partial(_mend, directory, living))


def _mend(directory: Path, living: list[int]) -> None:
    end_processes(living)
    error = "its state was lost on the disk"
    write_state(str(directory), {"Status": "exited", "ExitCode": _KILLED, "Error": error}, durable=True)
