"""Loading images: OCI archives and docker archives, old and new, in one pass over the stream."""

from __future__ import annotations

import io
from typing import Any, BinaryIO, cast

from minirt.errors import InvalidDocument, LayerError
from minirt.images.archive import Archive, Blob, Link, Text
from minirt.images.facts import layer_facts
from minirt.images.image import read_image, sound
from minirt.images.unpacked import loaded_images
from minirt.layers.streams import decompress
from minirt.layers.tar_read import Member, TarReader
from minirt.model.cancel import Cancel
from minirt.model.digest import Digest
from minirt.model.events import EventSink, ImageTagged, LayerFetched, ignore
from minirt.model.manifest import LAYER
from minirt.store import Store

__all__ = ["load"]

_TEXT_LIMIT = 32 * 1024 * 1024  # bytes of documents held in memory, all together
_OCTETS = "application/octet-stream"


def load(
    store: Store, stream: BinaryIO, *, on_event: EventSink = ignore, cancel: Cancel | None = None
) -> tuple[Digest, ...]:
    """Take in every image of an archive; gives their ids. Names in the archive move to the new images.

    All images are checked before the first gets its name. Raises :class:`InvalidDocument`, :class:`CorruptBlob`,
    :class:`LayerError`, :class:`StorageFull`, :class:`Cancelled`; then no name has changed.
    """
    with store.lease():
        archive = _take_in(store, stream, cancel)
        with sound("the archive"):
            found = loaded_images(store, archive)
        images = []
        for descriptor, names in found:
            image = read_image(store, descriptor, names)
            for layer, diff_id in image.layers:
                if cancel is not None:
                    cancel.check()
                layer_facts(store, layer, diff_id)
                on_event(LayerFetched(str(layer.digest)))
            images.append(image)
        for image in images:
            for name in image.names:
                store.set_reference(name, image.descriptor)
                on_event(ImageTagged(str(image.id), name.familiar))
            if not image.names:
                store.add_untagged(image.descriptor)
    return tuple(dict.fromkeys(image.id for image in images))


def _take_in(store: Store, stream: BinaryIO, cancel: Cancel | None) -> Archive:
    """Every member once: documents into memory, anything large into the store under its own digest."""
    archive = Archive()
    try:
        tar = TarReader(_uncompressed(stream))
        for member in tar:
            if cancel is not None:
                cancel.check()
            _take_member(store, archive, member, tar, cancel)
    except LayerError as error:
        raise _unreadable(error.cause or error.what) from error
    except Exception as error:
        if not _is_damage(error):
            raise
        raise _unreadable(str(error)) from error
    if not archive.members:
        raise _unreadable("it is empty")
    return archive


def _take_member(store: Store, archive: Archive, member: Member, tar: TarReader, cancel: Cancel | None) -> None:
    path = archive.key(member.name)
    if member.kind in (b"1", b"2"):
        archive.members[path] = Link(archive.target(path, member.link, hard=member.kind == b"1"))
    elif member.kind == b"0" and path.startswith("blobs/"):
        archive.members[path] = _take_blob(store, tar, archive.promised(path), cancel)
    elif member.kind == b"0" and not path.endswith(".tar") and archive.texts + member.size <= _TEXT_LIMIT:
        archive.members[path] = Text(b"".join(tar.content()))
        archive.texts += member.size
    elif member.kind == b"0":
        archive.members[path] = _take_blob(store, tar, None, cancel)


def _take_blob(store: Store, tar: TarReader, promised: Digest | None, cancel: Cancel | None) -> Blob:
    with store.writer() as writer:
        for chunk in tar.content():
            if cancel is not None:
                cancel.check()
            writer.write(chunk)
        return Blob(writer.commit(LAYER if promised is None else _OCTETS, promised))


def _uncompressed(stream: BinaryIO) -> BinaryIO:
    """The archive itself: as docker load, from gzip, bzip2, xz or zstd, told by the first bytes."""
    source = io.BufferedReader(cast(io.RawIOBase, _Readable(stream)), 1 << 20)
    head = source.peek(6)[:6]
    if head.startswith(b"BZh"):
        import bz2

        return cast(BinaryIO, bz2.BZ2File(source))
    if head == b"\xfd7zXZ\x00":
        import lzma

        return cast(BinaryIO, lzma.LZMAFile(source))
    return decompress(cast(BinaryIO, source))


class _Readable(io.RawIOBase):
    """Any object with ``read`` as a raw stream that can be buffered; closing it leaves the other open."""

    def __init__(self, source: Any) -> None:
        super().__init__()
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._source.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _is_damage(error: Exception) -> bool:
    """How bz2 and lzma say that data is damaged. An error of the system has a number and is none of those."""
    if isinstance(error, OSError):
        return error.errno is None
    return isinstance(error, EOFError) or type(error).__name__ == "LZMAError"


def _unreadable(why: str) -> InvalidDocument:
    return InvalidDocument(
        "this is not an archive of images",
        cause=why,
        hint="docker load reads what docker save wrote; a plain tar of files is taken in with docker import.",
    )
