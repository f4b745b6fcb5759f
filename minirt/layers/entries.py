"""What a layer holds, read off its tar without unpacking it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from minirt.layers.beneath import split
from minirt.layers.streams import Source
from minirt.layers.tar_read import TarReader
from minirt.layers.whiteouts import OPAQUE, PREFIX, hidden_name

__all__ = ["LayerEntry", "read_entries"]

_WORDS = {
    b"0": "file",
    b"1": "hard link",
    b"2": "symbolic link",
    b"3": "character device",
    b"4": "block device",
    b"5": "directory",
    b"6": "pipe",
}


@dataclass(frozen=True, slots=True)
class LayerEntry:
    """One entry. ``path`` is relative, ``""`` the root; for a whiteout it is the path that is hidden.

    ``kind`` is ``file``, ``directory``, ``symbolic link``, ``hard link``, ``character device``, ``block device``,
    ``pipe``, ``whiteout`` or ``opaque``; ``size`` is in bytes of content.
    """

    path: str
    kind: str
    size: int = 0
    mode: int = 0
    uid: int = 0
    gid: int = 0
    linkname: str = ""
    whiteout: bool = False
    opaque: bool = False


def read_entries(stream: Source) -> Iterator[LayerEntry]:
    """The entries of the uncompressed tar ``stream``, in their order. Raises :class:`LayerError` for a bad tar."""
    for member in TarReader(stream):
        parts = split(member.name)
        last = parts[-1] if parts else ""
        if last == OPAQUE:
            yield LayerEntry("/".join(parts[:-1]), "opaque", whiteout=True, opaque=True)
        elif last.startswith(PREFIX):
            yield LayerEntry("/".join((*parts[:-1], hidden_name(last))), "whiteout", whiteout=True)
        else:
            kind = _WORDS.get(member.kind, "unknown")
            yield LayerEntry("/".join(parts), kind, member.size, member.mode, member.uid, member.gid, member.link)
