"""The claims on a network's addresses: one file an address, good as long as the process that owns it lives.

Standard library only: a container's monitor and its resolver use this, too.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from minirt.linux.processes import is_alive, start_time
from minirt.networks.records import Endpoint, Network
from minirt.store.files import atomic_write

__all__ = [
    "claims",
    "drop_claim",
    "live_claims",
    "networks_of",
    "own",
    "own_by",
    "read_claim",
    "read_network",
    "write_claim",
]


def _directory(home: Path, network: str) -> Path:
    return home / "networks" / network / "endpoints"


def claims(home: Path, network: str) -> Iterator[Endpoint]:
    """Every claim, good or not."""
    try:
        names = sorted(entry.name for entry in _directory(home, network).iterdir() if entry.suffix == ".json")
    except OSError:
        return
    for name in names:
        found = read_claim(home, network, name.removesuffix(".json"))
        if found is not None:
            yield found


def live_claims(home: Path, network: str) -> list[Endpoint]:
    """The good ones."""
    return [claim for claim in claims(home, network) if is_alive(claim.owner, claim.owner_start)]


def read_claim(home: Path, network: str, container: str) -> Endpoint | None:
    """The claim of one container, or None."""
    try:
        return Endpoint.from_bytes((_directory(home, network) / f"{container}.json").read_bytes())
    except (OSError, ValueError, TypeError, KeyError):
        return None


def networks_of(home: Path, container: str) -> list[Network]:
    """The networks on which the container has a claim, good or not."""
    with contextlib.suppress(OSError):
        names = sorted(os.listdir(home / "networks"))
        there = (name for name in names if (_directory(home, name) / f"{container}.json").exists())
        return [network for name in there if (network := read_network(home, name)) is not None]
    return []


def read_network(home: Path, name: str) -> Network | None:
    """A network as it is on disk, or None."""
    try:
        return Network.from_bytes((home / "networks" / name / "network.json").read_bytes())
    except (OSError, ValueError, TypeError):
        return None


def write_claim(home: Path, claim: Endpoint) -> None:
    directory = _directory(home, claim.network)
    directory.mkdir(exist_ok=True)
    # A restart of the machine ends every claim, so there is nothing to keep through one.
    atomic_write(directory / f"{claim.container}.json", claim.to_bytes(), durable=False)


def own(home: Path, claim: Endpoint) -> Endpoint:
    """Make this process the owner."""
    return own_by(home, claim, os.getpid())


def own_by(home: Path, claim: Endpoint, pid: int) -> Endpoint:
    """Make another process the owner."""
    owned = replace(claim, owner=pid, owner_start=start_time(pid) or 0)
    write_claim(home, owned)
    return owned


def drop_claim(home: Path, network: str, container: str) -> None:
    (_directory(home, network) / f"{container}.json").unlink(missing_ok=True)
