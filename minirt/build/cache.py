"""The build cache: a step's result by everything that decided it, and why a step was not found.

A key is the digest of a step's *inputs*: the layers below it, the command, the variables it sees, the files it takes.
Each result is one small file under ``cache/build/``, which keeps the inputs too; so when a key is new, the inputs of
last time are at hand and the difference can be told. Writes are one rename each, so any number of processes may use
one cache; the last one wins, which is harmless, because both results are right.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from minirt.errors import MinirtError
from minirt.model.digest import Digest
from minirt.model.manifest import Descriptor
from minirt.snapshots.contract import LayerSource, WhiteoutMark
from minirt.store import Store, atomic_write

__all__ = ["BuildCache", "CachedStep", "Inputs", "Pruned"]

_VERSION = 1
_MOST_MARKS = 50_000


@dataclass(frozen=True, slots=True)
class Inputs:
    """What decides a step. ``values`` are named texts (``command``, ``env PATH``, ``arg VERSION``, ``user`` …).

    ``parent`` names the layers below. ``content`` is the digest of the files it takes, ``marks`` the same file by
    file; only the digest is part of the key.
    """

    parent: str
    values: Mapping[str, str]
    content: str = ""
    marks: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return _digest({"parent": self.parent, "values": dict(self.values), "content": self.content})


@dataclass(frozen=True, slots=True)
class CachedStep:
    """A step's layer and what its event says. ``created`` is RFC 3339; sizes in bytes."""

    layer: LayerSource
    created: str
    content_bytes: int
    entries: int
    whiteouts: tuple[WhiteoutMark, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "layer": self.layer.descriptor.to_json(),
            "diff_id": str(self.layer.diff_id),
            "created": self.created,
            "content_bytes": self.content_bytes,
            "entries": self.entries,
            "whiteouts": [[mark.path, mark.opaque] for mark in self.whiteouts],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CachedStep:
        layer = LayerSource(Descriptor.from_json(data["layer"]), Digest.parse(data["diff_id"]))
        marks = tuple(WhiteoutMark(path, opaque) for path, opaque in data["whiteouts"])
        return cls(layer, data["created"], data["content_bytes"], data["entries"], marks)


@dataclass(frozen=True, slots=True)
class Pruned:
    """``keys`` are those of the removed records; ``layers`` are needed by no record any more."""

    keys: tuple[str, ...]
    layers: tuple[Digest, ...]


class BuildCache:
    """The cache of one home. Safe from several threads and processes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.root = store.home / "cache" / "build"
        for name in ("steps", "last", "files", "hashes"):
            (self.root / name).mkdir(parents=True, exist_ok=True)

    def find(self, inputs: Inputs) -> CachedStep | None:
        """The result for these inputs, if its layer is still in the store."""
        path = self._step(inputs.key)
        record = _read(path)
        if record is None:
            return None
        try:
            step = CachedStep.from_json(record["result"])
        except (KeyError, TypeError, ValueError, MinirtError):
            return None
        if not self._store.has(step.layer.descriptor.digest, step.layer.descriptor.size):
            return None
        _touch(path)
        return step

    def add(self, slot: str, inputs: Inputs, step: CachedStep) -> None:
        """Keep a result; ``slot`` (see :func:`slot`) is where the next build looks for what changed."""
        record = {
            "version": _VERSION,
            "inputs": {"parent": inputs.parent, "values": dict(inputs.values), "content": inputs.content},
            "result": step.to_json(),
        }
        if inputs.marks and len(inputs.marks) <= _MOST_MARKS:
            _write(self.root / "files" / f"{inputs.content}.json", {"version": _VERSION, "files": dict(inputs.marks)})
        _write(self._step(inputs.key), record)
        _write(self.root / "last" / f"{slot}.json", {"version": _VERSION, "key": inputs.key})

    def why(self, slot: str, inputs: Inputs) -> str:
        """In a few words, which input is not that of last time."""
        last = _read(self.root / "last" / f"{slot}.json")
        record = _read(self._step(str(last["key"]))) if last else None
        if record is None:
            return "not built before"
        before = Inputs(**record["inputs"])
        if before.key == inputs.key:
            return "its layer is no longer in the store"
        marks = _read(self.root / "files" / f"{before.content}.json") if before.content else None
        return explain(replace(before, marks=(marks or {}).get("files", {})), inputs)

    def hashes_for(self, directory: Path) -> Path:
        """Where the contents' digests of a build context are remembered."""
        name = hashlib.sha256(os.fsencode(os.path.realpath(directory))).hexdigest()[:32]
        return self.root / "hashes" / f"{name}.json"

    def layers(self) -> frozenset[Digest]:
        """The layers that the cache needs: a sweep of the store must keep them."""
        return frozenset(step.layer.descriptor.digest for _, step in self._all())

    def diff_ids(self) -> frozenset[Digest]:
        """The same layers by their diff ids."""
        return frozenset(step.layer.diff_id for _, step in self._all())

    def records(self) -> Iterator[tuple[str, CachedStep, float]]:
        """Every result: its key, and when it was last used, in seconds since 1970."""
        return ((path.stem, step, _used(path)) for path, step in self._all())

    def size(self) -> int:
        """Bytes of the layers in the cache, each counted once."""
        return sum({step.layer.diff_id: step.layer.descriptor.size for _, step in self._all()}.values())

    def description(self, key: str) -> str:
        """In a few words, what the step was; empty if the record is gone."""
        values = ((_read(self._step(key)) or {}).get("inputs") or {}).get("values") or {}
        if "command" in values:
            return f"mount / from exec {' '.join(json.loads(values['command']))}"
        if "workdir" in values:
            return f"WORKDIR {values['workdir']}"
        return f"copy to {values['destination']}" if "destination" in values else ""

    def prune(
        self,
        *,
        unused_for: float = 0.0,
        keep_bytes: int = 0,
        spare: Container[Digest] = frozenset(),
        wanted: Callable[[str], bool] = lambda _key: True,
    ) -> Pruned:
        """Forget results not used for ``unused_for`` seconds, the oldest first, until at most ``keep_bytes`` are left.

        Results whose layer is in ``spare`` stay, and do not count; those whose key is not ``wanted`` stay, and count.
        Only records go; the layers' blobs go with the store's next sweep unless an image has them.
        """
        found = list(self._all())
        holders = Counter(step.layer.diff_id for _, step in found)
        sizes = {step.layer.diff_id: step.layer.descriptor.size for _, step in found}
        left = sum(size for diff_id, size in sizes.items() if diff_id not in spare)
        removed, gone = [], []
        for used, path, step in sorted(((_used(path), path, step) for path, step in found), key=lambda one: one[0]):
            diff_id = step.layer.diff_id
            if (
                diff_id in spare
                or not wanted(path.stem)
                or time.time() - used < unused_for
                or (keep_bytes and left <= keep_bytes)
            ):
                continue
            path.unlink(missing_ok=True)
            removed.append(path.stem)
            holders[diff_id] -= 1
            if not holders[diff_id]:
                left -= step.layer.descriptor.size
                gone.append(diff_id)
        if removed:
            self._forget()
        return Pruned(tuple(removed), tuple(gone))

    def _forget(self) -> None:
        """Remove what only told about results that are gone."""
        contents = set()
        for path in (self.root / "steps").glob("*.json"):
            record = _read(path) or {}
            contents.add((record.get("inputs") or {}).get("content"))
        for path in (self.root / "files").glob("*.json"):
            if path.stem not in contents:
                path.unlink(missing_ok=True)
        for path in (self.root / "last").glob("*.json"):
            if not self._step(str((_read(path) or {}).get("key"))).exists():
                path.unlink(missing_ok=True)

    def _all(self) -> Iterator[tuple[Path, CachedStep]]:
        for path in sorted((self.root / "steps").glob("*.json")):
            record = _read(path)
            if record is None:
                continue
            try:
                yield path, CachedStep.from_json(record["result"])
            except (KeyError, TypeError, ValueError, MinirtError):
                continue

    def _step(self, key: str) -> Path:
        return self.root / "steps" / f"{key}.json"


def slot(*parts: str) -> str:
    """A step's place across builds: the context, the stage, the instruction as written, which of its kind."""
    return _digest(list(parts))[:32]


def explain(before: Inputs, now: Inputs) -> str:
    """The first difference that a person would name."""
    for name in (*now.values, *before.values):
        old, new = before.values.get(name), now.values.get(name)
        if old != new:
            return _difference(name, old, new)
    if before.content != now.content:
        return _file_difference(before.marks, now.marks)
    if before.parent != now.parent:
        return "an earlier step changed"
    return "its inputs changed"


def _difference(name: str, old: str | None, new: str | None) -> str:
    kind, _, rest = name.partition(" ")
    label = f"{kind.upper()} {rest}" if kind in ("arg", "env") else f"the {name}"
    if old is None:
        return f"{label} is new" if kind not in ("arg", "env") else f"{label} is new: {_short(new)}"
    if new is None:
        return f"{label} is gone"
    if max(len(old), len(new)) > 60:
        return f"{label} changed"
    return f"{label} is {_short(new)}, was {_short(old)}"


def _short(text: str | None) -> str:
    return text if text else '""'


def _file_difference(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    if not before or not now:
        return "the files changed"
    changed = [path for path in now if path in before and before[path] != now[path]]
    added = [path for path in now if path not in before]
    removed = [path for path in before if path not in now]
    for paths, verb in ((changed, "changed"), (added, "is new"), (removed, "is gone")):
        if paths:
            # A directory's own mark changes only with its mode; name a file if there is one.
            first = next((path for path in paths if not now.get(path, before.get(path, "")).startswith("4")), paths[0])
            more = len(changed) + len(added) + len(removed) - 1
            return f"the file {first} {verb}" + (f", and {more} more" if more else "")
    return "the files changed"


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _read(path: Path) -> dict[str, Any] | None:
    try:
        with open(path, "rb") as file:
            data = json.loads(file.read())
    except (OSError, ValueError):
        return None  # a cache may forget: whatever is wrong with the record, the step is done again
    return data if isinstance(data, dict) and data.get("version") == _VERSION else None


def _write(path: Path, record: Mapping[str, Any]) -> None:
    atomic_write(path, json.dumps(record, separators=(",", ":")).encode(), durable=False)


def _touch(path: Path) -> None:
    try:
        os.utime(path)
    except OSError:
        pass


def _used(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
