"""Checks that a directory is a sound OCI image layout (image-spec, image-layout.md), for whatever writes one."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

__all__ = ["check_layout"]


def check_layout(home: Path) -> None:
    """Raises :class:`AssertionError`, saying what is wrong, unless ``home`` holds a sound layout.

    Sound: ``oci-layout`` names version 1.0.0; every file below ``blobs/`` has the content its name says; everything
    that ``index.json`` leads to is there with the announced size; no two entries have the same name.
    """
    layout = json.loads((home / "oci-layout").read_bytes())
    assert layout["imageLayoutVersion"] == "1.0.0", f"oci-layout says {layout}"
    sizes = _check_blobs(home / "blobs")
    index = json.loads((home / "index.json").read_bytes())
    assert index["schemaVersion"] == 2, "index.json has no schemaVersion 2"
    names = [entry.get("annotations", {}).get("org.opencontainers.image.ref.name") for entry in index["manifests"]]
    given = [name for name in names if name]
    assert len(given) == len(set(given)), f"a name stands twice in index.json: {sorted(given)}"
    for entry in index["manifests"]:
        _check_link(home / "blobs", sizes, entry, "index.json")


def _check_blobs(root: Path) -> dict[str, int]:
    sizes = {}
    for path in sorted(root.rglob("*")):
        if path.is_dir():
            continue
        content = path.read_bytes()
        found = hashlib.new(path.parent.name, content).hexdigest()
        assert found == path.name, f"{path.relative_to(root)} has {len(content)} bytes of digest {found}"
        sizes[f"{path.parent.name}:{path.name}"] = len(content)
    return sizes


def _check_link(root: Path, sizes: dict[str, int], link: dict[str, Any], by: str) -> None:
    digest = link["digest"]
    assert digest in sizes, f"{by} needs {digest}, which is missing"
    assert sizes[digest] == link["size"], f"{by} says {digest} has {link['size']} bytes, it has {sizes[digest]}"
    if not link["mediaType"].endswith(("+json", ".v2+json")) or "config" in link["mediaType"]:
        return
    algorithm, encoded = digest.split(":")
    document = json.loads((root / algorithm / encoded).read_bytes())
    for below in [*document.get("manifests", []), document.get("config"), *document.get("layers", [])]:
        if below is not None:
            _check_link(root, sizes, below, digest)
