"""Names for images: the entries of ``index.json`` (OCI image-spec, image-layout.md).

Each entry is a descriptor. An annotation names it as docker prints it (``hello:1``, which skopeo and umoci look
for), and another one spells the name out (``docker.io/library/hello:1``, as containerd writes it). An entry without a
name is an image that lost its name, or never had one: docker's ``<none>``.

Writers take a lock, read the file again, and replace it atomically; readers need no lock.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minirt.errors import HomeUnusable, InvalidInput
from minirt.model.digest import Digest
from minirt.model.manifest import INDEX, REF_NAME, Descriptor, canonical_json
from minirt.model.reference import Reference
from minirt.store.files import atomic_write, storage_errors

__all__ = ["IMAGE_NAME", "Named", "References", "read_index"]

IMAGE_NAME = "io.containerd.image.name"

Entry = dict[str, Any]
Named = tuple[Reference, Descriptor]


class References:
    """The references of one home. ``index`` is the path of ``index.json``; the caller locks around changes."""

    def __init__(self, index: Path) -> None:
        self._index = index
        self._seen: tuple[tuple[int, int, int], list[Entry]] | None = None

    def resolve(self, ref: Reference) -> Descriptor | None:
        """What ``ref`` names. A reference with a digest also finds any entry of that repository and digest."""
        for named, descriptor in self.all():
            if named == ref:
                return descriptor
        if ref.digest is not None:
            for named, descriptor in self.all():
                if named.name == ref.name and descriptor.digest == ref.digest:
                    return descriptor
        return None

    def all(self) -> tuple[Named, ...]:
        """Every name and what it names, in the order of ``index.json``."""
        found = []
        for entry in self.entries():
            ref = _reference(entry)
            if ref is not None:
                found.append((ref, _descriptor(entry)))
        return tuple(found)

    def untagged(self) -> tuple[Descriptor, ...]:
        """The images without a name."""
        return tuple(_descriptor(entry) for entry in self.entries() if not _is_named(entry))

    def entries(self) -> list[Entry]:
        """The raw entries. They are read again only when the file changed."""
        with storage_errors("reading index.json"):
            try:
                stat = self._index.stat()
            except FileNotFoundError:
                raise _broken(self._index, "it is missing") from None
        # The name is only ever replaced by rename, so inode, time and size together name one version of the file.
        version = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        seen = self._seen
        if seen is None or seen[0] != version:
            seen = (version, read_index(self._index)["manifests"])
            self._seen = seen
        return seen[1]

    def name(self, ref: Reference, descriptor: Descriptor) -> None:
        """``ref`` names ``descriptor`` from now on. What it named before, if nameless now, stays as untagged."""
        annotations = {**descriptor.annotations, REF_NAME: ref.familiar, IMAGE_NAME: str(ref)}
        entry = Descriptor(
            descriptor.media_type, descriptor.digest, descriptor.size, descriptor.platform, annotations
        ).to_json()

        def change(entries: list[Entry]) -> list[Entry]:
            former = [e for e in entries if _reference(e) == ref]
            kept = [e for e in entries if _reference(e) != ref and (_is_named(e) or e["digest"] != entry["digest"])]
            known = {e["digest"] for e in kept} | {entry["digest"]}
            orphans = {e["digest"]: _nameless(e) for e in former if e["digest"] not in known}
            return [*kept, *orphans.values(), entry]

        self._rewrite(change)

    def forget(self, ref: Reference) -> bool:
        """Remove the name ``ref``; ``False`` if there is none."""
        return self._rewrite(lambda entries: [e for e in entries if _reference(e) != ref])

    def add_untagged(self, descriptor: Descriptor) -> None:
        """Keep an image without a name; nothing changes if the image has an entry already."""
        entry = _nameless(descriptor.to_json())

        def change(entries: list[Entry]) -> list[Entry]:
            return entries if any(e["digest"] == entry["digest"] for e in entries) else [*entries, entry]

        self._rewrite(change)

    def remove_untagged(self, digest: Digest) -> bool:
        """Remove the nameless entry of ``digest``; ``False`` if there is none."""
        return self._rewrite(lambda entries: [e for e in entries if _is_named(e) or e["digest"] != str(digest)])

    def _rewrite(self, change: Callable[[list[Entry]], list[Entry]]) -> bool:
        document = read_index(self._index)
        before = document["manifests"]
        after = change(before)
        if after == before:
            return False
        # The document is kept as it was read, so that fields other tools wrote survive.
        atomic_write(self._index, canonical_json({**document, "manifests": after}))
        return True


def read_index(path: Path) -> dict[str, Any]:
    """The document of ``index.json``, with a list of well-formed entries. Raises :class:`HomeUnusable`."""
    with storage_errors("reading index.json"):
        try:
            raw = path.read_bytes()
        except FileNotFoundError:
            raise _broken(path, "it is missing") from None
    try:
        document = json.loads(raw)
        for entry in document["manifests"]:
            Descriptor.from_json(entry)
    except (ValueError, KeyError, TypeError, InvalidInput) as error:
        raise _broken(path, str(error)) from error
    return {"schemaVersion": 2, "mediaType": INDEX, **document}


def _broken(path: Path, cause: str) -> HomeUnusable:
    return HomeUnusable(
        f"{path} is not a list of images",
        cause=cause,
        hint="Move the directory away, or set MINIRT_HOME to another one, and pull or build again.",
    )


def _descriptor(entry: Entry) -> Descriptor:
    return Descriptor.from_json(entry)


def _is_named(entry: Entry) -> bool:
    annotations = entry.get("annotations") or {}
    return bool(annotations.get(REF_NAME) or annotations.get(IMAGE_NAME))


def _reference(entry: Entry) -> Reference | None:
    annotations = entry.get("annotations") or {}
    text = annotations.get(IMAGE_NAME) or annotations.get(REF_NAME)
    if not text:
        return None
    try:
        return Reference.parse(str(text))
    except InvalidInput:
        return None  # another tool's entry: it stays, but it is no name that docker would understand


def _nameless(entry: Entry) -> Entry:
    annotations = {k: v for k, v in (entry.get("annotations") or {}).items() if k not in (REF_NAME, IMAGE_NAME)}
    bare = {k: v for k, v in entry.items() if k != "annotations"}
    return {**bare, "annotations": annotations} if annotations else bare
