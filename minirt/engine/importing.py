"""``docker import``: a plain tar of files becomes an image of one layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, BinaryIO

from minirt.engine.changing import changed
from minirt.images.image import StoredImage
from minirt.layers.streams import decompress
from minirt.layers.tar_read import TarReader
from minirt.model.cancel import Cancel
from minirt.model.config import ContainerConfig, History, ImageConfig
from minirt.model.manifest import CONFIG, LAYER, MANIFEST, Manifest
from minirt.model.platform import Platform
from minirt.model.reference import Reference

if TYPE_CHECKING:
    from minirt.engine.facade import Engine

__all__ = ["import_image"]


def import_image(
    engine: Engine,
    stream: BinaryIO,
    *,
    reference: Reference | None,
    source: str,
    message: str,
    changes: Sequence[str],
    platform: Platform | None,
    cancel: Cancel | None,
) -> StoredImage:
    """Raises :class:`LayerError` for what is not a tar, :class:`DockerfileError`, :class:`StorageFull`."""
    from minirt.engine.facade import now

    config = changed(ContainerConfig(), changes)
    with engine.store.lease():
        with engine.store.writer() as writer:
            tee = _Tee(decompress(stream), writer, cancel)
            reader = TarReader(tee)
            for _ in reader:
                pass  # every header is looked at before anything is believed
            reader.drain()
            layer = writer.commit(LAYER)
        created = now()
        by = History(created, "", message or f"Imported from {source}", "")
        image = ImageConfig(
            platform=platform or Platform.host(),
            config=config,
            diff_ids=(layer.digest,),
            history=(by,),
            created=created,
        )
        written = engine.store.put(image.to_bytes(), CONFIG)
        manifest = engine.store.put(Manifest(written, (layer,)).to_bytes(), MANIFEST)
        if reference is None:
            engine.store.add_untagged(manifest)
        else:
            engine.store.set_reference(reference, manifest)
    return engine.image_store.get(str(written.digest))


class _Tee:
    """What the tar's reader reads is written down on its way."""

    def __init__(self, stream: BinaryIO, out: object, cancel: Cancel | None) -> None:
        self._stream, self._out, self._cancel = stream, out, cancel

    def read(self, size: int = -1, /) -> bytes:
        if self._cancel is not None:
            self._cancel.check()
        data = self._stream.read(size)
        self._out.write(data)  # type: ignore[attr-defined]  # the store's writer
        return data
