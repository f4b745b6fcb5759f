"""``engine.images``: docker-py's ``client.images`` (docker-py documentation, "Images")."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from minirt.engine.build_calls import WithBuilds
from minirt.engine.happenings import note_image, note_prune, note_removal, note_transfer
from minirt.errors import ImageNotFound
from minirt.images.image import StoredImage
from minirt.images.removal import Removal
from minirt.images.views import HistoryRow, StackLayer
from minirt.model.cancel import Cancel
from minirt.model.events import EventSink
from minirt.model.platform import Platform
from minirt.model.reference import Reference

if TYPE_CHECKING:
    from minirt.containers.request import ImageSource
    from minirt.engine.containers import Container
    from minirt.engine.facade import Engine
    from minirt.layers.entries import LayerEntry

__all__ = ["Image", "ImageCollection"]


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

    def save(self, named: bool | str = True) -> Iterator[bytes]:
        """An archive of it, in chunks; ``named`` False leaves its names out, a text chooses one."""
        text = named if isinstance(named, str) else self.tags[0] if named and self.tags else self.id
        return self._engine.image_store.save([text])


class ImageCollection(WithBuilds):
    """The images of this home."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def get(self, name: str) -> Image:
        """By name, id, or the beginning of an id. Raises :class:`ImageNotFound`, :class:`InvalidReference`."""
        return Image(self._engine, self._engine.image_store.get(name))

    def list(self, name: str | None = None, all: bool = False) -> list[Image]:
        """The images, newest first; ``name`` chooses by repository or name, with ``*`` and ``?``."""
        return [Image(self._engine, stored) for stored in self._engine.image_store.list(name, all=all)]

    def pull(
        self,
        repository: str,
        tag: str | None = None,
        *,
        platform: str | None = None,
        on_event: EventSink | None = None,
        cancel: Cancel | None = None,
    ) -> Image:
        """Fetch an image. Raises RegistryError and its kinds, ImageNotFound, CorruptBlob, StorageFull, Cancelled."""
        name = f"{repository}:{tag}" if tag else repository
        stored = self._engine.image_store.pull(
            name,
            platform=Platform.parse(platform) if platform else None,
            on_event=self._engine.sink(on_event),
            cancel=cancel,
        )
        note_transfer(
            self._engine.journal, "pull", stored, Reference.parse(f"{repository}:{tag}" if tag else repository)
        )
        return Image(self._engine, stored)

    def push(self, name: str, *, on_event: EventSink | None = None, cancel: Cancel | None = None) -> str:
        """Send an image to the registry that its name tells; returns the digest it has there."""
        sent = self._engine.image_store.push(name, on_event=self._engine.sink(on_event), cancel=cancel)
        note_transfer(self._engine.journal, "push", self._engine.image_store.get(name), Reference.parse(name))
        return str(sent.digest)

    def remove(self, image: str, force: bool = False) -> Removal:
        """``docker rmi``: take the name away, and the image with its last one. Raises ImageNotFound, ImageInUse."""
        removal = self._engine.image_store.remove(image, force=force)
        self._engine.release_layers(removal.layers)
        note_removal(self._engine.journal, removal)
        return removal

    def prune(self, all: bool = False, *, wanted: Callable[[StoredImage], bool] = lambda _: True) -> Removal:
        """Remove what has no name, or with ``all`` what no container uses; ``wanted`` may keep some."""
        removal = self._engine.image_store.prune(all=all, wanted=wanted)
        self._engine.release_layers(removal.layers)
        note_removal(self._engine.journal, removal)
        note_prune(self._engine.journal, "image", removal.bytes)
        return removal

    def save(self, names: Sequence[str]) -> Iterator[bytes]:
        """One archive of several images, for ``docker load``, ``skopeo`` and :meth:`load`."""
        found = [self._engine.image_store.get(name) for name in names]
        return self._saved(found, self._engine.image_store.save(names))

    def _saved(self, images: Sequence[StoredImage], chunks: Iterator[bytes]) -> Iterator[bytes]:
        yield from chunks
        for image in images:
            note_image(self._engine.journal, "save", image)

    def load(
        self, stream: BinaryIO, *, on_event: EventSink | None = None, cancel: Cancel | None = None
    ) -> builtins.list[Image]:
        """Take in an archive. Raises InvalidDocument, CorruptBlob, StorageFull."""
        loaded = self._engine.image_store.load(stream, on_event=self._engine.sink(on_event), cancel=cancel)
        for image in loaded:
            note_image(self._engine.journal, "load", image)
        return [Image(self._engine, stored) for stored in loaded]

    def import_image(
        self,
        stream: BinaryIO,
        *,
        repository: str | None = None,
        source: str = "-",
        message: str = "",
        changes: Sequence[str] = (),
        platform: str | None = None,
        cancel: Cancel | None = None,
    ) -> Image:
        """``docker import``: an image of one layer from a tar of files; ``changes`` are instructions.

        Raises :class:`LayerError` for what is not a tar, :class:`DockerfileError`.
        """
        from minirt.engine.importing import import_image

        stored = import_image(
            self._engine,
            stream,
            reference=Reference.parse(repository) if repository else None,
            source=source,
            message=message,
            changes=changes,
            platform=Platform.parse(platform) if platform else None,
            cancel=cancel,
        )
        if repository:
            note_image(self._engine.journal, "tag", stored, Reference.parse(repository).familiar)
        note_image(self._engine.journal, "import", stored)
        return Image(self._engine, stored)

    def source(
        self, name: str, *, pull: str = "missing", platform: str | None = None, cancel: Cancel | None = None
    ) -> ImageSource:
        """What a container of the image needs; ``pull`` is missing, always or never, as docker's ``--pull``."""
        from minirt.containers.request import ImageSource
        from minirt.snapshots import LayerSource

        stored = self._find_or_pull(name, pull, platform, cancel)
        layers = tuple(LayerSource(descriptor, diff_id) for descriptor, diff_id in stored.layers)
        return ImageSource(name, stored.id, stored.config, layers)

    def _find_or_pull(self, name: str, pull: str, platform: str | None, cancel: Cancel | None) -> StoredImage:
        if pull != "always":
            try:
                found = self._engine.image_store.get(name)
            except ImageNotFound:
                if pull == "never":
                    raise
            else:
                if platform is None:
                    return found
                if one := self._of_platform(found, Platform.parse(platform)):
                    return one
                if pull == "never":
                    raise ImageNotFound(
                        f"image with reference {name} was found but its platform ({found.config.platform}) does not "
                        f"match the specified platform ({platform})",
                        hint="Leave --platform out, or pull the image for that platform.",
                    )
        Reference.parse(name)
        return self.pull(name, platform=platform, cancel=cancel).stored

    def _of_platform(self, found: StoredImage, wanted: Platform) -> StoredImage | None:
        """The image itself, or another of its index."""
        from minirt.images.image import platforms_of

        if wanted.runs(found.config.platform):
            return found
        others = platforms_of(self._engine.store, found)
        return next((one for one in others if wanted.runs(one.config.platform)), None)

    def commit(
        self,
        container: Container,
        repository: str | None,
        tag: str | None,
        *,
        message: str = "",
        author: str = "",
        changes: Sequence[str] = (),
        pause: bool = True,
    ) -> Image:
        """``docker commit``: the container's image with its storage layer as one more layer."""
        from minirt.engine.building import commit

        name = f"{repository}:{tag}" if repository and tag else repository
        return Image(self._engine, commit(self._engine, container.record, name, message, author, pause, changes))
