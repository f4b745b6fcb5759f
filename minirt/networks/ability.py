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

__all__ = ["Ability", "ability", "first_time", "told"]


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


def told(home: Path) -> tuple[bool, str, str]:
    """For ``docker info``: whether containers have networks of their own with a way out, else why not, and the cure."""
    able = ability(home)
    if not able.own:
        return False, able.why, "containers share the machine's network"
    if not able.confined:
        return True, "", ""
    if not able.user:
        return False, able.confined, "sysctl net.ipv4.ip_forward=1, and a kernel with nf_tables (as root)"
    if find_programs():
        return False, able.confined, "containers of networks that you make still reach each other"
    return False, able.confined, "install the package passt or slirp4netns, and chmod 0666 /dev/net/tun (as root)"


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
