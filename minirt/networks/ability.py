"""What kind of networks containers can have here, found out by trying, once per boot."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict
from pathlib import Path

from minirt.linux.processes import boot_id
from minirt.networks.trials import Ability, try_as_root, try_as_user
from minirt.networks.usermode import find_programs
from minirt.store.files import atomic_write

__all__ = ["Ability", "ability", "first_time"]


def ability(home: Path) -> Ability:
    """Under 50 ms the first time (200 ms for an ordinary user), then read from ``home/cache``.

    Of ordinary users it is known anew when pasta or slirp4netns come or go.
    """
    user = bool(os.geteuid())
    situation = [boot_id(), os.geteuid(), list(find_programs()) if user else []]
    path = _cache(home)
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        known = json.loads(path.read_bytes())
        if known["situation"] == situation:
            return Ability(**known["ability"])
    found = try_as_user() if user else try_as_root()
    _remember(path, {"boot": boot_id(), "situation": situation, "ability": asdict(found), "told": []})
    return found


def first_time(home: Path, what: str) -> bool:
    """Whether ``what`` was not yet told from this home since the machine started."""
    path = _cache(home)
    known: dict[str, object] = {}
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(path.read_bytes())
    told = known.get("told") if known.get("boot") == boot_id() else []
    told = told if isinstance(told, list) else []
    if what in told:
        return False
    _remember(path, {**known, "boot": boot_id(), "told": [*told, what]})
    return True


def _cache(home: Path) -> Path:
    return home / "cache" / "networks.json"


def _remember(path: Path, data: dict[str, object]) -> None:
    # A home that cannot be written is told of elsewhere.
    with contextlib.suppress(OSError):
        path.parent.mkdir(exist_ok=True)
        atomic_write(path, json.dumps(data).encode(), durable=False)
