"""One file of a COPY: its content, and what it wears: owner, mode, attributes, times.

Runs in the sandbox's worker. Files are made by descriptor of their directory and never through a link.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from minirt.build.modes import ModeChange
from minirt.build.selection import Item, resolve
from minirt.errors import CopyFailed
from minirt.layers.holes import data_ranges
from minirt.layers.metadata import note_owner, set_directory_mode
from minirt.layers.styles import OVERRIDE_STAT
from minirt.snapshots.early import EarlyPack

__all__ = [
    "Target", "copy_content", "copy_one", "copy_packing", "dress", "items_from_json", "items_to_json",
    "set_bare_owner", "set_owner", "set_times", "take_back",
]  # fmt: skip

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_WRITE_AND_READ = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 1 << 24
_SMALL = 1 << 20  # bytes of a file that passes through memory in one piece
_NO_SUCH_ID = (errno.EINVAL, errno.EPERM)


@dataclass(slots=True)
class Target:
    """Where and how a COPY writes. ``owner`` None keeps the source's; ``epoch`` (seconds) replaces all times.

    ``parents_mode`` is that of directories which the copy makes on its way: BuildKit gives an octal ``--chmod`` to
    them too. They are in ``made_parents`` until they are filled, for without root's rights the mode could forbid that.
    ``upper`` is the overlay's upper directory: what is new goes straight into it, which takes a third of the time
    that the overlay takes to make a file. Set it only for a single source, as the overlay does not notice.
    ``packing`` gets every entry as it is written; it wants them in the order of a walk, and ``upper`` set.
    """

    root: str
    owner: tuple[int, int] | None = None
    mode: ModeChange | None = None
    epoch: int | None = None
    parents_owner: tuple[int, int] = (0, 0)
    parents_mode: int = 0o755
    made_parents: list[str] = field(default_factory=list)
    upper: str | None = None
    packing: EarlyPack | None = None
    links: dict[tuple[int, int], str] = field(default_factory=dict)
    files: int = 0
    bytes: int = 0
    pool: ThreadPoolExecutor | None = None

    def threads(self) -> ThreadPoolExecutor:
        """Started for the first large directory; they end with the worker."""
        if self.pool is None:
            self.pool = ThreadPoolExecutor(min(4, os.cpu_count() or 1))
        return self.pool

    def place(self, path: str) -> str:
        """``path`` of the image as a path of this process, links followed within the image."""
        return os.path.join(self.root, resolve(self.root, path))


def dress(target: Target, fd: int, item: Item, *, directory: bool = False) -> None:
    """Owner, mode, attributes, times: in this order, because chown clears setuid and every change sets the time."""
    owner = target.owner or (item.uid, item.gid)
    mode = _mode(target, item, directory=directory)
    found = os.fstat(fd)
    if (found.st_uid, found.st_gid) != owner:
        set_owner(fd, owner, mode)
    elif directory:
        with contextlib.suppress(OSError):  # no note: only one that was there already and was given away has it
            os.removexattr(fd, OVERRIDE_STAT)
    if directory:
        set_directory_mode(fd, mode)
    elif stat.S_IMODE(os.fstat(fd).st_mode) != mode:
        os.fchmod(fd, mode)
    for key, value in item.attributes:
        try:
            os.setxattr(fd, key, value)
        except OSError:
            continue  # as BuildKit: a file system without attributes still gets the file
    set_times(target, fd, item)


def set_times(target: Target, fd: int, item: Item) -> None:
    """The source's, or the epoch."""
    os.utime(fd, ns=_times(target, item))


def set_owner(place: int | str, owner: tuple[int, int], mode: int) -> None:
    """chown; where the user namespace has only one id, a note that the packing reads (layers.styles)."""
    if owner == (0, 0) and isinstance(place, str):
        return  # made by us, as id 0
    try:
        os.chown(place, *owner)
    except OSError as error:
        if error.errno not in _NO_SUCH_ID:
            raise
        note_owner(place, *owner, mode)


