"""What pictures of containers need to know, as the facts of views."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from minirt.containers.processes import members
from minirt.errors import ContainerNotFound, ContainerNotRunning, ImageNotFound
from minirt.views.layers_view import LayerBox
from minirt.views.namespaces_view import NamespaceRow, ProcessRow
from minirt.views.storage_view import StorageContainer, StorageVolume, VolumeUse

if TYPE_CHECKING:
    from minirt.engine.facade import Engine

__all__ = ["namespaces_of", "stored_containers", "stored_volumes"]


def stored_containers(engine: Engine, local: frozenset[str] = frozenset()) -> list[StorageContainer]:
    """Every container with its storage layer; ``local`` are diff ids whose sizes differ between machines."""
    found = []
    for container in engine.containers.list(all=True):
        with suppress(ContainerNotFound):
            kinds = [change.kind for change in container.changes()]
            layers: tuple[LayerBox, ...] = ()
            with suppress(ImageNotFound):
                layers = tuple(
                    LayerBox(str(layer.diff_id), layer.content, layer.created_by, str(layer.diff_id) in local)
                    for layer in container.image.layers
                )
            counts = (kinds.count("A"), kinds.count("C"), kinds.count("D"))
            own = engine.lifecycle.storage_bytes(container.record)
            facts = (container.name, container.status, container.record.image, layers, own)
            found.append(StorageContainer(*facts, *counts))
    return found


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


def namespaces_of(engine: Engine, name: str) -> tuple[list[NamespaceRow], list[ProcessRow]]:
    """Raises :class:`ContainerNotRunning`."""
    container = engine.containers.get(name)
    state = container.state
    if not state.alive:
        raise ContainerNotRunning(f"Container {name} is not running: it has no namespaces then")
    rows = []
    for kind in ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts"):
        with suppress(OSError):
            inside, outside = (os.stat(f"/proc/{pid}/ns/{kind}").st_ino for pid in (state.pid, "self"))
            rows.append(NamespaceRow(kind, inside, outside))
    return rows, [row for pid in members(state) if (row := _process(pid)) is not None]


def _process(pid: int) -> ProcessRow | None:
    try:
        fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        maps = [tuple(map(int, line.split())) for line in Path(f"/proc/{pid}/uid_map").read_text().splitlines()]
    except (OSError, ValueError):
        return None
    uid = int(fields["Uid"].split()[0])
    inside = next((first + uid - base for first, base, count in maps if base <= uid < base + count), uid)
    return ProcessRow(int(fields["NSpid"].split()[-1]), pid, inside, uid, command or fields["Name"].strip())
