"""Removing blobs that nothing reaches any more: mark from the references and leases, then sweep the rest.

Only two short moments exclude each other: a writer noting "I rely on this digest" and a sweep reading those notes and
removing the rest. Builds and pulls themselves are never held up.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minirt.errors import InvalidDigest
from minirt.model.digest import Digest
from minirt.store.files import storage_errors

__all__ = ["SweepResult", "reachable", "sweep_blobs"]

# Manifests are small by rule (distribution-spec: registries take at least 4 MiB); longer blobs are layers.
_LONGEST_DOCUMENT = 4 << 20


@dataclass(frozen=True, slots=True)
class SweepResult:
    """What a sweep removed: the digests, and how many bytes they took."""

    removed: tuple[Digest, ...]
    bytes: int

    @property
    def blobs(self) -> int:
        return len(self.removed)


def reachable(roots: Sequence[Path], starts: Iterable[Digest]) -> set[Digest]:
    """``starts`` and everything they lead to: an index to manifests, a manifest to config and layers.

    ``roots`` are ``blobs`` directories, the home's own first. A blob that is missing leads nowhere; that is for its
    reader to report.
    """
    found: set[Digest] = set()
    todo = list(starts)
    while todo:
        digest = todo.pop()
        if digest not in found:
            found.add(digest)
            for root in roots:
                todo.extend(_links(root / digest.algorithm / digest.hex))
    return found


def sweep_blobs(root: Path, live: set[Digest]) -> SweepResult:
    """Remove the blobs under ``root`` that are not in ``live``. The caller holds the sweep lock alone."""
    removed = []
    size = 0
    with storage_errors("removing blobs"):
        for digest, path in _blobs(root):
            if digest not in live:
                size += path.stat().st_size
                path.unlink()
                removed.append(digest)
    return SweepResult(tuple(removed), size)


def _blobs(root: Path) -> Iterator[tuple[Digest, Path]]:
    for directory in sorted(root.iterdir()):
        for name in sorted(os.listdir(directory)):
            try:
                yield Digest.parse(f"{directory.name}:{name}"), directory / name
            except InvalidDigest:
                continue  # not ours to judge


def _links(path: Path) -> Iterator[Digest]:
    try:
        with path.open("rb") as file:
            head = file.read(1)
            if head != b"{" or os.fstat(file.fileno()).st_size > _LONGEST_DOCUMENT:
                return
            document = json.loads(head + file.read())
    except (OSError, ValueError):
        return
    if isinstance(document, dict):
        yield from _digests(document.get("manifests"))
        if isinstance(document.get("layers"), list):
            yield from _digests([document.get("config"), document.get("subject"), *document["layers"]])


def _digests(entries: Any) -> Iterator[Digest]:
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and isinstance(entry.get("digest"), str):
            try:
                yield Digest.parse(entry["digest"])
            except InvalidDigest:
                continue