def set_bare_owner(place: str, owner: tuple[int, int], dir_fd: int | None = None) -> None:
    """Chown of a link, pipe or device, which carries no note: where there is only one id, it stays root's."""
    if owner == (0, 0):
        return
    try:
        os.chown(place, *owner, dir_fd=dir_fd, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_SUCH_ID:
            raise


def take_back(path: str) -> None:
    """Make a file root's again that may have been given away under another name, really or by a note."""
    with contextlib.suppress(OSError):  # no note, or a file system without attributes
        os.removexattr(path, OVERRIDE_STAT)
    status = os.stat(path)
    if os.geteuid() == 0 and (status.st_uid, status.st_gid) != (0, 0):
        os.chown(path, 0, 0)


def _mode(target: Target, item: Item, *, directory: bool) -> int:
    mode = stat.S_IMODE(item.mode)
    return mode if target.mode is None else target.mode.apply(mode, directory=directory)


def _times(target: Target, item: Item) -> tuple[int, int]:
    moment = item.mtime if target.epoch is None else target.epoch * 10**9
    return moment, moment


def copy_one(
    target: Target, source_fd: int, source_name: str, made_fd: int, name: str, item: Item, *, fresh: bool
) -> None:
    if not fresh:
        _clear(target, made_fd, name)
    kind = stat.S_IFMT(item.mode)
    target.files += 1
    if kind == stat.S_IFREG:
        _copy_file(target, source_fd, source_name, made_fd, name, item)
        return
    if kind == stat.S_IFLNK:
        os.symlink(item.target, name, dir_fd=made_fd)
    else:
        _make_special(target, made_fd, name, item)
    set_bare_owner(name, target.owner or (item.uid, item.gid), made_fd)
    os.utime(name, ns=_times(target, item), dir_fd=made_fd, follow_symlinks=False)


def _make_special(target: Target, made_fd: int, name: str, item: Item) -> None:
    """A named pipe or device becomes one; a socket, which means nothing without its process, an empty file."""
    mode = _mode(target, item, directory=False)
    kind = stat.S_IFREG if stat.S_ISSOCK(item.mode) else stat.S_IFMT(item.mode)
    try:
        os.mknod(name, kind | mode, item.rdev, dir_fd=made_fd)
    except PermissionError:
        raise CopyFailed(
            f"cannot copy the device {name}",
            cause="only root may make device nodes, and this build runs without root's rights",
            hint="Leave it out with .dockerignore; containers get the usual devices by themselves.",
        ) from None
    os.chmod(name, mode, dir_fd=made_fd)


def _clear(target: Target, made_fd: int, name: str) -> None:
    """A file that is there is replaced; a directory is not (BuildKit: "cannot replace to directory with file")."""
    try:
        os.unlink(name, dir_fd=made_fd)
    except FileNotFoundError:
        pass
    except IsADirectoryError:
        raise CopyFailed(
            f"cannot replace the directory {name} with a file",
            cause="the image already has a directory of that name",
            hint="Copy to another name, or remove the directory in an earlier RUN.",
        ) from None


def _copy_file(target: Target, source_fd: int, source_name: str, made_fd: int, name: str, item: Item) -> None:
    if item.links > 1:
        first = target.links.get((item.device, item.inode))
        if first is not None and _linked(first, made_fd, name):
            return
        target.links[item.device, item.inode] = f"{os.readlink(f'/proc/self/fd/{made_fd}')}/{name}"
    target.bytes += copy_content(target, source_fd, source_name, made_fd, name, item)


def copy_content(target: Target, source_fd: int, source_name: str, made_fd: int, name: str, item: Item) -> int:
    """One plain file; returns its size in bytes."""
    reader = os.open(source_name, _READ, dir_fd=source_fd)
    try:
        mode = _mode(target, item, directory=False)
        writer = os.open(name, _WRITE, mode & 0o777, dir_fd=made_fd)
        try:
            written = _pour(reader, writer, item.size)
            _finish_file(target, writer, item, mode)
        finally:
            os.close(writer)
    finally:
        os.close(reader)
    return written


def copy_packing(target: Target, source_fd: int, made_fd: int, name: str, item: Item, path: str) -> int:
    """One new plain file, which goes into the layer at once, at ``path``; returns its size in bytes."""
    assert target.packing is not None
    reader = os.open(name, _READ, dir_fd=source_fd)
    try:
        mode = _mode(target, item, directory=False)
        writer = os.open(name, _WRITE_AND_READ, mode & 0o777, dir_fd=made_fd)
        try:
            if item.size < _SMALL:
                content = _through_memory(reader, writer, item.size)
            else:
                content = _poured(reader, writer, item.size)
            _finish_file(target, writer, item, mode)
            return target.packing.take_plain(path, writer, content).st_size
        finally:
            os.close(writer)
    finally:
        os.close(reader)


def _through_memory(reader: int, writer: int, expected: int) -> bytes | int:
    """Copy a small file: its bytes, or ``writer`` where one read or one write was not all of it."""
    data = os.read(reader, expected + 1)  # no more: the room asked for is made ready before a byte is read
    if len(data) == expected and (not data or os.write(writer, data) == len(data)):
        return data
    os.lseek(reader, 0, os.SEEK_SET)
    os.lseek(writer, 0, os.SEEK_SET)
    return _poured(reader, writer, expected)


def _poured(reader: int, writer: int, expected: int) -> int:
    """Copy a file: ``writer``, to be read from its start."""
    _pour(reader, writer, expected)
    os.lseek(writer, 0, os.SEEK_SET)
    return writer


def _finish_file(target: Target, fd: int, item: Item, mode: int) -> None:
    owner = target.owner or (item.uid, item.gid)
    if owner != (0, 0):
        set_owner(fd, owner, mode)
    if mode & 0o7000 or owner != (0, 0):
        os.fchmod(fd, mode)
    for key, value in item.attributes:
        try:
            os.setxattr(fd, key, value)
        except OSError:
            continue
    set_times(target, fd, item)


def _linked(first: str, made_fd: int, name: str) -> bool:
    try:
        os.link(first, name, dst_dir_fd=made_fd, follow_symlinks=False)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        return False  # one of them was made through the overlay, the other was not: two files then
    return True


def _pour(reader: int, writer: int, expected: int) -> int:
    """All bytes, by the kernel where it can (shared blocks on Btrfs and XFS), otherwise by hand; holes stay holes."""
    status = os.fstat(reader)
    if expected >= _SMALL and status.st_blocks * 512 < status.st_size:
        _pour_sparse(reader, writer, min(expected, status.st_size))
        return min(expected, status.st_size) + _pour_rest(reader, writer)
    done = _pour_part(reader, writer, expected)
    return done + (_pour_rest(reader, writer) if done >= expected else 0)


def _pour_sparse(reader: int, writer: int, size: int) -> None:
    for start, end in data_ranges(reader, size):
        os.lseek(reader, start, os.SEEK_SET)
        os.lseek(writer, start, os.SEEK_SET)
        _pour_part(reader, writer, end - start)
    os.ftruncate(writer, size)
    os.lseek(reader, size, os.SEEK_SET)
    os.lseek(writer, size, os.SEEK_SET)


def _pour_part(reader: int, writer: int, size: int) -> int:
    done = 0
    try:
        while done < size:
            count = os.copy_file_range(reader, writer, min(_CHUNK, size - done))
            if not count:
                return done
            done += count
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
    while done < size and (data := os.read(reader, min(_SMALL, size - done))):
        _write_all(writer, data)
        done += len(data)
    return done


def _pour_rest(reader: int, writer: int) -> int:
    """What a file has grown by since it was listed."""
    done = 0
    while data := os.read(reader, _SMALL):
        _write_all(writer, data)
        done += len(data)
    return done


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def items_from_json(data: Sequence[Sequence[Any]]) -> list[Item]:
    """The other side of :func:`items_to_json`."""
    return [Item._make([*row[:-1], tuple((key, bytes.fromhex(value)) for key, value in row[-1])]) for row in data]


def items_to_json(items: Sequence[Item]) -> list[list[Any]]:
    """Rows that survive JSON."""
    return [[*item[:-1], [(key, value.hex()) for key, value in item.attributes]] for item in items]
