"""Pulling: manifest, config and layers of one platform, three layers at a time, straight into the store."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from minirt.errors import Cancelled, CorruptBlob, ImageNotFound, InvalidDocument
from minirt.images.facts import layer_facts
from minirt.images.image import check_layers, sound
from minirt.model.cancel import Cancel
from minirt.model.config import ImageConfig
from minirt.model.digest import Digest
from minirt.model.events import EventSink, LayerFetched, LayerProgress, PullFinished, PullStarted
from minirt.model.manifest import DOCKER_INDEX, INDEX, Descriptor, Index, Manifest
from minirt.model.platform import Platform
from minirt.model.reference import Reference
from minirt.registry.client import RegistryClient
from minirt.registry.download import Download
from minirt.registry.platforms import choose
from minirt.store import Store

__all__ = ["pull"]

_AT_ONCE = 3  # docker's max-concurrent-downloads
_STEP = 512 * 1024  # bytes between two progress events of a layer
_T = TypeVar("_T")


def pull(
    store: Store,
    registry: RegistryClient,
    ref: Reference,
    platform: Platform,
    *,
    on_event: EventSink,
    cancel: Cancel | None,
) -> Digest:
    """Fetch ``ref`` for ``platform`` and name it; gives the image id.

    The tag and the digest it was asked for (of the index, if there is one, as docker shows it) both become names.
    Raises :class:`RegistryError` and its kinds, :class:`ImageNotFound`, :class:`CorruptBlob`, :class:`Cancelled`.
    """
    with store.lease():
        work = _Pull(store, registry, ref, on_event, cancel)
        top, raw = work.waiting(lambda: registry.manifest(ref, cancel=cancel))
        descriptor, manifest = work.waiting(lambda: work.manifest(top, raw, platform))
        config = work.waiting(lambda: work.config(manifest, platform))
        work.layers(manifest, config)
        image_id = manifest.config.digest
        new = not any(name == ref and found.digest == descriptor.digest for name, found in store.references())
        if ref.tag is not None and ref.digest is None:
            store.set_reference(ref, descriptor)
        store.set_reference(ref.with_digest(top.digest), descriptor)
        on_event(PullFinished(ref.familiar, str(top.digest), new))
    return image_id


class _Pull:
    """One pull: what its steps share. Network calls run in threads, so that an interrupt never waits for them."""

    def __init__(
        self, store: Store, registry: RegistryClient, ref: Reference, on_event: EventSink, cancel: Cancel | None
    ) -> None:
        self.store = store
        self.registry = registry
        self.ref = ref
        self.on_event = on_event
        self.cancel = cancel
        self._lock = threading.Lock()
        self._downloads: set[Download] = set()
        self._stopped = False

    def manifest(self, top: Descriptor, raw: bytes, platform: Platform) -> tuple[Descriptor, Manifest]:
        """The platform's manifest, stored; ``raw`` is what the name led to."""
        while top.media_type in (INDEX, DOCKER_INDEX):
            with sound(f"the index of {self.ref.familiar}"):
                chosen = choose(Index.from_bytes(raw), platform, self.ref.familiar)
            if self.store.has(chosen.digest, chosen.size):
                top, raw = replace(chosen, annotations={}), self.store.read(chosen.digest)
            else:
                top, raw = self.registry.manifest(self.ref.with_digest(chosen.digest), cancel=self.cancel)
        with sound(f"the manifest of {self.ref.familiar}"):
            manifest = Manifest.from_bytes(raw)
        return self.store.put(raw, top.media_type), manifest

    def config(self, manifest: Manifest, platform: Platform) -> ImageConfig:
        """The config, stored. Raises :class:`ImageNotFound` if a single image is for another platform."""
        wanted = manifest.config
        if not self.store.has(wanted.digest, wanted.size):
            raw = self.registry.document(self.ref, wanted, cancel=self.cancel)
            self.store.put(raw, wanted.media_type)
        with sound(f"the config of {self.ref.familiar}"):
            config = ImageConfig.from_bytes(self.store.read(wanted.digest))
        if not config.platform.architecture:
            raise InvalidDocument(f"{self.ref.familiar} is not a container image", cause=f"it is {wanted.media_type}")
        check_layers(manifest, config)
        if not platform.runs(config.platform):
            raise ImageNotFound(
                f"{self.ref.familiar} was made for {config.platform}, not for {platform}",
                hint=f"Pull it with --platform {config.platform} if that is what you want; it may not run here.",
            )
        return config

    def layers(self, manifest: Manifest, config: ImageConfig) -> None:
        """Fetch the layers that are not here, each once. All or an error: the first that fails stops the others."""
        pairs = dict(
            zip(
                (layer.digest for layer in manifest.layers),
                zip(manifest.layers, config.diff_ids, strict=True),
                strict=True,
            )
        )
        present = tuple(str(d) for d, (layer, _) in pairs.items() if self.store.has(d, layer.size))
        sizes = tuple((str(d), layer.size) for d, (layer, _) in pairs.items())
        self.on_event(PullStarted(self.ref.familiar, sizes, present))
        missing = [pair for digest, pair in pairs.items() if str(digest) not in present]
        if missing:
            self._together([lambda pair=pair: self._layer(*pair) for pair in missing])  # type: ignore[misc]

    def waiting(self, call: Callable[[], _T]) -> _T:
        """The result of ``call``, or :class:`Cancelled` as soon as the user interrupts."""
        result: list[_T] = []
        self._together([lambda: result.append(call())])
        return result[0]

    def _together(self, calls: list[Callable[[], None]]) -> None:
        """Run ``calls``, some at once. In daemon threads: a pool's would hold up the end of an interrupted process."""
        todo: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        done: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        for call in calls:
            todo.put(call)
        threads = [
            threading.Thread(target=_worker, args=(todo, done), name="minirt-pull", daemon=True)
            for _ in range(min(_AT_ONCE, len(calls)))
        ]
        for thread in threads:
            thread.start()
        try:
            for _ in calls:
                failure = self._next(done)
                if failure is not None:
                    raise failure
        except BaseException:
            self._stop()
            for thread in threads:
                thread.join(0.3)  # most often long enough for their temporary files to be gone
            raise

    def _next(self, done: queue.SimpleQueue[BaseException | None]) -> BaseException | None:
        while True:
            try:
                return done.get(timeout=None if self.cancel is None else 0.05)
            except queue.Empty:
                if self.cancel is not None:
                    self.cancel.check()

    def _stop(self) -> None:
        with self._lock:
            self._stopped = True
            downloads = tuple(self._downloads)
        for download in downloads:
            download.abort()

    def _layer(self, layer: Descriptor, diff_id: Digest) -> None:
        """One layer into the store. Wrong bytes are fetched once more, from the next place if there is one."""
        for start in range(2):
            try:
                self._fetch(layer, start)
                break
            except CorruptBlob:
                if start == 1:
                    raise
        layer_facts(self.store, layer, diff_id)
        self.on_event(LayerFetched(str(layer.digest)))

    def _fetch(self, layer: Descriptor, start: int) -> None:
        download = self.registry.blob(self.ref, layer, cancel=self.cancel, start=start)
        with self._lock:
            if self._stopped:
                raise Cancelled()
            self._downloads.add(download)
        try:
            with self.store.writer() as writer:
                told = 0
                for chunk in download:
                    writer.write(chunk)
                    if download.done - told >= _STEP:
                        told = download.done
                        self.on_event(LayerProgress(str(layer.digest), told, layer.size))
                writer.commit(layer.media_type, layer.digest, layer.size)
            self.on_event(LayerProgress(str(layer.digest), layer.size, layer.size))
        finally:
            with self._lock:
                self._downloads.discard(download)


def _worker(todo: queue.SimpleQueue[Callable[[], None]], done: queue.SimpleQueue[BaseException | None]) -> None:
    """Take calls until none is left, or until one fails."""
    failure: BaseException | None = None
    while failure is None:
        try:
            call = todo.get_nowait()
        except queue.Empty:
            return
        try:
            call()
        except BaseException as error:
            failure = error
        done.put(failure)
