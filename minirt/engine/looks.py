"""What pictures of containers need to know, as the facts of views."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from minirt.containers.processes import members
from minirt.errors import ContainerNotFound, ContainerNotRunning, ImageNotFound
from minirt.views.layers_view import LayerBox
from minirt.views.namespaces_view import IdMap, NamespaceRow, ProcessRow
from minirt.views.states_view import StatedContainer
from minirt.views.storage_facts import StorageContainer, StorageVolume, StoredPath, VolumeUse

if TYPE_CHECKING:
    from minirt.engine.facade import Engine

__all__ = ["namespaces_of", "stated_containers", "stored_containers", "stored_volumes"]


def stored_containers(engine: Engine, local: frozenset[str] = frozenset()) -> list[StorageContainer]:
    """Every container with its storage layer; ``local`` are diff ids whose sizes differ between machines."""
    found = []
    for container in engine.containers.list(all=True):
        with suppress(ContainerNotFound):
            paths = tuple(StoredPath(change.kind, change.path) for change in container.changes())
            layers: tuple[LayerBox, ...] = ()
            with suppress(ImageNotFound):
                layers = tuple(
                    LayerBox(str(layer.diff_id), layer.content, layer.created_by, str(layer.diff_id) in local)
                    for layer in container.image.layers
                )
            own = engine.lifecycle.storage_bytes(container.record)
            facts = (container.name, container.status, container.record.image, layers, own)
            found.append(StorageContainer(*facts, paths))
    return found


def stated_containers(engine: Engine, names: Sequence[str] = (), *, removed_too: bool = False) -> list[StatedContainer]:
    """The containers of these names, or all, oldest first. A name that nobody has (any more) is ``gone``.

    Raises :class:`ContainerNotFound` instead unless ``removed_too``.
    """
    if not names:
        found = reversed(engine.containers.list(all=True))
        return [StatedContainer(one.name, one.status, one.state.exit_code) for one in found]
    stated = []
    for name in names:
        try:
            one = engine.containers.get(name)
            stated.append(StatedContainer(one.name, one.status, one.state.exit_code))
        except ContainerNotFound:
            if not removed_too:
                raise
            stated.append(StatedContainer(name, "gone"))
    return stated


def stored_volumes(engine: Engine) -> list[StorageVolume]:
    """Every volume with its bytes and users."""
    records = engine.lifecycle.shelf.all()
    return [
        StorageVolume(
            volume.name,
            volume.size,
            tuple(
                VolumeUse(record.name, point.destination, not point.read_write)
                for record in records
                for point in record.mounts
                if point.name == volume.name
            ),
        )
        for volume in engine.volumes.list()
    ]


def namespaces_of(engine: Engine, name: str) -> tuple[list[NamespaceRow], list[ProcessRow], list[IdMap]]:
    """Raises :class:`ContainerNotRunning`."""
    container = engine.containers.get(name)
    state = container.state
    if not state.alive:
        raise ContainerNotRunning(f"Container {name} is not running: it has no namespaces then")
    rows = []
    for kind in ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"):
        with suppress(OSError):
            inside, outside = (os.stat(f"/proc/{pid}/ns/{kind}").st_ino for pid in (state.pid, "self"))
            rows.append(NamespaceRow(kind, inside, outside))
    pids = frozenset(members(state))
    seen = [row for pid in sorted(pids) if (row := _process(pid, state.pid, pids)) is not None]
    return rows, seen, [IdMap(*line) for line in _maps(state.pid)]


def _process(pid: int, first: int, pids: frozenset[int]) -> ProcessRow | None:
    try:
        fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    except (OSError, ValueError):
        return None
    uid, parent = int(fields["Uid"].split()[0]), int(fields["PPid"])
    inside = next((start + uid - base for start, base, count in _maps(pid) if base <= uid < base + count), uid)
    command = _command(pid)
    origin = "the container's program" if pid == first else "started inside" if parent in pids else "docker exec"
    return ProcessRow(
        int(fields["NSpid"].split()[-1]), pid, inside, uid, command or fields["Name"].strip(), origin,
        yours=uid == os.geteuid(),
    )  # fmt: skip


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def _maps(pid: int) -> list[tuple[int, int, int]]:
    """uid_map of a process: first id inside, first id outside, how many (user_namespaces(7))."""
    try:
        lines = Path(f"/proc/{pid}/uid_map").read_text().splitlines()
    except OSError:
        return []
    return [(first, base, count) for first, base, count in (map(int, line.split()) for line in lines)]
