"""What kind of networks containers can have here, found out by trying, once per boot."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from minirt.linux import links, nft
from minirt.linux.processes import boot_id
from minirt.networks.usermode import find_program, why_not
from minirt.store.files import atomic_write

__all__ = ["Ability", "ability", "first_time"]

_FORWARDING = "/proc/sys/net/ipv4/ip_forward"


@dataclass(frozen=True, slots=True)
class Ability:
    """``own``: whether a container can have a network of its own; ``why`` it cannot.

    ``program`` is what serves it for an ordinary user. ``confined`` says why containers on a bridge reach nothing
    outside the machine; empty if they do.
    """

    own: bool
    why: str = ""
    program: str = ""
    confined: str = ""


def ability(home: Path) -> Ability:
    """Under 50 ms the first time, then read from ``home/cache``."""
    if os.geteuid():
        program = find_program()
        return Ability(True, program=program) if program else Ability(False, why_not())
    path = _cache(home)
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        known = json.loads(path.read_bytes())
        if known["boot"] == boot_id():
            return Ability(**known["ability"])
    found = _try_bridge()
    _remember(path, {"boot": boot_id(), "ability": asdict(found), "told": []})
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


def _try_bridge() -> Ability:
    name = f"mrt-try{os.getpid() % 10**7}"
    try:
        links.add_bridge(name, "02:42:00:00:00:01")
    except OSError as error:
        return Ability(False, f"this machine gives no bridge: {error.strerror}")
    confined = ""
    try:
        nft.has_table(name)
        if Path(_FORWARDING).read_text().strip() != "1":
            Path(_FORWARDING).write_text("1")
    except OSError as error:
        reason = f"{error.filename} may not be set" if error.filename else f"no nf_tables: {error.strerror}"
        confined = f"no address translation on this machine ({reason})"
    with contextlib.suppress(OSError):
        links.delete_link(name)
    return Ability(True, confined=confined)
