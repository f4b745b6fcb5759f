"""COPY, ADD and WORKDIR where they happen: inside the sandbox's worker, with the image's root mounted.

The list of files comes from :mod:`minirt.build.selection`; here they are written. Nothing in the image can lead a
write out of it: the destination's links are followed within the root first, and everything below is made by
descriptor without following links. Semantics are BuildKit's (fsutil ``copy.Copy``): a directory means its contents,
a trailing slash means "into", parents are made 0755 with the owner of ``--chown``, nested directories that exist
take the source's mode.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from minirt.build.modes import ModeChange
from minirt.build.selection import Item, resolve
from minirt.errors import CopyFailed
from minirt.layers.styles import OVERRIDE_STAT

__all__ = ["Target", "copy_found", "items_from_json", "items_to_json", "make_directories", "set_owner"]

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 1 << 24
_NO_SUCH_ID = (errno.EINVAL, errno.EPERM)


@dataclass(slots=True)
class Target:
    """Where and how a COPY writes. ``owner`` None keeps the source's; ``epoch`` (seconds) replaces all times.

    ``upper`` is the overlay's upper directory: what is new goes straight into it, which takes a third of the time
    that the overlay takes to make a file. Set it only for a single source, as the overlay does not notice.
    """

    root: str
    owner: tuple[int, int] | None = None
    mode: ModeChange | None = None
    epoch: int | None = None
    parents_owner: tuple[int, int] = (0, 0)
    upper: str | None = None
    links: dict[tuple[int, int], str] = field(default_factory=dict)
    files: int = 0
    bytes: int = 0

    def place(self, path: str) -> str:
        """``path`` of the image as a path of this process, links followed within the image."""
        return os.path.join(self.root, resolve(self.root, path))


def make_directories(target: Target, path: str, mode: int = 0o755) -> str:
    """Like ``mkdir -p`` in the image: new directories belong to ``parents_owner``. Returns the full path.

    Raises :class:`CopyFailed` if a file is in the way.
    """
    full = target.place(path)
    missing = []
    here = full
    while not os.path.lexists(here):
        missing.append(here)
        here = os.path.dirname(here)
    if not os.path.isdir(here):
        raise CopyFailed(
            f"cannot make the directory /{path.strip('/')}",
            cause=f"{_shown(target, here)} is in the way and is not a directory",
        )
    for new in reversed(missing):
        os.mkdir(new, mode)
        os.chmod(new, mode)
        set_owner(new, target.parents_owner, mode)
        if target.epoch is not None:
            os.utime(new, ns=(target.epoch * 10**9,) * 2)
    return full


def copy_found(target: Target, source: str, name: str, items: Sequence[Item], destination: str) -> None:
    """Copy one source (the file or directory at ``source``, called ``name``) to ``destination`` in the image.

    ``destination`` is absolute; with a trailing slash it is a directory. Raises :class:`CopyFailed`.
    """
    target.links.clear()
    top = items[0]
    into = destination.endswith(("/", "/.")) or destination in ("", ".")
    make_directories(target, destination if into else os.path.dirname(destination))
    full = target.place(destination)
    if stat.S_ISDIR(top.mode):
        _copy_tree(target, source, items, full)
        return
    if os.path.isdir(full):
        full = os.path.join(full, name)  # a link of that name is replaced, not followed, as any file is
    parent = os.open(os.path.dirname(full), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    source_parent = os.open(os.path.dirname(source) or "/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _copy_one(target, source_parent, os.path.basename(source), parent, os.path.basename(full), top, fresh=False)
    finally:
        os.close(source_parent)
        os.close(parent)


@dataclass(slots=True)
class _Level:
    """A directory that is being filled.

    ``made`` is it, ``past`` the names that were in it before us. ``direct`` is where new names are made: the
    same directory in the overlay's upper one, or ``made`` again. ``finish``: it gets the source's mode and times.
    """

    path: str
    source: int
    made: int
    past: frozenset[str]
    item: Item
    finish: bool
    direct: int = -1

    def new(self, target: Target) -> int:
        """The descriptor to make new names at."""
        if self.direct < 0:
            self.direct = _upper_twin(target, self.made) if target.upper else self.made
        return self.direct

    def close(self) -> None:
        for fd in {self.source, self.made, self.direct} - {-1}:
            os.close(fd)


def _upper_twin(target: Target, made: int) -> int:
    """The directory ``made`` of the overlay as it is in the upper directory, where it is brought if need be."""
    assert target.upper is not None
    found = os.fstat(made)
    os.utime(made, ns=(found.st_atime_ns, found.st_mtime_ns))  # any change makes overlayfs copy it up
    path = os.path.relpath(os.readlink(f"/proc/self/fd/{made}"), target.root)
    return os.open(os.path.join(target.upper, path), _DIRECTORY)


def _copy_tree(target: Target, source: str, items: Sequence[Item], full: str) -> None:
    levels = [_enter_top(target, source, items[0], full)]
    try:
        for item in items[1:]:
            directory, _, name = item.path.rpartition("/")
            while levels[-1].path != directory:
                _leave(target, levels.pop())
            level = levels[-1]
            if stat.S_ISDIR(item.mode):
                levels.append(_enter(target, level, name, item))
            elif name in level.past:
                _copy_one(target, level.source, name, level.made, name, item, fresh=False)
            else:
                _copy_one(target, level.source, name, level.new(target), name, item, fresh=True)
        while levels:
            _leave(target, levels.pop())
    finally:
        for level in levels:
            level.close()


def _enter_top(target: Target, source: str, item: Item, full: str) -> _Level:
    """The destination itself: made 0755 if it is missing, and left as it is if it is there (BuildKit does both)."""
    if os.path.lexists(full) and not os.path.isdir(full):
        raise _not_a_directory(target, full)
    make_directories(target, os.path.relpath(full, target.root))
    source_fd = os.open(source, _DIRECTORY)
    made = os.open(full, _DIRECTORY)
    return _Level("", source_fd, made, frozenset(os.listdir(made)), item, finish=False)


def _enter(target: Target, level: _Level, name: str, item: Item) -> _Level:
    fresh = name not in level.past
    parent = level.new(target) if fresh else level.made
    if fresh:
        os.mkdir(name, 0o700, dir_fd=parent)
    try:
        made = os.open(name, _DIRECTORY, dir_fd=parent)
    except OSError as error:
        if error.errno in (errno.ENOTDIR, errno.ELOOP):
            raise _not_a_directory(target, name) from None
        raise
    source = os.open(name, _DIRECTORY, dir_fd=level.source)
    past = frozenset() if fresh else frozenset(os.listdir(made))
    return _Level(item.path, source, made, past, item, finish=True, direct=made if fresh else -1)


def _leave(target: Target, level: _Level) -> None:
    """Times last: filling a directory changes its time."""
    if level.finish:
        _dress(target, level.made, level.item, directory=True)
    level.close()
    target.files += 1


def _dress(target: Target, fd: int, item: Item, *, directory: bool = False) -> None:
    """Owner, mode, attributes, times: in this order, because chown clears setuid and every change sets the time."""
    owner = target.owner or (item.uid, item.gid)
    mode = _mode(target, item, directory=directory)
    found = os.fstat(fd)
    if (found.st_uid, found.st_gid) != owner:
        set_owner(fd, owner, mode)
    if stat.S_IMODE(os.fstat(fd).st_mode) != mode:
        os.fchmod(fd, mode)
    for key, value in item.attributes:
        try:
            os.setxattr(fd, key, value)
        except OSError:
            continue  # as BuildKit: a file system without attributes still gets the file
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
        os.setxattr(place, OVERRIDE_STAT, f"{owner[0]}:{owner[1]}:0{mode:o}".encode())


def _mode(target: Target, item: Item, *, directory: bool) -> int:
    mode = stat.S_IMODE(item.mode)
    return mode if target.mode is None else target.mode.apply(mode, directory=directory)


def _times(target: Target, item: Item) -> tuple[int, int]:
    moment = item.mtime if target.epoch is None else target.epoch * 10**9
    return moment, moment


def _copy_one(
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
    owner = target.owner or (item.uid, item.gid)
    if owner != (0, 0):
        try:
            os.chown(name, *owner, dir_fd=made_fd, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _NO_SUCH_ID:
                raise
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
    reader = os.open(source_name, _READ, dir_fd=source_fd)
    try:
        mode = _mode(target, item, directory=False)
        writer = os.open(name, _WRITE, mode & 0o777, dir_fd=made_fd)
        try:
            target.bytes += _pour(reader, writer, item.size)
            _finish_file(target, writer, item, mode)
        finally:
            os.close(writer)
    finally:
        os.close(reader)


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
    os.utime(fd, ns=_times(target, item))


def _linked(first: str, made_fd: int, name: str) -> bool:
    try:
        os.link(first, name, dst_dir_fd=made_fd, follow_symlinks=False)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        return False  # one of them was made through the overlay, the other was not: two files then
    return True


def _pour(reader: int, writer: int, expected: int) -> int:
    """All bytes, by the kernel where it can (shared blocks on Btrfs and XFS), otherwise by hand."""
    done = 0
    try:
        while expected:
            count = os.copy_file_range(reader, writer, _CHUNK)
            if not count:
                return done
            done += count
            if done >= expected:
                break
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
    while data := os.read(reader, 1 << 20):
        view = memoryview(data)
        while view:
            view = view[os.write(writer, view) :]
        done += len(data)
    return done


def _not_a_directory(target: Target, path: str) -> CopyFailed:
    return CopyFailed(
        f"cannot copy a directory over {_shown(target, path)}",
        cause="the image already has something there that is not a directory",
        hint="Copy to another name, or remove it in an earlier RUN.",
    )


def _shown(target: Target, full: str) -> str:
    return "/" + os.path.relpath(full, target.root) if full.startswith(target.root) else full


def items_from_json(data: Sequence[Sequence[Any]]) -> list[Item]:
    """The other side of :func:`items_to_json`."""
    return [Item._make([*row[:-1], tuple((key, bytes.fromhex(value)) for key, value in row[-1])]) for row in data]


def items_to_json(items: Sequence[Item]) -> list[list[Any]]:
    """Rows that survive JSON."""
    return [[*item[:-1], [(key, value.hex()) for key, value in item.attributes]] for item in items]
