"""The facade of this room: a request in, an image in the store out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from minirt.build.bases import known_starts
from minirt.build.cache import BuildCache
from minirt.build.checking import find
from minirt.build.config_steps import with_label
from minirt.build.contenthash import FileHashes
from minirt.build.context import Tree, open_context
from minirt.build.executor import execute
from minirt.build.failed import FailedSteps
from minirt.build.job import Job, Scratchpad, timestamp
from minirt.build.network_pool import NetworkPool
from minirt.build.plan import Plan, make_plan
from minirt.build.request import BuildRequest, Known, Resolver
from minirt.build.state import StageState
from minirt.dockerfile import parse
from minirt.dockerfile.checks import Finding
from minirt.errors import MinirtError, PathNotFound
from minirt.model.cancel import Cancel
from minirt.model.config import History, ImageConfig
from minirt.model.digest import Digest
from minirt.model.events import BuildFailed, BuildFinished, EventSink, ImageTagged, ignore
from minirt.model.manifest import CONFIG, MANIFEST, Descriptor, Manifest
from minirt.model.reference import Reference
from minirt.sandbox import Sandbox
from minirt.snapshots.contract import Snapshots
from minirt.store import Store

__all__ = ["BuildResult", "Builder"]


@dataclass(frozen=True, slots=True)
class BuildResult:
    """``image_id`` is the digest of the config; ``manifest`` is in the store, and ``names`` name it."""

    image_id: Digest
    manifest: Descriptor
    config: ImageConfig
    names: tuple[Reference, ...] = ()


class Builder:
    """Builds images from Dockerfiles. Several threads may use one builder, several builders one home."""

    def __init__(
        self,
        store: Store,
        snapshots: Snapshots,
        sandbox: Sandbox,
        resolver: Resolver,
        known: Known = lambda _reference, _platform: None,
        cache: BuildCache | None = None,
    ) -> None:
        self.store = store
        self.snapshots = snapshots
        self.sandbox = sandbox
        self.resolver = resolver
        self.known = known
        self.cache = cache or BuildCache(store)
        self.failed = FailedSteps(store, snapshots)
        self._hashes: dict[Path, FileHashes] = {}

    def build(self, request: BuildRequest, on_event: EventSink = ignore, cancel: Cancel | None = None) -> BuildResult:
        """Build, store and name the image.

        Raises :class:`DockerfileError`, :class:`BuildError` and its kin (with the place in the Dockerfile),
        ImageNotFound, RegistryError, StorageFull, :class:`Cancelled`. Nothing half made is left then; the steps that
        were done stay in the cache.
        """
        started = time.monotonic()
        request = request.with_epoch()
        scratchpad = Scratchpad(self.store.home, self.snapshots)
        scratchpad.clear_leftovers()
        self.failed.clear()
        networks = NetworkPool(self.store, self.sandbox)
        try:
            with self.store.lease(), self.sandbox.keeping():
                dockerfile = parse(request.dockerfile, request.source)
                plan = make_plan(dockerfile, request.target, request.build_args, request.platform)
                job = Job(self, request, plan, self._contexts(request), scratchpad, networks, on_event, cancel)
                state = execute(job, self.resolver)
                self._save_hashes(job)
                result = self._store(request, job.plan, state, on_event)
        except MinirtError as error:
            on_event(BuildFailed(error.what, time.monotonic() - started))
            raise
        finally:
            networks.close()
            scratchpad.close()
        on_event(BuildFinished(str(result.image_id), time.monotonic() - started))
        return result

    def check(self, request: BuildRequest) -> tuple[Finding, ...]:
        """The findings of the build checks, without building; base images are looked at where they are here already.

        Raises :class:`DockerfileError`, :class:`PathNotFound`.
        """
        dockerfile = parse(request.dockerfile, request.source)
        plan = make_plan(dockerfile, request.target, request.build_args, request.platform)
        return find(request, dockerfile, self._contexts(request).get(""), known_starts(plan, request, self.known))

    def _contexts(self, request: BuildRequest) -> dict[str, Tree]:
        """The trees to copy from, by name. Raises :class:`PathNotFound`."""
        trees: dict[str, Tree] = {}
        if request.context is not None:
            trees[""] = self._tree(request.context, request.ignore, request.source)
        for name, value in request.contexts.items():
            if "://" not in value:
                trees[name] = replace(self._tree(Path(value), None, ""), name=f"the build context {name}")
        return trees

    def _tree(self, directory: Path, ignore_text: str | None, source: str) -> Tree:
        if not directory.is_dir():
            raise PathNotFound(
                f'unable to prepare context: path "{directory}" not found',
                cause="it is a file" if directory.exists() else "there is no directory of that name",
                hint="The last word of docker build is the context: a directory, often just a dot.",
            )
        hashes = self._hashes.setdefault(directory, FileHashes(self.cache.hashes_for(directory)))
        return open_context(directory, ignore_text, hashes, Path(source).name, str(self.store.home))

    @staticmethod
    def _save_hashes(job: Job) -> None:
        for tree in job.contexts.values():
            if tree.hashes is not None:
                tree.hashes.save()

    def _store(self, request: BuildRequest, plan: Plan, state: StageState, on_event: EventSink) -> BuildResult:
        state = with_label(state, request.labels)
        config = image_config(request, plan, state)
        written = self.store.put(config.to_bytes(), CONFIG)
        layers = tuple(layer.descriptor for layer in state.layers)
        notes = {key: value for key, value in request.annotations.items() if not key.startswith("index:")}
        manifest = Manifest(written, layers, notes)
        descriptor = replace(self.store.put(manifest.to_bytes(), MANIFEST), platform=config.platform)
        if not request.tags:
            self.store.add_untagged(descriptor)
        for tag in request.tags:
            self.store.set_reference(tag, descriptor)
            on_event(ImageTagged(str(written.digest), tag.familiar))
        return BuildResult(written.digest, descriptor, config, request.tags)


def image_config(request: BuildRequest, plan: Plan, state: StageState) -> ImageConfig:
    """The image's config document from the target's last state."""
    now = timestamp(request.epoch)
    history = fill_times(state.history, now)
    if request.epoch is not None:
        history = tuple(replace(entry, created=min(entry.created, now)) for entry in history)
    return ImageConfig(
        platform=request.platform or state.platform,
        config=state.config,
        diff_ids=tuple(layer.diff_id for layer in state.layers),
        history=history,
        created=history[-1].created if history else now,
        author=state.author,
    )


def fill_times(history: Sequence[History], now: str) -> tuple[History, ...]:
    """Give the entries without a time one: that of the layer before, or of the first new layer after.

    As BuildKit's exporter does (``normalizeLayersAndHistory``), so that a build from the cache is the same image.
    """
    missing = next((index for index, entry in enumerate(history) if not entry.created), len(history))
    before = next((entry.created for entry in reversed(history[:missing]) if entry.created), "")
    after = next((entry.created for entry in history[missing:] if entry.created), "")
    current = after or before or now
    filled: list[History] = []
    for entry in history:
        current = entry.created or current if len(filled) >= missing else current
        filled.append(entry if entry.created else replace(entry, created=current))
    return tuple(filled)
