"""A tree of files as a tar and back, for ``cp``, ``export`` and docker-py's archives.

Both ends go by open directories (:class:`minirt.layers.beneath.Beneath`), one name at a time: whatever somebody does
to the tree meanwhile, and whatever a link says, nothing outside of it is read or written (CVE-2018-15664 in kind).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import BinaryIO

from minirt.errors import InvalidInput
from minirt.layers.beneath import Beneath
from minirt.layers.metadata import Metadata, owner_of, put_metadata, read_xattrs
from minirt.layers.streams import Source
from minirt.layers.styles import Owners
from minirt.layers.tar_read import Member, TarReader
from minirt.layers.tar_write import (
    BLOCK_DEVICE,
    CHARACTER_DEVICE,
    DIRECTORY,
    END,
    FIFO,
    FILE,
    HARD_LINK,
    SYMBOLIC_LINK,
    entry_header,
    padding,
)

__all__ = ["TreeReader", "TreeWriter", "parts_of"]

Parts = tuple[str, ...]
_CHUNK = 1 << 20
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_KEPT_XATTR = "security.capability"  # the one attribute that docker's archives carry
_SPECIAL = {stat.S_IFCHR: CHARACTER_DEVICE, stat.S_IFBLK: BLOCK_DEVICE, stat.S_IFIFO: FIFO}
_MADE = {CHARACTER_DEVICE: stat.S_IFCHR, BLOCK_DEVICE: stat.S_IFBLK, FIFO: stat.S_IFIFO}


def parts_of(path: str) -> Parts:
    """``/a//b/./c`` as ``("a", "b", "c")``; ``..`` stays."""
    return tuple(part for part in path.split("/") if part not in ("", "."))


class TreeWriter:
    """Writes trees below ``tree`` to ``out``; :meth:`finish` ends the archive.

    ``mounts`` are absolute paths on which something is mounted that is not to be looked into: they come out empty.
    ``shown`` changes (uid, gid) on their way. Sockets are left out: a tar cannot hold them.
    """

    def __init__(
        self,
        tree: Beneath,
        out: BinaryIO,
        owners: Owners,
        *,
        mounts: Collection[str] = (),
        shown: Callable[[int, int], tuple[int, int]] = lambda uid, gid: (uid, gid),
    ) -> None:
        self._tree, self._out, self._owners, self._mounts, self._shown = tree, out, owners, mounts, shown
        self._first: dict[tuple[int, int], str] = {}
        self.size = 0

    def add(self, parts: Parts, name: str) -> None:
        """What is at ``parts``, called ``name`` in the archive; with an empty name only what the directory holds."""
        if not name:
            self._children(parts, "")
            return
        if not parts:
            status = os.fstat(self._tree.directory(()))
            self._header(name, DIRECTORY, status, {})
            self._children((), name)
            return
        fd, entry = self._tree.entry(parts)
        status = os.stat(entry, dir_fd=fd, follow_symlinks=False)
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFDIR:
            inner = self._tree.directory(parts)
            self._header(f"{name}/", DIRECTORY, os.fstat(inner), read_xattrs(inner))
            if "/" + "/".join(parts) not in self._mounts:
                self._children(parts, name)
        elif status.st_nlink > 1 and (status.st_dev, status.st_ino) in self._first:
            link = self._first[status.st_dev, status.st_ino]
            self._header(name, HARD_LINK, status, {}, link=link)
        elif kind == stat.S_IFREG:
            self._first[status.st_dev, status.st_ino] = name
            self._file(os.open(entry, _READ, dir_fd=fd), parts, name)
        elif kind == stat.S_IFLNK:
            self._header(name, SYMBOLIC_LINK, status, {}, link=os.readlink(entry, dir_fd=fd))
        elif kind in _SPECIAL:
            self._header(name, _SPECIAL[kind], status, {})

    def finish(self) -> None:
        self._write(END)

    def _children(self, parts: Parts, name: str) -> None:
        for entry in self._tree.names(parts):
            try:
                self.add((*parts, entry), f"{name.rstrip('/')}/{entry}" if name else entry)
            except FileNotFoundError:
                continue  # a running program removed it meanwhile

    def _file(self, fd: int, parts: Parts, name: str) -> None:
        try:
            status = os.fstat(fd)
            left = 0 if "/" + "/".join(parts) in self._mounts else status.st_size
            self._header(name, FILE, status, read_xattrs(fd), size=left)
            gap = padding(left)
            while left:
                data = os.read(fd, min(left, _CHUNK)) or bytes(min(left, _CHUNK))  # it became shorter meanwhile
                self._write(data)
                left -= len(data)
            self._write(bytes(gap))
        finally:
            os.close(fd)

    def _header(
        self, name: str, kind: bytes, status: os.stat_result, xattrs: dict[str, bytes], *, size: int = 0, link: str = ""
    ) -> None:
        uid, gid = self._shown(*owner_of(status, xattrs, self._owners))
        special = kind in (CHARACTER_DEVICE, BLOCK_DEVICE)
        header = entry_header(
            os.fsencode(name),
            kind,
            mode=status.st_mode & 0o7777,
            uid=uid,
            gid=gid,
            size=size,
            mtime_ns=status.st_mtime_ns // 1_000_000_000 * 1_000_000_000,  # whole seconds, as docker's
            link=os.fsencode(link),
            device=(os.major(status.st_rdev), os.minor(status.st_rdev)) if special else (0, 0),
            xattrs=[(key, value) for key, value in xattrs.items() if key == _KEPT_XATTR],
        )
        self._write(header)

    def _write(self, data: bytes) -> None:
        self._out.write(data)
        self.size += len(data)


