"""Unpacked layers of shared stores, used where they lie.

An unpacked layer says the same to somebody else only if it lies there in the form that they would have given it: the
owner of its files on the disk, the way owners and whiteouts are noted. So every label tells its form. Root's layers
serve root; where all files belong to one id, as in pods, they serve whoever is that very id. Others cannot use them:
in a user namespace another's files belong to nobody, and overlayfs refuses to copy them up (EOVERFLOW).
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from minirt.model.digest import Digest

__all__ = ["FORM", "SharedLayers", "blob_of", "form_name"]

FORM = "form"  # in a layer's label; a file beside a chain's tree
_SEVERAL = "several ids"


def form_name(arguments: dict[str, Any]) -> str:
    """In which form a driver with these arguments lays layers on the disk."""
    return "root" if arguments["privileged"] else "one id" if arguments["one_id"] else _SEVERAL


class SharedLayers:
    """What the stores at ``homes`` have unpacked that a driver with ``arguments`` can use as it is."""

    def __init__(self, homes: Sequence[Path], arguments: dict[str, Any]) -> None:
        self._homes = tuple(homes)
        self._form = form_name(arguments)

    def layer(self, diff_id: Digest) -> Path | None:
        """The directory of an unpacked layer, ``layers/<diff id>`` of the first store that has it."""
        places = [home / "layers" / diff_id.hex for home in self._homes]
        return next((place for place in places if self._fits(place / "diff", _label(place).get(FORM))), None)

    def chain(self, name: str) -> Path | None:
        """The directory of a tree laid out, ``chains/<chain id>``."""
        places = [home / "chains" / name for home in self._homes]
        return next((place for place in places if self._fits(place / "tree", _text(place / FORM))), None)

    def _fits(self, tree: Path, form: str | None) -> bool:
        if form != self._form or form == _SEVERAL:  # a range of ids is granted to one user, and never to the next
            return False
        try:
            return tree.stat().st_uid == os.geteuid()
        except OSError:
            return False


def blob_of(layer: Path) -> Digest | None:
    """Of which blob the layer in this directory was unpacked."""
    digest = _label(layer).get("digest")
    return None if digest is None else Digest.parse(digest)


def _label(place: Path) -> dict[str, Any]:
    try:
        label = json.loads((place / "layer.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return label if isinstance(label, dict) else {}


def _text(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None
