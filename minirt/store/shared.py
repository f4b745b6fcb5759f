"""Shared stores: homes that somebody else made, and whose images are used here without being copied.

They are only read. Nothing is locked in them and nothing is noted there, so they may lie on a disk that is mounted
read-only and be used by any number of homes at once. podman calls the same thing an additional image store
(containers-storage.conf(5), ``additionalimagestores``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from minirt.errors import HomeUnusable
from minirt.model.manifest import Descriptor
from minirt.model.reference import Reference
from minirt.store.references import References

__all__ = ["SharedStore", "open_shared"]


@dataclass(frozen=True, slots=True)
class SharedStore:
    """One of them: where it is, and the names that it gives."""

    home: Path
    references: References

    def named(self, ref: Reference) -> Descriptor | None:
        """What exactly this name leads to there."""
        return dict(self.references.all()).get(ref)


def open_shared(own: Path, homes: Iterable[Path]) -> tuple[SharedStore, ...]:
    """The stores at ``homes``, each once; ``own`` is left out, as whoever fills a store may have it named too.

    Raises :class:`HomeUnusable` for one that is no home or cannot be read.
    """
    found: dict[Path, SharedStore] = {}
    for home in homes:
        place = home.resolve()
        if place != own.resolve():
            _check(home)
            found.setdefault(place, SharedStore(place, References(place / "index.json")))
    return tuple(found.values())


def _check(home: Path) -> None:
    hint = (
        "MINIRT_SHARED_STORE names homes that an administrator filled (MINIRT_HOME=DIRECTORY minirt pull NAME), "
        "with colons between. Is its volume mounted, and may you read it?"
    )
    try:
        version = json.loads((home / "oci-layout").read_bytes())["imageLayoutVersion"]
        (home / "index.json").read_bytes()
    except OSError as error:
        cause = f"{error.filename}: {error.strerror}"
        raise HomeUnusable(f"{home} cannot be used as a shared store", cause=cause, hint=hint) from error
    except (ValueError, KeyError, TypeError):
        version = None
    if version != "1.0.0":
        cause = f"its oci-layout says version {version!r}, this version reads 1.0.0"
        raise HomeUnusable(f"{home} cannot be used as a shared store", cause=cause, hint=hint)
