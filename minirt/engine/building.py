"""How the facade builds and commits: the build room put together with the images and the sandbox."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minirt.engine.changing import changed
from minirt.engine.happenings import note_image
from minirt.errors import ImageNotFound, InvalidSpec
from minirt.images.image import StoredImage, platforms_of
from minirt.model.cancel import Cancel
from minirt.model.config import History, ImageConfig
from minirt.model.digest import Digest
from minirt.model.events import EventSink, ImageTagged
from minirt.model.manifest import CONFIG, INDEX, MANIFEST, Descriptor, Index, Manifest
from minirt.model.platform import Platform
from minirt.model.reference import Reference
from minirt.snapshots import LayerSource

if TYPE_CHECKING:
    from minirt.build.builder import Builder
    from minirt.build.request import BuildRequest, ResolvedImage
    from minirt.containers.records import ContainerRecord
    from minirt.engine.facade import Engine

__all__ = ["build", "build_each", "cached_diff_ids", "commit", "make_builder", "request_of"]


def make_builder(engine: Engine) -> Builder:
    """The build room over this engine's store, snapshots and sandbox."""
    from minirt.build.builder import Builder

    def known(reference: Reference, platform: Platform) -> ResolvedImage | None:
        if reference not in (name for name, _ in engine.store.references()):
            return None
        stored = _here(engine, reference, platform)
        return None if stored is None else _resolved(stored)

    def resolve(
        reference: Reference, platform: Platform, pull: bool, on_event: EventSink, cancel: Cancel | None
    ) -> ResolvedImage:
        return _resolved(_find(engine, reference, platform, pull, on_event, cancel))

    return Builder(engine.store, engine.snapshots, engine.sandbox, resolve, known)


def _resolved(stored: StoredImage) -> ResolvedImage:
    from minirt.build.request import ResolvedImage

    sources = tuple(LayerSource(descriptor, diff_id) for descriptor, diff_id in stored.layers)
    return ResolvedImage(stored.config, sources)


def _here(engine: Engine, reference: Reference, platform: Platform) -> StoredImage | None:
    """The image of that name which runs on ``platform``, without a look at any registry."""
    try:
        found = engine.image_store.get(str(reference))
    except ImageNotFound:
        return None
    return next((one for one in platforms_of(engine.store, found) if platform.runs(one.config.platform)), None)


def _find(
    engine: Engine,
    reference: Reference,
    platform: Platform,
    pull: bool,
    on_event: EventSink,
    cancel: Cancel | None,
) -> StoredImage:
    stored = None if pull else _here(engine, reference, platform)
    if stored is not None:
        return stored
    return engine.image_store.pull(reference, platform=platform, on_event=on_event, cancel=cancel)


def request_of(
    text: str | bytes, source: str, context: Path | None, tags: Sequence[str], options: Mapping[str, Any]
) -> BuildRequest:
    """The request of :meth:`minirt.engine.build_calls.WithBuilds.build`. Raises TypeError for an unknown option."""
    from minirt.build.request import BuildRequest

    fields = {_FIELDS[name]: value for name, value in options.items() if name in _FIELDS}
    unknown = options.keys() - _FIELDS.keys()
    if unknown:
        raise TypeError(f"build() got an unexpected keyword argument {min(unknown)!r}")
    given = {name: value for name, value in fields.items() if value is not None}
    if isinstance(given.get("platform"), str):
        given["platform"] = Platform.parse(given["platform"])
    for name in ("extra_hosts", "rlimits"):
        if name in given:
            given[name] = tuple(given[name].items() if isinstance(given[name], Mapping) else given[name])
    if "no_cache_stages" in given:
        given["no_cache_stages"] = tuple(given["no_cache_stages"])
    if given.get("network", "default") not in ("default", "host", "none"):
        raise InvalidSpec(
            f"network mode {given['network']!r} not supported by a build",
            hint="Use default for a network of their own, host for the machine's, none for no network.",
        )
    names = tuple(Reference.parse(tag) for tag in tags)
    return BuildRequest(dockerfile=text, source=source, context=context, tags=names, **given)


_FIELDS = {
    "buildargs": "build_args",
    "labels": "labels",
    "target": "target",
    "nocache": "no_cache",
    "no_cache_filter": "no_cache_stages",
    "pull": "pull",
    "platform": "platform",
    "network_mode": "network",
    "contexts": "contexts",
    "images": "images",
    "secrets": "secrets",
    "source_date_epoch": "epoch",
    "ssh": "ssh",
    "extra_hosts": "extra_hosts",
    "ulimits": "rlimits",
    "shm_size": "shm_size",
    "annotations": "annotations",
}


