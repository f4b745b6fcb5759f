"""Whole trees on a disk: made of unpacked layers by hard links, and copied so that nobody writes through a link."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from minirt.layers.closed import open_file
from minirt.layers.lowers import is_opaque
from minirt.layers.metadata import read_xattrs
from minirt.layers.styles import OVERRIDE_STAT, WhiteoutStyle, is_private_xattr, is_whiteout_mark

__all__ = ["Copier", "lay_over", "put_on"]

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FICLONE = 0x40049409  # ioctl_ficlonerange(2)
_CHUNK = 1 << 26
_NO_CLONE = (errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.EPERM, errno.ENOSYS)
_NO_LINK = (errno.EMLINK, errno.EPERM, errno.EXDEV)


def lay_over(layer: Path, tree: Path, style: WhiteoutStyle, copier: Copier) -> None:
    """Put the unpacked ``layer`` (in overlay form) on the plain ``tree``; its files are shared by hard links."""
    with _opened(layer) as source, _opened(tree) as target:
        _lay(source, target, style, copier)


def _lay(source: int, target: int, style: WhiteoutStyle, copier: Copier) -> None:
    xattrs = read_xattrs(source)
    if is_opaque(style, xattrs):
        for name in os.listdir(target):
            _clear(target, name)
    for entry in _entries(source):
        status = entry.stat(follow_symlinks=False)
        if is_whiteout_mark(status):
            _clear(target, entry.name)
        elif stat.S_ISDIR(status.st_mode):
            if not _is_directory(target, entry.name):
                _clear(target, entry.name)
                os.mkdir(entry.name, 0o700, dir_fd=target)
            with _opened(entry.name, source) as below, _opened(entry.name, target) as made:
                _lay(below, made, style, copier)
        else:
            _clear(target, entry.name)
            try:
                os.link(entry.name, entry.name, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
            except OSError as error:
                if error.errno not in _NO_LINK:
                    raise
                copier.entry(source, entry.name, status, target)
    put_on(target, os.fstat(source), xattrs)


@dataclass(slots=True)
class Copier:
    """Copies trees. Each file becomes one of its own, sharing blocks with the first where the file system can.

    ``clones`` becomes False with the first refusal, so that it costs one call and not one for each file.
    """

    clones: bool = True

    def tree(self, source: int, target: int) -> None:
        """Everything in the open directory ``source``, and its metadata, into the empty ``target``."""
        for entry in _entries(source):
            self.entry(source, entry.name, entry.stat(follow_symlinks=False), target)
        put_on(target, os.fstat(source), read_xattrs(source))

    def entry(self, source: int, name: str, status: os.stat_result, target: int) -> None:
        """One entry, whatever it is; a device that this user may not make is left out."""
        if stat.S_ISDIR(status.st_mode):
            os.mkdir(name, 0o700, dir_fd=target)
            with _opened(name, source) as below, _opened(name, target) as made:
                self.tree(below, made)
        elif stat.S_ISREG(status.st_mode):
            self._file(source, name, status, target)
        elif stat.S_ISLNK(status.st_mode):
            os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
            put_on((target, name), status, read_xattrs((source, name)))
        elif not stat.S_ISSOCK(status.st_mode):
            with contextlib.suppress(PermissionError):
                os.mknod(name, stat.S_IFMT(status.st_mode) | 0o600, status.st_rdev, dir_fd=target)
                put_on((target, name), status, read_xattrs((source, name)))

    def _file(self, source: int, name: str, status: os.stat_result, target: int) -> None:
        reader = open_file(name, _READ, source)
        try:
            writer = os.open(name, _NEW, 0o600, dir_fd=target)
            try:
                if status.st_size and not self._cloned(reader, writer):
                    _pour(reader, writer, status)
                put_on(writer, status, read_xattrs(reader))
            finally:
                os.close(writer)
        finally:
            os.close(reader)

    def _cloned(self, reader: int, writer: int) -> bool:
        if self.clones:
            try:
                fcntl.ioctl(writer, _FICLONE, reader)
                return True
            except OSError as error:
                if error.errno not in _NO_CLONE:
                    raise
                self.clones = False
        return False


def put_on(handle: int | tuple[int, str], status: os.stat_result, xattrs: dict[str, bytes]) -> None:
    """Give a file just made the metadata of another: owner, mode, attributes, times, in this order."""
    fd, name = handle if isinstance(handle, tuple) else (handle, "")
    if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
        with contextlib.suppress(PermissionError):
            if name:
                os.chown(name, status.st_uid, status.st_gid, dir_fd=fd, follow_symlinks=False)
            else:
                os.chown(fd, status.st_uid, status.st_gid)
    if not stat.S_ISLNK(status.st_mode):
        if name:
            os.chmod(name, stat.S_IMODE(status.st_mode), dir_fd=fd)
        else:
            os.chmod(fd, stat.S_IMODE(status.st_mode))
    for key, value in xattrs.items():
        if key == OVERRIDE_STAT or not is_private_xattr(key):
            with contextlib.suppress(OSError):  # as everywhere: a file without its attributes is still a file
                os.setxattr(f"/proc/self/fd/{fd}/{name}" if name else fd, key, value, follow_symlinks=not name)
    times = (status.st_atime_ns, status.st_mtime_ns)
    if name:
        os.utime(name, ns=times, dir_fd=fd, follow_symlinks=False)
    else:
        os.utime(fd, ns=times)


def _pour(reader: int, writer: int, status: os.stat_result) -> None:
    """Copy the content; holes stay holes."""
    if status.st_blocks * 512 >= status.st_size:
        _pour_range(reader, writer, 0, status.st_size)
        return
    at = 0
    while at < status.st_size:
        try:
            start = os.lseek(reader, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            break
        at = os.lseek(reader, start, os.SEEK_HOLE)
        _pour_range(reader, writer, start, at)
    os.ftruncate(writer, status.st_size)


def _pour_range(reader: int, writer: int, at: int, end: int) -> None:
    try:
        while at < end and (count := os.copy_file_range(reader, writer, min(end - at, _CHUNK), at, at)):
            at += count
    except OSError as error:
        if error.errno not in (*_NO_CLONE, errno.EBADF):
            raise
    while at < end and (data := os.pread(reader, min(end - at, 1 << 20), at)):
        at += os.pwrite(writer, data, at)


@contextlib.contextmanager
def _opened(path: str | Path, dir_fd: int | None = None) -> Iterator[int]:
    fd = os.open(path, _DIRECTORY, dir_fd=dir_fd)
    try:
        yield fd
    finally:
        os.close(fd)


def _entries(fd: int) -> list[os.DirEntry[str]]:
    with os.scandir(fd) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _is_directory(fd: int, name: str) -> bool:
    try:
        return stat.S_ISDIR(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False


def _clear(fd: int, name: str) -> None:
    """Make the name free."""
    try:
        os.unlink(name, dir_fd=fd)
    except FileNotFoundError:
        pass
    except (IsADirectoryError, PermissionError):
        shutil.rmtree(name, dir_fd=fd)
