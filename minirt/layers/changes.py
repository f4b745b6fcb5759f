"""What an overlay's upper directory says: which paths are new or changed, which are deleted."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from minirt.errors import LayerError
from minirt.layers.lowers import attributes_of, is_opaque, merged_below
from minirt.layers.metadata import Metadata, mode_of, owner_of, read_xattrs
from minirt.layers.styles import (
    OverlayTrusted,
    OverlayUser,
    Owners,
    WhiteoutStyle,
    is_private_xattr,
    is_whiteout_device,
)

__all__ = ["Change", "Opaque", "Present", "Whiteout", "changes", "present_of", "root_changed"]


@dataclass(frozen=True, slots=True)
class Present:
    """A path that the upper directory holds. ``path`` is relative, ``""`` the root itself.

    ``kind`` is the file type part of the mode (``stat.S_IFREG`` …); ``inode`` is (device, inode) when the file has
    several names, else ``None``; ``size`` is in bytes and 0 for all but files; ``number`` is a device's own number.
    """

    path: str
    kind: int
    metadata: Metadata
    size: int = 0
    inode: tuple[int, int] | None = None
    number: int = 0


@dataclass(frozen=True, slots=True)
class Whiteout:
    """``path`` of a lower layer is deleted."""

    path: str


@dataclass(frozen=True, slots=True)
class Opaque:
    """Everything that lower layers have below the directory ``path`` is deleted."""

    path: str


Change = Present | Whiteout | Opaque


def changes(
    upper: Path, *, whiteouts: WhiteoutStyle, owners: Owners, lowers: Sequence[Path] | None = None, tidy: bool = False
) -> Iterator[Change]:
    """Walk ``upper`` in a fixed order: names sorted as bytes, a directory before what it holds, its Opaque between.

    ``lowers`` are the directories of the layers below, topmost first, ``()`` if there are none. With them, a
    directory is opaque only if it hides something (overlayfs marks every new directory, to save itself a look), and
    the root is listed only if its mode, owner or attributes changed. ``None``, not known: marks are taken at face
    value. Without any layer below, the root is listed when it is not the usual one (mode 755, user 0). Sockets are
    left out: a tar cannot hold them.

    ``tidy`` also takes the marks that hide nothing off the directories, so that ``upper`` says just what its layer
    says. That matters when it is kept as the unpacked layer: under another image the mark would hide something.

    Raises :class:`LayerError` for forms of overlayfs that cannot be carried by a layer (redirects, metadata-only
    copies): the mount must have been made without them.
    """
    walk = _Walk(whiteouts, owners, tidy)
    root = os.open(upper, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield from walk.root(root, lowers)
    finally:
        walk.close()
        os.close(root)


@dataclass(slots=True)
class _Level:
    """One directory of the walk: what is still to be listed, and the lower directories merged with it."""

    fd: int
    prefix: str
    names: Iterator[os.DirEntry[str]]
    lowers: Sequence[Path] | None


@dataclass(slots=True)
class _Walk:
    style: WhiteoutStyle
    owners: Owners
    tidy: bool
    levels: list[_Level] = field(default_factory=list)

    def root(self, fd: int, lowers: Sequence[Path] | None) -> Iterator[Change]:
        present = present_of("", os.fstat(fd), read_xattrs(fd), self.owners)
        if root_changed(present, lowers, self.owners):
            yield present
        self._descend(os.dup(fd), "", lowers)
        while self.levels:
            level = self.levels[-1]
            entry = next(level.names, None)
            if entry is None:
                os.close(self.levels.pop().fd)
            else:
                yield from self._entry(level, entry)

    def close(self) -> None:
        for level in self.levels:
            os.close(level.fd)
        self.levels.clear()

    def _entry(self, level: _Level, entry: os.DirEntry[str]) -> Iterator[Change]:
        status = entry.stat(follow_symlinks=False)
        path = level.prefix + entry.name
        if is_whiteout_device(status):
            yield Whiteout(path)
        elif not stat.S_ISSOCK(status.st_mode):
            xattrs = read_xattrs((level.fd, entry.name))
            yield present_of(path, status, xattrs, self.owners)
            if stat.S_ISDIR(status.st_mode):
                yield from self._enter(level, entry.name, path, xattrs)

    def _enter(self, level: _Level, name: str, path: str, xattrs: dict[str, bytes]) -> Iterator[Change]:
        opaque = is_opaque(self.style, xattrs)
        lowers = None if level.lowers is None else merged_below(level.lowers, name, self.style)
        fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=level.fd)
        self._descend(fd, f"{path}/", [] if opaque and lowers is not None else lowers)
        if opaque and (lowers or lowers is None):
            yield Opaque(path)
        elif opaque and self.tidy and isinstance(self.style, OverlayTrusted | OverlayUser):
            os.removexattr(fd, f"{self.style.prefix}opaque")

    def _descend(self, fd: int, prefix: str, lowers: Sequence[Path] | None) -> None:
        level = _Level(fd, prefix, iter(()), lowers)
        self.levels.append(level)  # from here on, close() closes it
        level.names = _sorted(fd)


def present_of(path: str, status: os.stat_result, xattrs: Mapping[str, bytes], owners: Owners) -> Present:
    """The change "``path`` is there", from what the disk says of it. Raises :class:`LayerError`."""
    mode = status.st_mode
    for name in xattrs:
        if name.endswith((".overlay.redirect", ".overlay.metacopy")):
            raise LayerError(
                f"{path!r} is only a reference to a lower layer",
                cause="the overlay was mounted with redirect_dir or metacopy",
            )
    uid, gid = owner_of(status, xattrs, owners)
    permissions = mode_of(status, xattrs, owners)
    if xattrs:
        xattrs = {name: value for name, value in xattrs.items() if not is_private_xattr(name)}
    regular = stat.S_ISREG(mode)
    return Present(
        path,
        stat.S_IFMT(mode),
        Metadata(permissions, uid, gid, status.st_mtime_ns, xattrs),
        status.st_size if regular else 0,
        (status.st_dev, status.st_ino) if status.st_nlink > 1 and not stat.S_ISDIR(mode) else None,
        status.st_rdev,
    )


def _sorted(fd: int) -> Iterator[os.DirEntry[str]]:
    with os.scandir(fd) as entries:
        return iter(sorted(entries, key=lambda entry: os.fsencode(entry.name)))


def root_changed(present: Present, lowers: Sequence[Path] | None, owners: Owners) -> bool:
    """Whether the root itself belongs in the layer: its time alone does not count, as every change moves that."""
    ours = present.metadata
    before: tuple[int, int, int, Mapping[str, bytes]] = (0o755, 0, 0, {})
    if lowers:
        status = lowers[0].stat()
        xattrs = attributes_of(lowers[0])
        uid, gid = owner_of(status, xattrs, owners)
        public = {name: value for name, value in xattrs.items() if not is_private_xattr(name)}
        before = (stat.S_IMODE(status.st_mode), uid, gid, public)
    return (ours.mode, ours.uid, ours.gid, ours.xattrs) != before