def build(engine: Engine, request: BuildRequest, on_event: EventSink | None, cancel: Cancel | None) -> StoredImage:
    """See :meth:`minirt.engine.build_calls.WithBuilds.build`."""
    from minirt.engine.build_cache import keep_to_limit

    result = engine.builder.build(request, on_event=engine.sink(on_event), cancel=cancel)
    stored = engine.image_store.get(str(result.image_id))
    _note(engine, stored, request.tags)
    keep_to_limit(engine)
    return stored


def build_each(
    engine: Engine,
    request: BuildRequest,
    platforms: Sequence[Platform],
    on_event: EventSink | None,
    cancel: Cancel | None,
) -> StoredImage:
    """One image for each platform, and an index of them that bears the names, as buildx makes it.

    Raises as :func:`build`; nothing is named then.
    """
    from minirt.engine.build_cache import keep_to_limit
    from minirt.images.image import read_image

    sink = engine.sink(on_event)
    notes = {key[6:]: value for key, value in request.annotations.items() if key.startswith("index:")}
    with engine.store.lease():
        before = {one.digest for one in engine.store.untagged()}
        try:
            entries = []
            for platform in platforms:
                name = f"{request.shown_name} {platform}".strip()
                one = replace(request, platform=platform, tags=(), name=name)
                entries.append(replace(engine.builder.build(one, sink, cancel).manifest, platform=platform))
            index = engine.store.put(Index(tuple(entries), notes).to_bytes(), INDEX)
            for tag in request.tags:
                engine.store.set_reference(tag, index)
                sink(ImageTagged(str(index.digest), tag.familiar))
            if not request.tags:
                engine.store.add_untagged(index)
        finally:
            for left in engine.store.untagged():
                if left.media_type != INDEX and left.digest not in before:
                    engine.store.remove_untagged(left.digest)
        stored = read_image(engine.store, index, request.tags)
    _note(engine, stored, request.tags)
    keep_to_limit(engine)
    return stored


def _note(engine: Engine, stored: StoredImage, names: Sequence[Reference]) -> None:
    """What docker tells of a build: its names, then the image. A name without a tag stays one."""
    for name in names:
        note_image(engine.journal, "tag", stored, name.familiar.removesuffix(":latest"))
    note_image(engine.journal, "create", stored)


def cached_diff_ids(engine: Engine) -> Iterable[Digest]:
    """The layers that the build cache could still use, and those of the step that failed last."""
    yield from engine.builder.cache.diff_ids()
    yield from engine.builder.failed.diff_ids()


def commit(
    engine: Engine,
    record: ContainerRecord,
    name: str | None,
    message: str,
    author: str,
    pause: bool,
    changes: Sequence[str] = (),
) -> StoredImage:
    """See :meth:`minirt.engine.containers.Container.commit`."""
    from minirt.containers.noting import note
    from minirt.engine.facade import now

    reference = Reference.parse(name) if name else None
    with engine.store.lease(), engine.lifecycle.held(record) if pause else nullcontext():
        base = engine.image_store.get(str(record.image_id))
        layer = engine.lifecycle.commit(record)
        created = now()
        by = History(created, " ".join(record.argv), message, author)
        config = _committed(base.config, record, layer.diff_id, by, author)
        config = replace(config, config=changed(config.config, changes))
        layers = (*base.manifest.layers, layer.descriptor)
        descriptor = _put(engine, config, layers)
        if reference is None:
            engine.store.add_untagged(descriptor)
        else:
            engine.store.set_reference(reference, descriptor)
        stored = engine.image_store.get(str(config.digest))
        given = "" if reference is None else reference.familiar
        note_image(engine.journal, "create", stored)
        if given:
            note_image(engine.journal, "tag", stored, given)
        note(engine.journal, "commit", record, comment=message, imageID=str(stored.id), imageRef=given)
    return stored


def _committed(base: ImageConfig, record: ContainerRecord, diff_id: Digest, by: History, author: str) -> ImageConfig:
    """Docker commit's config: the container's own settings become the image's defaults."""
    settings = replace(
        base.config,
        env=record.env,
        cmd=record.command or None,
        entrypoint=record.entrypoint or None,
        user=record.user,
        working_dir="" if record.cwd == "/" and not base.config.working_dir else record.cwd,
        labels=record.labels,
    )
    return replace(
        base,
        config=settings,
        diff_ids=(*base.diff_ids, diff_id),
        history=(*base.history, by),
        created=by.created,
        author=author or base.author,
    )


def _put(engine: Engine, config: ImageConfig, layers: tuple[Descriptor, ...]) -> Descriptor:
    written = engine.store.put(config.to_bytes(), CONFIG)
    manifest = engine.store.put(Manifest(written, layers).to_bytes(), MANIFEST)
    return replace(manifest, platform=config.platform)
