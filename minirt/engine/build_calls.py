"""The part of ``engine.images`` about builds: docker-py's ``build`` and ``prune_builds``, checks, what failed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from minirt.engine.happenings import note_prune
from minirt.errors import PathNotFound
from minirt.model.cancel import Cancel
from minirt.model.events import EventSink

if TYPE_CHECKING:
    from minirt.build.failed import FailedStep
    from minirt.build.outline import Outline, Target
    from minirt.build.request import BuildRequest
    from minirt.dockerfile.checks import Finding
    from minirt.engine.facade import Engine
    from minirt.engine.images import Image
    from minirt.images.image import StoredImage

__all__ = ["WithBuilds", "read_dockerfile"]


# docker-py's words for what the builder before BuildKit did with its containers and its output.
_WITHOUT_MEANING = ("rm", "forcerm", "quiet")


class WithBuilds:
    """What :class:`minirt.engine.images.ImageCollection` can do with Dockerfiles."""

    _engine: Engine

    def build(
        self,
        path: str | Path | None = None,
        *,
        dockerfile: str | None = None,
        text: str | bytes | None = None,
        source: str = "Dockerfile",
        fileobj: BinaryIO | None = None,
        custom_context: bool = False,
        tag: str | Sequence[str] = (),
        on_event: EventSink | None = None,
        cancel: Cancel | None = None,
        **options: Any,
    ) -> Image:
        """``docker build``. ``path`` is the context (None: an empty one), ``dockerfile`` a file in it or elsewhere.

        ``path`` may be a git repository (``https://….git#REF:DIRECTORY``) or the address of a tar or a Dockerfile,
        ``dockerfile`` an address.

        ``text`` is the Dockerfile itself, named ``source`` in errors; docker-py's ``fileobj`` is the same as a file,
        or with ``custom_context`` a tar, compressed or not, that is the context. Further ``options``, with
        docker-py's names where it has them: ``buildargs`` and ``labels`` (by name), ``target``, ``nocache``,
        ``no_cache_filter`` (stages), ``pull``, ``platform``, ``platforms`` (an index of one image each),
        ``network_mode`` (default, host or none), ``contexts`` (by name: directories, repositories, addresses of a
        tar, ``docker-image://…``, ``oci-layout://…``), ``secrets`` (bytes by id), ``ssh`` (by id the socket of an
        agent, or key files), ``extra_hosts`` (addresses by name), ``ulimits`` (:class:`Rlimit`), ``shm_size`` (bytes),
        ``annotations`` (by key; of the index with ``index:`` before it), ``source_date_epoch``. ``rm``, ``forcerm`` and
        ``quiet`` are taken and change nothing: no container is left, and nothing is printed.

        Raises DockerfileError, BuildError and its kinds, PathNotFound, ImageNotFound, RegistryError, Cancelled; then
        no name was given and nothing half made is left.
        """
        from minirt.engine.building import build, build_each
        from minirt.engine.images import Image
        from minirt.model.platform import Platform

        wanted = [Platform.parse(text) for text in options.pop("platforms", ())]
        for name in _WITHOUT_MEANING:
            options.pop(name, None)

        tags = (tag,) if isinstance(tag, str) else tuple(tag)
        given = {
            "dockerfile": dockerfile, "text": text, "source": source, "fileobj": fileobj,
            "custom_context": custom_context, **options,
        }  # fmt: skip
        with self._request(path, given, tags, cancel) as request:
            if wanted:
                return Image(self._engine, build_each(self._engine, request, wanted, on_event, cancel))
            return Image(self._engine, build(self._engine, request, on_event, cancel))

    def check(
        self,
        path: str | Path | None = None,
        *,
        dockerfile: str | None = None,
        text: str | bytes | None = None,
        source: str = "Dockerfile",
        **options: Any,
    ) -> tuple[Finding, ...]:
        """``docker build --check``: what the build checks find; nothing is built. Arguments are those of :meth:`build`.

        Raises DockerfileError, PathNotFound.
        """
        given = {"dockerfile": dockerfile, "text": text, "source": source, **options}
        with self._request(path, given) as request:
            return self._engine.builder.check(request)

    def outline(self, path: str | Path | None = None, **options: Any) -> Outline:
        """``docker build --call=outline``: the arguments, secrets and agents that the target takes.

        Arguments are those of :meth:`build`. Raises DockerfileError, PathNotFound.
        """
        from minirt.build.outline import outline_of

        with self._request(path, options) as request:
            return outline_of(request)

    def targets(self, path: str | Path | None = None, **options: Any) -> tuple[Target, ...]:
        """``docker build --call=targets``: the stages. Raises DockerfileError, PathNotFound."""
        from minirt.build.outline import targets_of

        with self._request(path, options) as request:
            return targets_of(request)

    def read_build_file(self, path: str | Path | None = None, **options: Any) -> tuple[bytes, str]:
        """The Dockerfile that :meth:`build` would read, and its name. Raises PathNotFound."""
        with self._request(path, options) as request:
            text = request.dockerfile
            return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape"), request.source

    @contextmanager
    def _request(
        self,
        path: str | Path | None,
        given: Mapping[str, Any],
        tags: Sequence[str] = (),
        cancel: Cancel | None = None,
    ) -> Iterator[BuildRequest]:
        """The request that the arguments of :meth:`build` mean; what they name is fetched and unpacked meanwhile."""
        from minirt.engine.building import request_of
        from minirt.engine.contexts import main_context, named_contexts

        left = dict(given)
        fileobj, custom = left.pop("fileobj", None), left.pop("custom_context", False)
        dockerfile, text = left.pop("dockerfile", None), left.pop("text", None)
        source = left.pop("source", "Dockerfile")
        if fileobj is not None and not custom:
            text, fileobj = fileobj.read(), None
        with (
            main_context(self._engine, fileobj, path, cancel) as main,
            named_contexts(self._engine, left.pop("contexts", None) or {}, cancel) as named,
        ):
            if text is None:
                text = main.text
            if text is None:
                text, source = self._read(main.directory or Path(), dockerfile, cancel)
            yield request_of(text, source, main.directory, tags, {**left, **named.fields()})

    def _read(self, context: Path, name: str | None, cancel: Cancel | None) -> tuple[bytes, str]:
        if name is not None and name.startswith(("http://", "https://")):
            from minirt.engine.contexts import remote_text

            return remote_text(self._engine, name, cancel), name
        return read_dockerfile(context, name)

    def prune_builds(
        self,
        *,
        all: bool = False,
        unused_for: float = 0.0,
        keep_storage: int = 0,
        max_used: int = 0,
        min_free: int = 0,
        types: Sequence[str] = (),
        ids: Sequence[str] = (),
    ) -> dict[str, Any]:
        """docker-py's: ``{"CachesDeleted": […], "SpaceReclaimed": bytes}``.

        Without ``all`` only results go whose layers no image has; ``unused_for`` is in seconds. Bytes: at least
        ``keep_storage`` stay, at most ``max_used``, and so many go that ``min_free`` are free on the disk. ``types``
        are regular and exec.cachemount, ``ids`` beginnings of ids. What a failed step left goes too, and with ``all``
        what ``RUN --mount=type=cache`` keeps, unless a build is using it.
        """
        from minirt.engine.build_cache import Selection, prune, room_to_keep

        only = Selection(not types or "regular" in types, not types or "exec.cachemount" in types, tuple(ids))
        keep = room_to_keep(self._engine, reserved=keep_storage, most=max_used, free=min_free)
        pruned = prune(self._engine, every=all, unused_for=unused_for, keep_bytes=keep, only=only)
        note_prune(self._engine.journal, "builder", pruned["SpaceReclaimed"])
        return pruned

    def cache_records(self) -> list[dict[str, Any]]:
        """What the build cache holds, one by one, as docker's ``buildx du`` names the fields.

        ``Size`` in bytes, ``LastUsedAt`` in seconds since 1970, ``CreatedAt`` as RFC 3339 or empty.
        """
        from minirt.engine.build_cache import records

        return records(self._engine)

    def cache_usage(self) -> dict[str, int]:
        """What the build cache holds: ``{"TotalCount", "Active", "Size", "Reclaimable"}``, sizes in bytes.

        Active are results whose layers an image has; such bytes are the image's, too, and cannot be reclaimed.
        """
        from minirt.engine.build_cache import usage

        return usage(self._engine)

    def failed_step(self) -> FailedStep | None:
        """The RUN that failed in the last build; None if nothing failed, or something was built since."""
        return self._engine.builder.failed.find()

    def debug(self, *, before: bool = False) -> Image:
        """The files as the failed step left them, or found them, as an image without a name; it goes at the next build.

        Raises :class:`ImageNotFound` if no step has failed.
        """
        from minirt.engine.images import Image

        identity = self._engine.builder.failed.image(before=before)
        return Image(self._engine, self._engine.image_store.get(str(identity)))

    def files(self, image: str) -> Iterator[bytes]:
        """The image's files as one tar, in chunks: what ``docker build --output type=tar`` writes."""
        from minirt.engine.outputs import files_of

        return files_of(self._engine, image)

    def archive(self, image: str, names: Sequence[str] = (), *, compression: str = "") -> Iterator[bytes]:
        """``type=oci`` and ``type=docker``: one archive that is both, with these names whatever the store knows.

        ``compression`` is ``gzip``, with a level from 0 to 9 behind it if wished; empty leaves layers as they are.
        """
        from dataclasses import replace

        from minirt.images.save import save
        from minirt.model.reference import Reference

        stored = self._engine.image_store.get(image)
        named = replace(stored, names=tuple(Reference.parse(name) for name in names))
        if not compression:
            return save(self._engine.store, [named])
        return self._packed(named, int(compression.removeprefix("gzip") or 6))

    def _packed(self, image: StoredImage, level: int) -> Iterator[bytes]:
        from minirt.images.packing import packed
        from minirt.images.save import save

        # The packed blobs are in the store only while they are read; the next sweep takes them away.
        with self._engine.store.lease():
            yield from save(self._engine.store, [packed(self._engine.store, image, level)])

    def unpack(self, chunks: Iterable[bytes], target: Path, cancel: Cancel | None = None) -> None:
        """Unpack a tar, such as that of :meth:`files`, below a directory; the files are the user's own."""
        from minirt.engine.outputs import unpack_into

        unpack_into(self._engine, chunks, target, cancel)


def read_dockerfile(context: Path, name: str | None) -> tuple[bytes, str]:
    """The file, as docker looks for it: relative to the working directory with ``-f``, else in the context."""
    candidates = [Path(name), context / name] if name else [context / "Dockerfile", context / "dockerfile"]
    for path in candidates:
        try:
            return path.read_bytes(), name or path.name
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise PathNotFound(f"cannot read {path}: {error.strerror}") from error
    wanted = name or "Dockerfile"
    raise PathNotFound(
        f"failed to read dockerfile: open {wanted}: no such file or directory",
        cause=f"there is no {wanted} in {context.absolute()}",
        hint="Name it with -f, or build from the directory that holds it.",
    )
