"""One image: docker-py's ``Image`` (docker-py documentation, "Images")."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minirt.engine.happenings import note_image
from minirt.images.image import StoredImage
from minirt.images.views import HistoryRow, StackLayer
from minirt.model.reference import Reference

if TYPE_CHECKING:
    from minirt.engine.facade import Engine
    from minirt.layers.entries import LayerEntry

__all__ = ["Image"]


class Image:
    """One image. ``str(image.id)`` is the digest of its config, as everywhere in docker."""

    def __init__(self, engine: Engine, stored: StoredImage) -> None:
        self._engine = engine
        self.stored = stored

    def __repr__(self) -> str:
        names = ", ".join(repr(tag) for tag in self.tags)
        return f"<Image: {names or self.short_id}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Image) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def id(self) -> str:
        """``sha256:`` and 64 hex digits."""
        return str(self.stored.id)

    @property
    def short_id(self) -> str:
        """``sha256:`` and 12 hex digits, as docker-py's."""
        return f"sha256:{self.stored.id.short}"

    @property
    def tags(self) -> list[str]:
        return list(self.stored.tags)

    @property
    def labels(self) -> dict[str, str]:
        return dict(self.stored.labels)

    @property
    def size(self) -> int:
        """Bytes of file content in all layers."""
        return self._engine.image_store.size(self.stored)

    @property
    def attrs(self) -> dict[str, Any]:
        """What ``docker image inspect`` prints."""
        return self._engine.image_store.inspect(self.id)

    @property
    def shared(self) -> Path | None:
        """The shared store that gives it one of its names, and so keeps it."""
        return self._engine.image_store.shared(self.stored)

    @property
    def layers(self) -> tuple[StackLayer, ...]:
        """The layers, base first: digest, diff id, chain id, sizes, what made each, who shares it."""
        return self._engine.image_store.stack(self.id)

    def entries(self, layer: StackLayer) -> tuple[LayerEntry, ...]:
        """What one of :attr:`layers` holds, read from its blob: paths, kinds, sizes, whiteouts.

        Raises :class:`BlobNotFound`, :class:`CorruptBlob`, :class:`LayerError`.
        """
        from minirt.layers.entries import read_entries
        from minirt.layers.streams import decompress

        descriptor = layer.descriptor
        with self._engine.store.open(descriptor.digest, descriptor.size) as blob:
            return tuple(read_entries(decompress(blob, descriptor.media_type)))

    def history(self) -> tuple[HistoryRow, ...]:
        """The rows of ``docker history``, newest first."""
        return self._engine.image_store.history(self.id)

    def platforms(self) -> tuple[str, ...]:
        """What it is for: ``("linux/amd64", "linux/arm64")`` where its names lead to an index of several."""
        from minirt.images.image import platforms_of

        return tuple(str(one.config.platform) for one in platforms_of(self._engine.store, self.stored))

    def tag(self, repository: str, tag: str | None = None) -> bool:
        """Give it another name. Raises :class:`InvalidReference`."""
        self._engine.image_store.tag(self.id, f"{repository}:{tag}" if tag else repository)
        self.reload()
        given = Reference.parse(f"{repository}:{tag}" if tag else repository)
        note_image(self._engine.journal, "tag", self.stored, given.familiar)
        return True

    def reload(self) -> None:
        """Read its names again. Raises :class:`ImageNotFound`."""
        self.stored = self._engine.image_store.get(self.id)

    def save(self, chunk_size: int | None = None, named: bool | str = True) -> Iterator[bytes]:
        """An archive of it, in chunks of our own size; ``named`` False leaves its names out, a text chooses one."""
        text = named if isinstance(named, str) else self.tags[0] if named and self.tags else self.id
        return self._engine.image_store.save([text])
