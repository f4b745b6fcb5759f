"""Unpacking a layer: each entry of the tar onto the tree (OCI image-spec, layer.md, "Applying Changesets")."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from minirt.errors import LayerError, StorageFull
from minirt.layers.beneath import Beneath, split
from minirt.layers.place import Place
from minirt.layers.streams import HashingReader, Source
from minirt.layers.styles import Owners, WhiteoutStyle
from minirt.layers.tar_read import Member, TarReader
from minirt.layers.tar_write import DIRECTORY, FILE, HARD_LINK, SYMBOLIC_LINK
from minirt.layers.whiteouts import OPAQUE, PREFIX, hidden_name
from minirt.model.digest import Digest

__all__ = ["ApplyResult", "apply"]


@dataclass(frozen=True, slots=True)
class ApplyResult:
    """``entries`` of the tar, its ``size`` in bytes, and the paths ``skipped`` because this user cannot make them.

    ``content_bytes`` counts only what is in files: the size that docker tells of a layer.
    """

    entries: int
    size: int
    skipped: tuple[str, ...] = ()
    content_bytes: int = 0


def apply(
    stream: Source,
    target: Path,
    *,
    whiteouts: WhiteoutStyle,
    owners: Owners,
    diff_id: Digest | None = None,
    lowers: Sequence[Path] | None = None,
) -> ApplyResult:
    """Unpack the uncompressed tar ``stream`` into the existing directory ``target``.

    With an overlay style, ``target`` is a layer's own directory, empty at first, and whiteouts become overlayfs'
    marks. ``lowers`` are then the directories of the layers below, topmost first (``()`` if there are none): they lend
    their metadata to directories that the tar does not mention.
    With :class:`Plain`, ``target`` is the tree so far, and whiteouts remove.

    The stream is read to its end; with ``diff_id`` it must have that digest. Nothing outside ``target`` is touched,
    whatever the tar holds. Device nodes that the user may not make are skipped, as docker does in user namespaces.

    Raises :class:`LayerError` for a bad tar, :class:`CorruptBlob` for a wrong digest and :class:`StorageFull`; then
    ``target`` is half made and the caller's to throw away.
    """
    hashing = HashingReader(stream) if diff_id is not None else None
    reader = TarReader(hashing or stream)
    with Beneath(target) as beneath:
        place = Place(beneath, whiteouts, owners, lowers)
        unpacking = _Unpacking(place, reader)
        entries = content = 0
        for member in reader:
            with _explained(member.name):
                unpacking.take(member)
            entries += 1
            content += member.size
        with _explained("the directories' modes and times"):
            place.finish()
    reader.drain()
    if hashing is not None and diff_id is not None:
        hashing.verify(diff_id)
    return ApplyResult(entries, reader.size, tuple(unpacking.skipped), content)


class _Unpacking:
    def __init__(self, place: Place, reader: TarReader) -> None:
        self._place = place
        self._reader = reader
        self.skipped: list[str] = []

    def take(self, member: Member) -> None:
        parts = split(member.name)
        if not parts:
            if member.kind != DIRECTORY:
                raise LayerError("the layer's root is not a directory", cause=f"entry {member.name!r}")
            self._place.directory(parts, member)
        elif parts[0].startswith(PREFIX * 2) and parts[0] != OPAQUE:
            return  # notes that aufs, a forerunner of overlayfs, kept for itself: docker skips them too
        elif parts[-1].startswith(PREFIX):
            self._whiteout(parts)
        else:
            self._make(parts, member)

    def _whiteout(self, parts: tuple[str, ...]) -> None:
        if parts[-1] == OPAQUE:
            self._place.hide_below(parts[:-1])
        else:
            self._place.hide((*parts[:-1], hidden_name(parts[-1])))

    def _make(self, parts: tuple[str, ...], member: Member) -> None:
        if member.kind == DIRECTORY:
            self._place.directory(parts, member)
        elif member.kind == FILE:
            self._place.file(parts, member, self._reader.content())
        elif member.kind == SYMBOLIC_LINK:
            self._place.symbolic_link(parts, member)
        elif member.kind == HARD_LINK:
            self._place.hard_link(parts, split(member.link))
        elif member.kind in (b"3", b"4", b"6"):
            if not self._place.special(parts, member):
                self.skipped.append("/".join(parts))
        else:
            raise LayerError(f"the layer's entry {member.name!r} is of an unknown kind {member.kind!r}")


@contextmanager
def _explained(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(
                f"unpacking the layer failed at {name!r}: {error.strerror}",
                hint="Free some space, for example with `docker system prune`, or set MINIRT_HOME to a larger disk.",
            ) from error
        raise LayerError(f"unpacking the layer failed at {name!r}: {error.strerror}", cause=str(error)) from error
