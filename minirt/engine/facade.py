"""The engine: one home, its rooms, and docker-py's collections over them."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from minirt.engine.containers import ContainerCollection
from minirt.engine.images import ImageCollection
from minirt.engine.lazy import made_once
from minirt.engine.networks import NetworkCollection
from minirt.engine.volumes import VolumeCollection
from minirt.images.catalog import ImageStore
from minirt.images.removal import ImageUse
from minirt.model.cancel import Cancel
from minirt.model.digest import Digest
from minirt.model.events import Event, EventSink, ignore
from minirt.store import Store

if TYPE_CHECKING:
    from minirt.build.builder import Builder
    from minirt.containers.copying import ContainerFiles
    from minirt.containers.lifecycle import Lifecycle
    from minirt.linux.machine import Machine
    from minirt.registry.client import RegistryClient
    from minirt.sandbox import Sandbox
    from minirt.snapshots import Snapshots
    from minirt.store.journal import Journal
    from minirt.volumes import Volumes

__all__ = ["Engine", "default_home", "now"]

# What the sandbox's workers need, so that none of them spends its time on imports.
_PRELOAD = (
    "minirt.networks.wiring", "minirt.snapshots.work", "minirt.snapshots.copy_work", "minirt.containers.changes",
    "minirt.containers.copy_work", "minirt.volumes.filling", "minirt.build.filework",
)  # fmt: skip


def default_home() -> Path:
    """Where an engine keeps its things unless told otherwise (the command line also asks ``$MINIRT_HOME``)."""
    return Path.home() / ".local" / "share" / "minirt"


def now() -> str:
    """RFC 3339 in UTC with microseconds, as docker writes times."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Engine:
    """Everything minirt can do with one home.

    ``home`` is a directory, made if it is missing; several engines, in one process or many, may share it.
    ``mirrors`` are base addresses that are asked before Docker Hub, in order; ``proxies`` are addresses by ``http``,
    ``https`` and ``no_proxy``; ``shared_stores`` are homes of others, whose images are used where they lie and never
    written (podman's ``additionalimagestores``); ``on_event`` sees every event of every call. The parts are made when
    they are first needed, so an engine costs nothing until it works. Close it, or use it in a ``with`` statement;
    detached containers run on.

    Raises :class:`HomeUnusable`.
    """

    def __init__(
        self,
        home: Path | str | None = None,
        *,
        mirrors: Sequence[str] = (),
        insecure_registries: Sequence[str] = (),
        shared_stores: Sequence[Path | str] = (),
        snapshotter: str | None = None,
        isolation: str | None = None,
        proxies: Mapping[str, str] | None = None,
        on_event: EventSink = ignore,
    ) -> None:
        self.home = Path(home) if home is not None else default_home()
        self.on_event = on_event
        self.mirrors = tuple(mirrors)
        self._insecure = tuple(insecure_registries)
        self._shared_stores = tuple(Path(store).absolute() for store in shared_stores)
        self._snapshotter, self._isolation = snapshotter, isolation
        self._proxies = dict(proxies or {})
        self._making = threading.RLock()
        self.images = ImageCollection(self)
        self.containers = ContainerCollection(self)
        self.volumes = VolumeCollection(self)
        self.networks = NetworkCollection(self)

    # The rooms

    @made_once
    def store(self) -> Store:
        """Blobs, names and locks."""
        return Store(self.home.absolute(), self._shared_stores)

    @made_once
    def machine(self) -> Machine:
        """What this machine allows, tried once."""
        from minirt.linux.probe import probe
        from minirt.linux.required import require_linux

        require_linux()
        found = probe(self.store.home, snapshotter=self._snapshotter, isolation=self._isolation)
        if self._snapshotter or self._isolation:
            found.check_choice()
        return found

    @made_once
    def sandbox(self) -> Sandbox:
        """Starts containers, and does filesystem work with their ids."""
        from minirt.sandbox import Sandbox

        return Sandbox(self.machine, self.store.home, preload=_PRELOAD)

    @made_once
    def snapshots(self) -> Snapshots:
        """Root filesystems made of layers."""
        from minirt.snapshots import CopySnapshots, OverlaySnapshots

        machine, call = self.machine, self.sandbox.call
        form = {"privileged": machine.root, "one_id": machine.one_owner}
        if machine.snapshotter == "overlay":
            return OverlaySnapshots(self.store, call, **form)
        return CopySnapshots(self.store, call, **form, traced=machine.isolation == "proot")

    @made_once
    def image_store(self) -> ImageStore:
        """Images in the store, and the way to registries."""

        def registry() -> RegistryClient:
            from minirt.registry.client import RegistryClient

            return RegistryClient(mirrors=self.mirrors, insecure=self._insecure, proxies=self._proxies or None)

        return ImageStore(self.store, registry, in_use=self._image_uses, keep=self.needed_blobs)

    @made_once
    def volume_store(self) -> Volumes:
        """Named and anonymous volumes."""
        from minirt.volumes import Volumes

        return Volumes(self.store)

    @made_once
    def lifecycle(self) -> Lifecycle:
        """Containers, from created to removed."""
        from minirt.containers.lifecycle import Lifecycle, Rooms

        return Lifecycle(Rooms(self.store, self.snapshots, self.sandbox, self.volume_store, self.machine, now))

    @made_once
    def files(self) -> ContainerFiles:
        """Files into and out of containers."""
        from minirt.containers.copying import ContainerFiles

        one_id = self.machine.one_owner
        return ContainerFiles(self.lifecycle.shelf, self.store, self.snapshots, self.sandbox, one_id=one_id)

    @made_once
    def builder(self) -> Builder:
        """Dockerfiles to images."""
        from minirt.engine.building import make_builder

        return make_builder(self)

    # What the collections share

    def sink(self, on_event: EventSink | None) -> EventSink:
        """Both the call's own sink and the engine's."""
        if on_event is None or on_event is self.on_event:
            return self.on_event
        both = on_event

        def report(event: Event) -> None:
            both(event)
            self.on_event(event)

        return report

    def report(self, event: Event) -> None:
        """Tell those who listen to the whole engine."""
        self.on_event(event)

    def _image_uses(self, image_id: Digest) -> list[ImageUse]:
        lifecycle = self.lifecycle
        return [
            ImageUse(record.short_id, lifecycle.state(record).alive)
            for record in lifecycle.shelf.all()
            if record.image_id == image_id
        ]

    def needed_blobs(self) -> Iterable[Digest]:
        """What containers and the build cache still need although no image names it."""
        from minirt.engine.building import cached_diff_ids

        for record in self.lifecycle.shelf.all():
            yield record.image_id
            yield from record.diff_ids
        yield from cached_diff_ids(self)

    def release_layers(self, diff_ids: Iterable[Digest]) -> None:
        """Remove the unpacked trees of layers that nothing needs any more."""
        needed = set(self.needed_blobs())
        for image in self.image_store.list(all=True):
            needed.update(image.config.diff_ids)
        for diff_id in diff_ids:
            if diff_id not in needed:
                self.snapshots.discard(self.snapshots.diff_path(diff_id).parent)

    def warm(self) -> None:
        """Start what the first call would otherwise wait for."""
        self.sandbox.warm()

    @property
    def journal(self) -> Journal:
        """What happened in this home, whoever did it."""
        from minirt.store.journal import Journal

        return Journal(self.store.home)

    def events(
        self,
        since: int | None = None,
        until: int | None = None,
        *,
        decode: bool = True,
        cancel: Cancel | None = None,
    ) -> Iterator[dict[str, Any]]:
        """docker-py's: events as docker's JSON has them; times in nanoseconds since 1970, without ``until`` endless.

        They are always decoded, so ``decode`` changes nothing.
        """
        from minirt.engine.happenings import happenings

        return happenings(self.journal, since, until, cancel)

    def info(self) -> dict[str, Any]:
        """What ``docker info`` tells: counts, and what this machine allows in plain words."""
        from minirt.engine.info import engine_info

        return engine_info(self)

    def version(self) -> dict[str, Any]:
        """What ``docker version`` tells."""
        from minirt.engine.info import engine_version

        return engine_version()

    def ping(self) -> bool:
        """docker-py's question whether the daemon answers: there is none that could be away."""
        return True

    def close(self) -> None:
        """End the helper process and let go of files. Detached containers run on."""
        if "sandbox" in self.__dict__:
            self.sandbox.close()
        if "store" in self.__dict__:
            self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Engine: {self.home}>"
