"""Putting single entries into a tree: each kind of file, its metadata in the right order, and whiteouts.

Metadata goes on in a fixed order: owner, mode, attributes, times. ``chown`` clears setuid bits and file capabilities,
so both follow it; every write changes the time, so times come last. A directory's own metadata waits until everything
below it is made: otherwise each new file would change its time, and a read-only directory could not be filled.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from minirt.errors import LayerError
from minirt.layers.beneath import Beneath, flags
from minirt.layers.holes import LEAST_HOLE, write_sparsely
from minirt.layers.lowers import names_below
from minirt.layers.metadata import Metadata, metadata_of, put_metadata
from minirt.layers.styles import (
    OverlayTrusted,
    OverlayUser,
    Owners,
    Plain,
    WhiteoutStyle,
    is_whiteout_mark,
    make_whiteout,
)
from minirt.layers.tar_read import Member

__all__ = ["Place"]

Parts = tuple[str, ...]

_NEW = flags("O_WRONLY", "O_CREAT", "O_EXCL", "O_NOFOLLOW", "O_CLOEXEC")
_WORTH_ASKING = 64 << 20  # bytes from which on the free space is checked before writing
_DEFAULT = Metadata(mode=0o755, uid=0, gid=0)


class Place:
    """The tree being made, below ``beneath``. Call :meth:`finish` at the end."""

    def __init__(
        self, beneath: Beneath, style: WhiteoutStyle, owners: Owners, lowers: Sequence[Path] | None = None
    ) -> None:
        self._beneath = beneath
        self._style = style
        self._owners = owners
        self._lowers = lowers
        # What this layer made. A whiteout hides only what lower layers have, wherever it stands in the tar.
        self._fresh: set[Parts] = {()}
        # Directories whose metadata waits; None: the tar does not mention it.
        self._waiting: dict[Parts, Metadata | None] = {} if isinstance(style, Plain) else {(): None}

    def directory(self, parts: Parts, member: Member) -> None:
        """Make a directory, or take over the one that is there."""
        real = parts
        if parts:
            fd, parent = self._parent(parts)
            real = (*parent, parts[-1])
            self._directory(fd, real)
        self._waiting[real] = _wanted(member)

    def file(self, parts: Parts, member: Member, content: Iterable[bytes]) -> None:
        """Make a file of ``content``, replacing what is there."""
        fd, real = self._clear(parts)
        if member.size > _WORTH_ASKING:
            free = os.fstatvfs(fd)
            if member.size > free.f_bavail * free.f_frsize:
                raise OSError(errno.ENOSPC, f"{member.size} bytes are announced, fewer are free")
        file = os.open(real[-1], _NEW, 0o600, dir_fd=fd)
        try:
            for piece in content:
                write_sparsely(file, piece)
            if member.size >= LEAST_HOLE:
                os.ftruncate(file, member.size)
            put_metadata(file, _wanted(member), self._owners)
        finally:
            os.close(file)

    def symbolic_link(self, parts: Parts, member: Member) -> None:
        fd, real = self._clear(parts)
        os.symlink(member.link, real[-1], dir_fd=fd)
        put_metadata((fd, real[-1]), _wanted(member), self._owners, link=True)

    def hard_link(self, parts: Parts, target: Parts) -> None:
        """Let ``parts`` be another name of ``target``, which must be in this layer or, for Plain, in the tree."""
        if not target:
            raise LayerError(f"the layer's entry {'/'.join(parts)!r} is a hard link to the root")
        source = os.dup(self._beneath.directory(target[:-1]))
        try:
            wanted = os.stat(target[-1], dir_fd=source, follow_symlinks=False)
            fd, real = self._clear(parts, keep=wanted)
            if real:
                os.link(target[-1], real[-1], src_dir_fd=source, dst_dir_fd=fd, follow_symlinks=False)
        finally:
            os.close(source)

    def special(self, parts: Parts, member: Member) -> bool:
        """Make a device node or a named pipe; ``False`` if this user, or this form of tree, cannot have it."""
        kind = {b"3": stat.S_IFCHR, b"4": stat.S_IFBLK, b"6": stat.S_IFIFO}[member.kind]
        device = os.makedev(*member.device) if kind != stat.S_IFIFO else 0
        if kind == stat.S_IFCHR and not device and not isinstance(self._style, Plain):
            return False  # overlayfs would take it for a whiteout
        fd, real = self._clear(parts)
        try:
            os.mknod(real[-1], kind | 0o600, device, dir_fd=fd)
        except PermissionError:
            if kind == stat.S_IFIFO:
                raise
            return False
        put_metadata((fd, real[-1]), _wanted(member), self._owners)
        return True

    def hide(self, parts: Parts) -> None:
        """Carry out the whiteout of ``parts``: what lower layers have there is hidden, or removed."""
        if isinstance(self._style, Plain):
            self._remove_lower(parts)
            return
        # Made even if nothing lies below: unpacked layers are shared, and under another image something may. The price:
        # in a directory that no other layer has, overlayfs lists the mark's name, and says "no such file" to who looks.
        fd, parent = self._parent(parts)
        found = _lstat(fd, parts[-1])
        if found is None:
            make_whiteout(parts[-1], fd)
        elif stat.S_ISDIR(found.st_mode):
            self.hide_below((*parent, parts[-1]))

    def hide_below(self, parts: Parts) -> None:
        """Carry out an opaque whiteout: what lower layers have below the directory ``parts``."""
        if isinstance(self._style, Plain):
            self._remove_lower(parts, below=True)
            return
        if not parts and self._lowers is not None:
            # Overlayfs does not look for the mark on the root, so every name there gets its own.
            for name in sorted(names_below(self._lowers)):
                self.hide((name,))
            return
        fd, real = self._parent((*parts, ""))
        try:
            _mark_opaque(fd, self._style)
        except OSError as error:
            if error.errno != errno.ENOTSUP or self._lowers is None:
                raise
            # A file system without attributes: said name by name, as on the root.
            below = [lower.joinpath(*real) for lower in self._lowers if lower.joinpath(*real).is_dir()]
            for name in sorted(names_below(below)):
                if (*real, name) not in self._fresh:
                    self.hide((*real, name))

    def finish(self) -> None:
        """Give the directories their metadata, the deepest first."""
        for parts in sorted(self._waiting, reverse=True):
            wanted = self._waiting[parts]
            if wanted is None:
                wanted = self._lent(parts)
            put_metadata(self._beneath.directory(parts), wanted, self._owners)

    def _parent(self, parts: Parts) -> tuple[int, Parts]:
        """The directory that ``parts`` lies in, made if missing: open, and where it really is."""
        try:
            fd, parent = self._beneath.enter(parts[:-1])
        except (FileNotFoundError, NotADirectoryError):
            parent = self._beneath.physical(parts[:-1])
            for depth in range(1, len(parent) + 1):
                self._directory(self._beneath.directory(parent[: depth - 1]), parent[:depth], strict=True)
            fd = self._beneath.directory(parent)
        self._mark_fresh(parent)
        return fd, parent

    def _directory(self, fd: int, real: Parts, *, strict: bool = False) -> None:
        """Have a directory ``real`` in ``fd``; ``strict``: nothing but a whiteout may be replaced by it."""
        found = _lstat(fd, real[-1])
        if found is not None and stat.S_ISDIR(found.st_mode):
            return
        whiteout = found is not None and not isinstance(self._style, Plain) and is_whiteout_mark(found)
        if found is not None:
            if strict and not whiteout:
                raise LayerError(f"the layer has entries below {'/'.join(real)!r}, which is not a directory")
            os.unlink(real[-1], dir_fd=fd)
        os.mkdir(real[-1], 0o700, dir_fd=fd)
        self._waiting[real] = None
        if whiteout:
            # The whiteout hid the lower directory; its successor must go on hiding what that one held.
            _mark_opaque(self._beneath.directory(real), self._style)

    def _clear(self, parts: Parts, keep: os.stat_result | None = None) -> tuple[int, Parts]:
        """Make the name ``parts`` free: its open directory and real path; an empty path if it is ``keep`` itself."""
        fd, parent = self._parent(parts)
        real = (*parent, parts[-1])
        found = _lstat(fd, real[-1])
        if found is not None:
            if keep is not None and os.path.samestat(found, keep):
                return fd, ()
            self._remove(fd, real, found)
            fd = self._beneath.directory(parent)
        self._fresh.add(real)
        return fd, real

    def _remove(self, fd: int, real: Parts, found: os.stat_result) -> None:
        if not stat.S_ISDIR(found.st_mode):
            os.unlink(real[-1], dir_fd=fd)
            return
        shutil.rmtree(real[-1], dir_fd=fd)
        self._beneath.forget()
        depth = len(real)
        self._fresh = {path for path in self._fresh if path[:depth] != real}
        self._waiting = {path: value for path, value in self._waiting.items() if path[:depth] != real}

    def _remove_lower(self, parts: Parts, *, below: bool = False) -> None:
        """Remove what is not this layer's at ``parts``, or only below it."""
        try:
            fd, parent = self._beneath.enter(parts if below else parts[:-1])
        except (FileNotFoundError, NotADirectoryError):
            return
        if below:
            for name in os.listdir(fd):
                self._remove_lower((*parent, name))
            return
        real = (*parent, parts[-1])
        found = _lstat(fd, real[-1])
        if found is None:
            return
        if real not in self._fresh:
            self._remove(fd, real, found)
        elif stat.S_ISDIR(found.st_mode):
            self._remove_lower(real, below=True)

    def _mark_fresh(self, parts: Parts) -> None:
        while parts not in self._fresh:
            self._fresh.add(parts)
            parts = parts[:-1]

    def _lent(self, parts: Parts) -> Metadata:
        """What a directory that the tar does not mention looks like: as in the topmost lower layer that has it."""
        for lower in self._lowers or ():
            try:
                with Beneath(lower) as tree:
                    return metadata_of(tree.directory(parts), self._owners)
            except (FileNotFoundError, NotADirectoryError):
                continue
        return _DEFAULT


def _wanted(member: Member) -> Metadata:
    return Metadata(member.mode, member.uid, member.gid, member.mtime_ns, member.xattrs)


def _mark_opaque(fd: int, style: WhiteoutStyle) -> None:
    if isinstance(style, OverlayTrusted | OverlayUser):
        os.setxattr(fd, f"{style.prefix}opaque", b"y")


def _lstat(fd: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=fd, follow_symlinks=False)
    except FileNotFoundError:
        return None