class TreeReader:
    """Puts the members of a tar below the directory ``at`` of ``tree``.

    ``owner`` says who shall own each; without it, who unpacks. A directory stays what it is when the archive has one
    of its name, everything else is replaced. ``shown`` is the tree's own path, for messages; ``confined``: no link may
    climb out of ``at``. Raises :class:`InvalidInput` where docker refuses (a file over a directory and the other way
    round, names with ``..``, such links), :class:`LayerError` for what is not a tar.
    """

    def __init__(
        self,
        tree: Beneath,
        at: Parts,
        owners: Owners,
        owner: Callable[[Member], tuple[int, int]] | None,
        shown: str = "",
        *,
        confined: bool = False,
    ) -> None:
        self._confined = confined
        self._tree, self._at, self._owners, self._owner, self._shown = tree, at, owners, owner, shown.rstrip("/")
        self._times: dict[Parts, int] = {}

    def take(self, stream: Source) -> int:
        """The bytes of the archive."""
        reader = TarReader(stream)
        for member in reader:
            parts = parts_of(member.name)
            if ".." in parts or ".." in parts_of(member.link if member.kind == HARD_LINK else ""):
                raise InvalidInput(
                    f"the archive has an entry {member.name!r}, which would leave the directory",
                    cause="the archive is broken, or made to attack whoever unpacks it",
                )
            if parts:
                self._place(reader, member, (*self._at, *parts))
        reader.drain()
        for place, mtime in self._times.items():
            os.utime(self._tree.directory(place), ns=(mtime, mtime))
        return reader.size

    def _place(self, reader: TarReader, member: Member, parts: Parts) -> None:
        real = self._parents(parts[:-1])
        fd = os.dup(self._tree.directory(real))
        try:
            self._tree.check_writable((*real, parts[-1]))
            uid, gid = self._owner(member) if self._owner else (os.geteuid(), os.getegid())
            wanted = Metadata(member.mode, uid, gid, member.mtime_ns, member.xattrs)
            if member.kind == DIRECTORY:
                self._directory(fd, (*real, parts[-1]), wanted)
                return
            if self._confined and member.kind == SYMBOLIC_LINK:
                self._check_link(parts, member.link)
            self._make_room(fd, parts, (*real, parts[-1]))
            self._make(reader, member, fd, (*real, parts[-1]), wanted)
        finally:
            os.close(fd)

    def _check_link(self, parts: Parts, link: str) -> None:
        """As docker on the machine: a link may be absolute, but not climb out of the directory that is filled."""
        depth = len(parts) - 1 - len(self._at)
        for part in () if link.startswith("/") else parts_of(link):
            depth += -1 if part == ".." else 1
            if depth < 0:
                raise InvalidInput(
                    f'invalid symlink "{self._named(parts)}" -> "{link}"',
                    cause=f"it leads out of {self._named(self._at)}, where the copy goes",
                    hint="Copy the directory that holds both, or what the link points to: -L.",
                )

    def _named(self, parts: Parts) -> str:
        return f"{self._shown}/{'/'.join(parts)}"

    def _parents(self, parts: Parts) -> Parts:
        for count in range(len(parts), -1, -1):
            try:
                fd, real = self._tree.enter(parts[:count])
            except FileNotFoundError:
                continue
            for name in parts[count:]:
                os.mkdir(name, 0o755, dir_fd=fd)
                real = (*real, name)
                fd = self._tree.directory(real)
            return real
        raise FileNotFoundError("/".join(parts))

    def _directory(self, fd: int, real: Parts, wanted: Metadata) -> None:
        name = real[-1]
        try:
            os.mkdir(name, 0o700, dir_fd=fd)
        except FileExistsError:
            found = os.stat(name, dir_fd=fd, follow_symlinks=False)
            if not stat.S_ISDIR(found.st_mode):
                raise InvalidInput(
                    f'cannot overwrite non-directory "{self._named(real)}" with directory "{self._named(self._at)}"'
                ) from None
            if self._owner is None:
                wanted = replace(wanted, uid=found.st_uid, gid=found.st_gid)
        put_metadata(self._tree.directory(real), wanted, self._owners)
        if wanted.mtime_ns is not None:
            self._times[real] = wanted.mtime_ns

    def _make_room(self, fd: int, parts: Parts, real: Parts) -> None:
        try:
            found = os.stat(parts[-1], dir_fd=fd, follow_symlinks=False)
        except FileNotFoundError:
            return
        if stat.S_ISDIR(found.st_mode):
            raise InvalidInput(f'cannot overwrite directory "{self._named(parts)}" with non-directory')
        self._check_free(fd, parts, real)
        os.unlink(parts[-1], dir_fd=fd)

    def _check_free(self, fd: int, parts: Parts, real: Parts) -> None:
        """A file that is mounted by itself (a bind, or the container's own /etc/hosts) cannot be replaced.

        The kernel would let us, as the mount is another namespace's, and take that mount away.
        """
        place = os.open(parts[-1], os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
        try:
            if _mount_id(place) != _mount_id(fd) or self._tree.seam(real) == real:
                raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), self._named(parts))
        finally:
            os.close(place)

    def _make(self, reader: TarReader, member: Member, fd: int, real: Parts, wanted: Metadata) -> None:
        name = real[-1]
        if member.kind == HARD_LINK:
            *parents, last = (*self._at, *parts_of(member.link))
            if self._tree.seam((*self._tree.physical(parents), last)) != self._tree.seam(real):
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), self._named(real))
            os.link(last, name, src_dir_fd=self._tree.directory(parents), dst_dir_fd=fd, follow_symlinks=False)
        elif member.kind == SYMBOLIC_LINK:
            os.symlink(member.link, name, dir_fd=fd)
            put_metadata((fd, name), wanted, self._owners, link=True)
        elif member.kind in _MADE:
            os.mknod(name, _MADE[member.kind] | wanted.mode, os.makedev(*member.device), dir_fd=fd)
            put_metadata((fd, name), wanted, self._owners)
        elif member.kind == FILE:
            file = os.open(name, _NEW, 0o600, dir_fd=fd)
            with open(file, "wb", closefd=False) as out:
                for piece in reader.content():
                    out.write(piece)
            try:
                put_metadata(file, wanted, self._owners)
            finally:
                os.close(file)


def _mount_id(fd: int) -> str:
    with open(f"/proc/self/fdinfo/{fd}") as lines:
        return next((line for line in lines if line.startswith("mnt_id")), "")
