"""What this machine allows, found out by trying."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from minirt.linux.idmap import own_id_map, subordinate_maps
from minirt.model.spec import IdMapping

__all__ = ["Answer", "Machine", "probe"]


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether something works; if not, why, and what would change it."""

    ok: bool
    why: str = ""
    cure: str = ""


@dataclass(frozen=True, slots=True)
class Machine:
    """What was found. ``root``: containers get the machine's root, without a user namespace."""

    root: bool
    overlay: Answer
    user_namespaces: Answer
    uid_map: tuple[IdMapping, ...]
    gid_map: tuple[IdMapping, ...]
    snapshotter: str
    isolation: str


def probe(home: Path) -> Machine:
    if os.geteuid() == 0:
        return Machine(True, Answer(True), Answer(True), (), (), "overlay", "namespaces")
    maps = subordinate_maps() or own_id_map()
    return Machine(False, Answer(True), Answer(True), *maps, "overlay", "namespaces")
