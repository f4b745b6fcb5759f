"""``engine.images``: docker-py's ``client.images`` (docker-py documentation, "Images")."""

from __future__ import annotations

import builtins
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

from minirt.engine.build_calls import WithBuilds
from minirt.engine.happenings import note_image, note_prune, note_removal, note_transfer
from minirt.engine.image import Image
from minirt.errors import ImageNotFound
from minirt.images.image import StoredImage
from minirt.images.removal import Removal
from minirt.model.cancel import Cancel
from minirt.model.events import EventSink
from minirt.model.platform import Platform
from minirt.model.reference import Reference

if TYPE_CHECKING:
    from minirt.containers.request import ImageSource
    from minirt.engine.containers import Container
    from minirt.engine.facade import Engine

__all__ = ["Image", "ImageCollection"]


class ImageCollection(WithBuilds):
    """The images of this home."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def get(self, name: str) -> Image:
        """By name, id, or the beginning of an id. Raises :class:`ImageNotFound`, :class:`InvalidReference`."""
        return Image(self._engine, self._engine.image_store.get(name))

    def list(self, name: str | None = None, all: bool = False, filters: Mapping[str, Any] | None = None) -> list[Image]:
        """The images, newest first; ``name`` chooses by repository or name, with ``*`` and ``?``.

        ``filters`` are ``before``, ``dangling``, ``label``, ``reference`` and ``since``. Raises :class:`InvalidInput`.
        """
        found = [Image(self._engine, stored) for stored in self._engine.image_store.list(name, all=all)]
        if not filters:
            return found
        from minirt.engine.image_filters import image_filter

        return [*filter(image_filter(self._engine, filters), found)]

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

    def prune(
        self,
        filters: Mapping[str, Any] | None = None,
        *,
        all: bool = False,
        wanted: Callable[[StoredImage], bool] = lambda _: True,
    ) -> Removal:
        """Remove what has no name, or with ``all`` what no container uses; ``wanted`` may keep some.

        ``filters`` are docker-py's: ``dangling`` (False is ``all``), ``label``, ``label!``, ``until``.
        """
        if filters:
            from minirt.engine.image_filters import prune_words

            every, chosen = prune_words(filters)
            all, given = all or every, wanted
            wanted = lambda image: chosen(image) and given(image)  # noqa: E731
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
        self, data: BinaryIO | bytes, *, on_event: EventSink | None = None, cancel: Cancel | None = None
    ) -> builtins.list[Image]:
        """Take in an archive, a file or its bytes. Raises InvalidDocument, CorruptBlob, StorageFull."""
        stream = io.BytesIO(data) if isinstance(data, bytes) else data
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
