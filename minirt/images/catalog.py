"""The images of one store: the room's front door."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from minirt.errors import ImageNotFound, InvalidReference, MinirtError
from minirt.images import names, views
from minirt.images.base import BASE, BaseImage
from minirt.images.facts import LayerFacts, layer_content, layer_facts
from minirt.images.image import StoredImage, platforms_of, read_image
from minirt.images.removal import ImageUse, InUse, Removal, nobody, plan_removal, refuse_shared
from minirt.images.views import HistoryRow, StackLayer
from minirt.model.cancel import Cancel
from minirt.model.digest import Digest
from minirt.model.events import EventSink, ImageTagged, ignore
from minirt.model.manifest import Descriptor
from minirt.model.platform import Platform
from minirt.model.reference import Reference
from minirt.store import Store

if TYPE_CHECKING:
    from minirt.registry.client import RegistryClient

__all__ = ["ImageStore"]


class ImageStore:
    """Lists, finds, names, removes, saves, loads and pulls images. Safe to share between threads and processes.

    ``registry`` may be a function that makes the client at its first use. ``in_use`` tells which containers were made
    from an image id; ``keep`` gives digests of manifests and configs that containers need although no image has a
    name for them any more (a sweep leaves them).
    """

    def __init__(
        self,
        store: Store,
        registry: RegistryClient | Callable[[], RegistryClient] | None = None,
        *,
        in_use: InUse = nobody,
        keep: Callable[[], Iterable[Digest]] = tuple,
    ) -> None:
        self.store = store
        self._registry = registry
        self._in_use = in_use
        self._keep = keep
        self._lock = threading.Lock()
        self._known: dict[Digest, StoredImage] = {}
        self._base = BaseImage(store)

    @property
    def registry(self) -> RegistryClient:
        """The way to registries; made when it is needed, because most commands never leave the machine."""
        from minirt.registry.client import RegistryClient

        if not isinstance(self._registry, RegistryClient):
            self._registry = (self._registry or RegistryClient)()
        return self._registry

    # --- find ---

    def list(self, name: str | None = None, *, all: bool = False) -> tuple[StoredImage, ...]:  # noqa: A002 (docker-py's word)
        """The images, newest first; ``name`` is a repository or a name (``hello``, ``hello:1``, ``hello:*``).

        Dangling images are there unless ``name`` is given; ``all`` has no further meaning here, for intermediate
        results of builds are cache entries and not images. What cannot be read is left out: :meth:`get` says why.
        """
        images = sorted(self._images(), key=lambda image: (image.config.created, image.id), reverse=True)
        return tuple(image for image in images if name is None or views.matches(image, name))

    def get(self, text: str) -> StoredImage:
        """The image of that name, digest, id or beginning of an id; ``minirt/base`` is made when it is asked for.

        Raises :class:`ImageNotFound`, :class:`InvalidReference`, :class:`InvalidInput` (an ambiguous id).
        """
        images = self._images()
        if not names.looks_like_id(text) and Reference.parse(text) == BASE:
            self.base()
            images = self._images()
        try:
            return names.find(text, images)
        except ImageNotFound:
            parts = [part for image in images if image.index for part in platforms_of(self.store, image)]
            if not parts or not names.looks_like_id(text):
                raise
            return names.find(text, parts)  # of an index: a container may run from it

    def base(self) -> StoredImage:
        """``minirt/base``, made from this machine's own programs unless it is here and they are the same still.

        Raises :class:`Unsupported` when the machine lacks a shell or the basic utilities.
        """
        descriptor = self._base.ensure()
        return self._read(
            descriptor, tuple(ref for ref, found in self.store.references() if found.digest == descriptor.digest)
        )

    # --- names ---

    def tag(self, source: str, target: str | Reference, *, on_event: EventSink = ignore) -> StoredImage:
        """Give an image another name. Raises :class:`ImageNotFound`, :class:`InvalidReference`."""
        image = self.get(source)
        ref = Reference.parse(target) if isinstance(target, str) else target
        if ref.digest is not None:
            raise InvalidReference(f"refusing to create a tag with a digest reference: {ref.familiar}")
        self.store.set_reference(ref, image.top)
        on_event(ImageTagged(str(image.id), ref.familiar))
        return self.get(str(image.id))

    def remove(self, text: str, *, force: bool = False) -> Removal:
        """Take the name away and, with the last one, the image (``docker rmi``).

        Raises :class:`ImageNotFound`, :class:`ImageInUse`, :class:`ImageShared`.
        """
        image = names.find(text, self._images())
        name = None if names.is_id(text, image) else names.reference_in(text, image)
        shared = self.shared(image) if name is None else self.store.shared_by(name)
        if shared is not None:
            refuse_shared(image, name, shared)
        gone, delete = plan_removal(image, name, self._users(image), force)
        if self.shared(image) is not None:
            own = {ref for ref, _ in self.store.own_references()}
            gone, delete = tuple(ref for ref in gone if ref in own), False
        with self.store.lease():
            self.store.has(image.top.digest)  # held: no sweep takes it between its last name and what follows
            for ref in gone:
                self.store.remove_reference(ref)
            if not delete and set(gone) == set(image.names):
                self.store.add_untagged(image.top)  # a container runs from it: it lives on without a name
        if not delete:
            return Removal(tuple(ref.familiar for ref in gone), images=(image,) * len(gone))
        return self._delete([image], gone)

    def prune(
        self,
        *,
        all: bool = False,  # noqa: A002 (docker's word)
        wanted: Callable[[StoredImage], bool] = lambda _: True,
    ) -> Removal:
        """Remove dangling images, or with ``all`` every image that no container uses; ``wanted`` may keep some."""
        found = (image for image in self._images() if (all or image.dangling) and wanted(image))
        doomed = [image for image in found if not self._users(image) and self.shared(image) is None]
        gone = tuple(ref for image in doomed for ref in image.names)
        for ref in gone:
            self.store.remove_reference(ref)
        return self._delete(doomed, gone)

    def _users(self, image: StoredImage) -> Sequence[ImageUse]:
        """The containers of the image: of an index, those of any of its platforms."""
        return tuple(use for part in platforms_of(self.store, image) for use in self._in_use(part.id))

    # --- look ---

    def shared(self, image: StoredImage) -> Path | None:
        """The shared store that gives the image one of its names, if one does."""
        return next((home for name in image.names if (home := self.store.shared_by(name)) is not None), None)

    def size(self, image: StoredImage) -> int:
        """Bytes of file content in all its layers: the SIZE of ``docker images``."""
        return sum(layer_content(self.store, descriptor, diff_id) for descriptor, diff_id in image.layers)

    def facts(self, descriptor: Descriptor, diff_id: Digest) -> LayerFacts:
        """The figures of one layer."""
        return layer_facts(self.store, descriptor, diff_id)

    def history(self, text: str) -> tuple[HistoryRow, ...]:
        """The rows of ``docker history``, newest first. Raises as :meth:`get`."""
        return views.history(self.get(text), lambda layer, diff_id: layer_content(self.store, layer, diff_id))

    def inspect(self, text: str) -> dict[str, Any]:
        """The document of ``docker image inspect``. Raises as :meth:`get`."""
        image = self.get(text)
        return views.inspect(image, self.size(image), self.store.home)

    def stack(self, text: str) -> tuple[StackLayer, ...]:
        """The image's layers, base first, with what made them and which other images share them."""
        return views.stack(self.get(text), self._images(), self.facts)

    # --- move ---

    def save(self, texts: Sequence[str]) -> Iterator[bytes]:
        """One archive of several images, as chunks of a tar (OCI archive and docker archive in one).

        Raises :class:`ImageNotFound` before the first chunk.
        """
        from minirt.images.save import save

        return save(self.store, views.to_save(texts, self._images(), self.get))

    def load(
        self, stream: BinaryIO, *, on_event: EventSink = ignore, cancel: Cancel | None = None
    ) -> tuple[StoredImage, ...]:
        """Take in an archive of :meth:`save`, ``docker save``, ``skopeo`` or ``buildah``, compressed or not.

        Raises :class:`InvalidDocument` (not such an archive), :class:`CorruptBlob`, :class:`StorageFull`.
        """
        from minirt.images.load import load

        loaded = load(self.store, stream, on_event=on_event, cancel=cancel)
        return tuple(self._fresh(image_id) for image_id in loaded)

    def pull(
        self,
        ref: str | Reference,
        *,
        platform: Platform | None = None,
        on_event: EventSink = ignore,
        cancel: Cancel | None = None,
    ) -> StoredImage:
        """Fetch an image from its registry; what is here already is not fetched again.

        ``minirt/base`` comes from this machine. Raises :class:`RegistryError` and its kinds, :class:`ImageNotFound`,
        :class:`CorruptBlob`, :class:`StorageFull`, :class:`Cancelled`; then the store is as it was.
        """
        wanted = Reference.parse(ref) if isinstance(ref, str) else ref
        if wanted == BASE:
            return self.base()
        from minirt.images.pull import pull

        pulled = pull(self.store, self.registry, wanted, platform or Platform.host(), on_event=on_event, cancel=cancel)
        return self._fresh(pulled)

    def push(self, text: str, *, on_event: EventSink = ignore, cancel: Cancel | None = None) -> Descriptor:
        """Send an image to the registry its name tells; gives the descriptor of the manifest there.

        Raises :class:`ImageNotFound`, :class:`RegistryError` and its kinds, :class:`Cancelled`.
        """
        from minirt.images.push import push

        return push(self.store, self.registry, self.get(text), Reference.parse(text), on_event=on_event, cancel=cancel)

    # --- inside ---

    def _images(self) -> Sequence[StoredImage]:
        """Every readable image once, in the order of the index; manifests that share a config are one image."""
        found: dict[Digest, tuple[Descriptor, list[Reference]]] = {}
        for ref, descriptor in self.store.references():
            found.setdefault(descriptor.digest, (descriptor, []))[1].append(ref)
        for descriptor in self.store.untagged():
            found.setdefault(descriptor.digest, (descriptor, []))
        images: dict[Digest, StoredImage] = {}
        for descriptor, refs in found.values():
            try:
                image = self._read(descriptor, tuple(refs))
            except MinirtError:
                continue
            first = images.get(image.id)
            images[image.id] = image if first is None else views.merged(first, image)
        return tuple(images.values())

    def _read(self, descriptor: Descriptor, refs: tuple[Reference, ...]) -> StoredImage:
        # Documents never change under their digest, so each is read and checked once.
        with self._lock:
            known = self._known.get(descriptor.digest)
        if known is None:
            known = read_image(self.store, descriptor)
            with self._lock:
                self._known[descriptor.digest] = known
        return views.named(known, refs)

    def _id_of(self, descriptor: Descriptor) -> Digest | None:
        try:
            return self._read(descriptor, ()).id
        except MinirtError:
            return None

    def _fresh(self, image_id: Digest) -> StoredImage:
        return next(image for image in self._images() if image.id == image_id)

    def _delete(self, doomed: Sequence[StoredImage], untagged: Sequence[Reference]) -> Removal:
        ids = {image.id for image in doomed}
        for descriptor in self.store.untagged():
            if self._id_of(descriptor) in ids:
                self.store.remove_untagged(descriptor.digest)
        left = {diff_id for image in self._images() for diff_id in image.config.diff_ids}
        # One layer may stand twice in an image; each is told once, base first.
        layers = dict.fromkeys(d for image in doomed for d in image.config.diff_ids if d not in left)
        swept = self.store.sweep(self._keep())
        return Removal(
            tuple(ref.familiar for ref in untagged),
            tuple(image.id for image in doomed),
            tuple(layers),
            swept.bytes,
            tuple(image for image in doomed for ref in image.names if ref in untagged),
        )
