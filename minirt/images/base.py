"""``minirt/base``: an image made on the spot, from a static busybox or from the machine's own programs."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from minirt.images.recipe import RECIPE, RECIPE_DATE
from minirt.model.config import ContainerConfig, History, ImageConfig
from minirt.model.manifest import CONFIG, LAYER, MANIFEST, Descriptor, Manifest
from minirt.model.platform import Platform
from minirt.model.reference import Reference
from minirt.store import Store, atomic_write

__all__ = ["BASE", "BaseImage"]

BASE = Reference.parse("minirt/base")
_MARK = "io.github.minirt.base"  # an annotation in index.json: we made it, so we may make it again
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class BaseImage:
    """Makes and remembers ``minirt/base`` in ``store``, from the machine whose root is ``root``.

    ``cache/base/stamp.json`` notes the files it was made from with their sizes and times: as long as they are the
    same, the image is taken as it is.
    """

    def __init__(self, store: Store, root: Path = Path("/")) -> None:
        self._store = store
        self._root = root
        self._stamp = store.home / "cache" / "base" / "stamp.json"

    def ensure(self) -> Descriptor:
        """The manifest's descriptor; makes the image if it is missing or out of date.

        An image that the user gave this name is left alone. Raises :class:`Unsupported`, :class:`StorageFull`.
        """
        found = self._current()
        if found is not None:
            return found
        with self._store.lock("base"):
            return self._current() or self._make()

    def _current(self) -> Descriptor | None:
        found = self._store.resolve(BASE)
        if found is None:
            return None
        if self._store.shared_by(BASE) is not None:
            return found  # a shared store's, for everybody the same
        if _MARK not in found.annotations:
            return found  # somebody tagged or loaded another image under this name
        stamp = self._read_stamp()
        fresh = stamp.get("recipe") == RECIPE and stamp.get("digest") == str(found.digest)
        return found if fresh and all(entry == self._look(entry[0]) for entry in stamp["sources"]) else None

    def _make(self) -> Descriptor:
        from minirt.images.machine import choose_files  # made once: nobody else waits for it

        chosen = choose_files(self._root)
        sources = [self._look(path) for path in dict.fromkeys(chosen.sources)]
        with self._store.writer() as writer:
            chosen.tree.write(writer.write, RECIPE_DATE)
            layer = writer.commit(LAYER)
        config = self._store.put(_config(layer).to_bytes(), CONFIG)
        manifest = self._store.put(Manifest(config, (layer,)).to_bytes(), MANIFEST)
        self._write_stamp({"recipe": RECIPE, "digest": str(manifest.digest), "sources": sources})
        self._store.set_reference(BASE, manifest.annotated(**{_MARK: str(RECIPE)}))
        return manifest

    def _look(self, path: str) -> list[Any]:
        """What tells that a source is the same still. A new program shows in its directory's time."""
        try:
            status = os.stat(self._root / path.lstrip("/"))
        except OSError:
            return [path]
        return [path, status.st_ino, status.st_size, status.st_mtime_ns]

    def _read_stamp(self) -> dict[str, Any]:
        try:
            data = json.loads(self._stamp.read_bytes())
        except (OSError, ValueError):
            return {}
        return data if isinstance(data, dict) else {}

    def _write_stamp(self, stamp: dict[str, Any]) -> None:
        self._stamp.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(self._stamp, json.dumps(stamp).encode(), durable=False)


def _config(layer: Descriptor) -> ImageConfig:
    created = datetime.fromtimestamp(RECIPE_DATE, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return ImageConfig(
        platform=Platform.host(),
        config=ContainerConfig(env=(_PATH,), cmd=("sh",)),
        diff_ids=(layer.digest,),
        history=(
            History(created, "COPY programs of this machine / # minirt/base"),
            History(created, 'CMD ["sh"]', empty_layer=True),
        ),
        created=created,
    )
