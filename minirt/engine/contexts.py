"""What a build reads: its context and the named ones, as directories and images for the time of the build."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from minirt.engine.outputs import context_of, fresh
from minirt.errors import InvalidInput, InvalidSpec, PathNotFound
from minirt.model.cancel import Cancel
from minirt.model.digest import Digest
from minirt.model.manifest import DOCKER_INDEX, INDEX, REF_NAME, Descriptor, Index, Manifest
from minirt.model.platform import Platform

if TYPE_CHECKING:
    from minirt.build.request import ResolvedImage
    from minirt.engine.facade import Engine

__all__ = ["Main", "main_context", "named_contexts", "remote_text"]

_LAYOUT = "oci-layout://"
_IMAGE = "docker-image://"


@dataclass(frozen=True, slots=True)
class Main:
    """The context as a directory, None for none; ``text`` is set if an address gave a Dockerfile instead."""

    directory: Path | None
    text: bytes | None = None


@contextmanager
def main_context(
    engine: Engine, stream: BinaryIO | None, path: str | Path | None, cancel: Cancel | None = None
) -> Iterator[Main]:
    """A directory that is there, the files of a tar, a repository or what an address gives."""
    from minirt.build.remote import is_remote, is_repository

    with ExitStack() as stack:
        if stream is not None:
            yield Main(stack.enter_context(context_of(engine, stream)))
        elif path is None or not is_remote(str(path)):
            yield Main(None if path is None else Path(path))
        elif is_repository(str(path)):
            yield Main(stack.enter_context(_repository(engine, str(path), cancel)))
        else:
            yield stack.enter_context(_download(engine, str(path), cancel))


@contextmanager
def _repository(engine: Engine, address: str, cancel: Cancel | None) -> Iterator[Path]:
    from minirt.build.remote import fetch_repository

    where = fresh(engine, "context")
    try:
        yield fetch_repository(address, where, cancel)
    finally:
        shutil.rmtree(where, ignore_errors=True)


@contextmanager
def _download(engine: Engine, address: str, cancel: Cancel | None) -> Iterator[Main]:
    from minirt.build.remote import fetch_file
    from minirt.build.unpack import is_archive

    path = fresh(engine, "download")
    try:
        fetch_file(address, path, cancel)
        if not is_archive(str(path)):
            yield Main(None, path.read_bytes())
            return
        with path.open("rb") as stream, context_of(engine, stream) as directory:
            yield Main(directory)
    finally:
        path.unlink(missing_ok=True)


def remote_text(engine: Engine, address: str, cancel: Cancel | None = None) -> bytes:
    """A Dockerfile from an address. Raises :class:`PathNotFound`."""
    from minirt.build.remote import fetch_file

    path = fresh(engine, "download")
    try:
        fetch_file(address, path, cancel)
        return path.read_bytes()
    finally:
        path.unlink(missing_ok=True)


@dataclass(slots=True)
class Named:
    """``contexts`` are directories and references by name, ``images`` what was found in image layouts."""

    contexts: dict[str, str] = field(default_factory=dict)
    images: dict[str, ResolvedImage] = field(default_factory=dict)

    def fields(self) -> dict[str, Any]:
        return {"contexts": self.contexts, "images": self.images}


@contextmanager
def named_contexts(engine: Engine, given: Mapping[str, str], cancel: Cancel | None = None) -> Iterator[Named]:
    """``--build-context``: what has to be fetched is here for the time of the build.

    Raises PathNotFound, CopyFailed, InvalidSpec, InvalidDocument, CorruptBlob.
    """
    from minirt.build.remote import is_remote

    found = Named()
    with ExitStack() as stack:
        stack.enter_context(engine.store.lease())
        for name, value in given.items():
            if value.startswith(_LAYOUT):
                found.images[name] = _from_layout(engine, value.removeprefix(_LAYOUT))
            elif is_remote(value):
                main = stack.enter_context(main_context(engine, None, value, cancel))
                if main.directory is None:
                    raise InvalidInput(
                        f"the build context {name} is neither a tar nor a repository: {value}",
                        hint="Use ADD in the Dockerfile for a single file.",
                    )
                found.contexts[name] = str(main.directory)
            elif value.startswith("target:"):
                raise InvalidSpec(
                    f"build context {name}: {value} is a target of another build",
                    cause="only docker buildx bake builds several targets at once",
                    hint="Build that target first, and give its image: docker-image://NAME.",
                )
            else:
                found.contexts[name] = value
        yield found


def _from_layout(engine: Engine, text: str) -> ResolvedImage:
    """``PATH[:TAG]`` or ``PATH@DIGEST`` of an OCI image layout; its blobs are checked and taken into the store."""
    from minirt.build.request import ResolvedImage
    from minirt.images.image import read_image
    from minirt.snapshots import LayerSource

    path, tag, digest = _place(text)
    try:
        index = Index.from_bytes((path / "index.json").read_bytes())
    except OSError as error:
        raise PathNotFound(
            f"no OCI image layout in {path}: {os.strerror(error.errno or 0)}",
            hint="docker build --output type=oci,tar=false,dest=DIRECTORY writes one.",
        ) from error
    chosen = _chosen(index, tag, digest, path)
    image = read_image(engine.store, _take_in(engine, path, chosen))
    return ResolvedImage(image.config, tuple(LayerSource(blob, diff_id) for blob, diff_id in image.layers))


def _place(text: str) -> tuple[Path, str, str]:
    path, at, digest = text.partition("@")
    if not at and ":" in path.rpartition("/")[2]:
        path, _, tag = path.rpartition(":")
        return Path(path), tag, ""
    return Path(path), "", digest


def _chosen(index: Index, tag: str, digest: str, path: Path) -> Descriptor:
    if digest:
        wanted = Digest.parse(digest)
        fits = [one for one in index.manifests if one.digest == wanted]
    else:
        names = [one for one in index.manifests if _tag_of(one) == (tag or "latest")]
        # A layout with one image needs no name for it.
        fits = names or ([] if tag or len(index.manifests) != 1 else list(index.manifests))
    if not fits:
        there = ", ".join(sorted({_tag_of(one) or str(one.digest) for one in index.manifests}))
        raise PathNotFound(
            f"the image layout {path} has no image {digest or tag or 'latest'}", hint=f"There are: {there or 'none'}."
        )
    return fits[0]


def _tag_of(one: Descriptor) -> str:
    name = one.annotations.get(REF_NAME, "")
    last = name.rpartition("/")[2]
    return last.partition(":")[2] or name if ":" in last else name


def _take_in(engine: Engine, path: Path, wanted: Descriptor) -> Descriptor:
    """A manifest and all it names; of an index, what is for this machine."""
    from minirt.registry.platforms import choose

    raw = _blob(engine, path, wanted)
    if wanted.media_type in (INDEX, DOCKER_INDEX):
        return _take_in(engine, path, choose(Index.from_bytes(raw), Platform.host(), str(path)))
    manifest = Manifest.from_bytes(raw)
    for one in (manifest.config, *manifest.layers):
        _blob(engine, path, one, read=False)
    return wanted


def _blob(engine: Engine, path: Path, wanted: Descriptor, *, read: bool = True) -> bytes:
    source = path / "blobs" / wanted.digest.algorithm / wanted.digest.hex
    if not engine.store.has(wanted.digest, wanted.size):
        try:
            with source.open("rb") as data, engine.store.writer() as writer:
                shutil.copyfileobj(data, writer, 1 << 20)
                writer.commit(wanted.media_type, wanted.digest, wanted.size)
        except FileNotFoundError as error:
            raise PathNotFound(f"the image layout {path} lacks the blob {wanted.digest}") from error
    return engine.store.read(wanted.digest) if read else b""
