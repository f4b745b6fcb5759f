"""``RUN --mount=type=cache``: directories of this home that outlive builds, as BuildKit keeps them.

A cache is named by its id, by what it starts from (``from=``, ``source=``) and by the owner and mode it was made with.
``shared``: any number of commands at once; ``locked``: one at a time, the others wait; ``private``: one that nobody
else uses, a further one if need be.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from contextlib import ExitStack
from pathlib import Path

from minirt.build.context import Gathered
from minirt.build.job import Job
from minirt.build.mount_sources import Sources
from minirt.build.state import StageState
from minirt.dockerfile import CacheMount
from minirt.errors import Conflict
from minirt.store import atomic_write

__all__ = ["cache_directory"]

_FILEWORK = "minirt.build.filework"


def cache_directory(job: Job, stack: ExitStack, mount: CacheMount, origin: Gathered | StageState | None) -> Path:
    """The directory to mount, filled from ``origin`` when it is new; held by ``stack``."""
    name = _name(mount, origin)
    if mount.sharing == "private":
        name = _unused(job, stack, name)
    elif mount.sharing == "locked":
        stack.enter_context(job.tools.store.lock(f"mount-{name}"))
    else:
        stack.enter_context(job.tools.store.lock(f"mount-{name}", shared=True))
    where = job.tools.store.home / "cache" / "mounts" / name
    with job.tools.store.lock(f"mount-made-{name}"):
        if not where.exists():
            _make(job, mount, origin, where)
        # What it is, for whoever looks at the disk; the file's own time is when it was used last.
        note = {"id": mount.id, "target": mount.target, "sharing": mount.sharing}
        atomic_write(where.with_name(f"{name}.json"), json.dumps(note).encode(), durable=False)
    return where


def _name(mount: CacheMount, origin: Gathered | StageState | None) -> str:
    base = origin.content if isinstance(origin, Gathered) else origin.chain if origin is not None else ""
    words = [mount.id, f"{mount.uid}:{mount.gid}", f"{mount.mode:o}", base, mount.source if mount.from_ else ""]
    return hashlib.sha256("\0".join(words).encode()).hexdigest()[:32]


def _unused(job: Job, stack: ExitStack, name: str) -> str:
    for number in itertools.count(1):
        candidate = name if number == 1 else f"{name}-{number}"
        try:
            stack.enter_context(job.tools.store.lock(f"mount-{candidate}", timeout=0))
            return candidate
        except Conflict:
            continue
    raise AssertionError


def _make(job: Job, mount: CacheMount, origin: Gathered | StageState | None, where: Path) -> None:
    """Ready under another name first, so that a build that is killed leaves no half of one."""
    fresh = job.scratchpad.new("cache")
    fresh.mkdir(mode=0o755)
    try:
        if isinstance(origin, Gathered):
            Sources(job).copy_tree(origin, fresh)
        elif origin is not None and (mount.source or (mount.uid, mount.gid, mount.mode) == (0, 0, 0o755)):
            Sources(job).copy_layers(origin, mount.from_, mount.source, fresh)
        if origin is None or not mount.source:
            _dress(job, mount, fresh)
        where.parent.mkdir(parents=True, exist_ok=True)
        fresh.rename(where)
    except BaseException:
        job.tools.snapshots.discard(fresh)
        raise


def _dress(job: Job, mount: CacheMount, fresh: Path) -> None:
    if (mount.mode, mount.uid, mount.gid) != (0o755, 0, 0):
        arguments = {"where": str(fresh), "mode": mount.mode, "uid": mount.uid, "gid": mount.gid}
        job.tools.sandbox.call(f"{_FILEWORK}:dress", arguments, cancel=job.cancel)
