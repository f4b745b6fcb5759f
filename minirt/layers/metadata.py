"""A file's metadata as a layer carries it, put on a file and read off one."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field

from minirt.errors import LayerError
from minirt.layers.styles import OVERRIDE_STAT, Owners, SideOwners, is_private_xattr

__all__ = [
    "Metadata",
    "metadata_of",
    "note_chown",
    "mode_of",
    "note_owner",
    "owner_of",
    "put_metadata",
    "read_xattrs",
    "set_directory_mode",
    "target_of",
]

# A descriptor, or a name in an open directory (for what cannot be opened: links, devices, pipes).
Handle = int | tuple[int, str]

# Refusals that leave a usable file: a file system without attributes, a namespace that may not set this one.
_BEARABLE = (errno.ENOTSUP, errno.EPERM, errno.ENODATA)


@dataclass(frozen=True, slots=True)
class Metadata:
    """``mode`` has the 12 permission bits; ``mtime_ns`` is in nanoseconds since 1970, None: leave it."""

    mode: int
    uid: int
    gid: int
    mtime_ns: int | None = None
    xattrs: Mapping[str, bytes] = field(default_factory=dict)


def put_metadata(handle: Handle, wanted: Metadata, owners: Owners, *, link: bool = False) -> None:
    """Give a file just made its owner, mode, attributes and times, in this order. ``link``: a symbolic link.

    Raises :class:`OSError`, and :class:`LayerError` for an owner that the user namespace does not know.
    """
    if isinstance(owners, SideOwners):
        if isinstance(handle, int) and (wanted.uid or wanted.gid):
            note_owner(handle, wanted.uid, wanted.gid, wanted.mode)
    else:
        _chown(handle, wanted)
    if not link:
        if isinstance(handle, int) and stat.S_ISDIR(os.fstat(handle).st_mode):
            _forget_xattrs(handle, wanted)
            set_directory_mode(handle, wanted.mode)
        elif isinstance(handle, int):
            os.chmod(handle, wanted.mode)
        else:
            os.chmod(handle[1], wanted.mode, dir_fd=handle[0])
    for name, value in wanted.xattrs.items():
        if not is_private_xattr(name):
            _set_xattr(handle, name, value)
    if wanted.mtime_ns is not None:
        times = (wanted.mtime_ns, wanted.mtime_ns)
        if isinstance(handle, int):
            os.utime(handle, ns=times)
        else:
            os.utime(handle[1], ns=times, dir_fd=handle[0], follow_symlinks=False)


def note_owner(handle: int | str, uid: int, gid: int, mode: int) -> None:
    """Keep an owner beside a file. A file system without attributes cannot: there, the file becomes root's."""
    try:
        os.setxattr(handle, OVERRIDE_STAT, f"{uid}:{gid}:0{mode:o}".encode())
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise


def note_chown(path: str, uid: int | None, gid: int | None, *, keep_mode: bool = False) -> None:
    """What chown(2) does, on the side: the file gets a note; None leaves the owner it has.

    ``path`` is followed; that of a descriptor in /proc will do. As with chown, a file loses its set-id bits, unless
    ``keep_mode``. Links and devices cannot carry a note and stay root's. A file that its owner may not write is
    opened to it for a moment, as only then may an attribute be set.
    """
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
        return
    before = owner_of(status, read_xattrs(path), SideOwners())
    after = (before[0] if uid is None else uid, before[1] if gid is None else gid)
    old = mode = stat.S_IMODE(status.st_mode)
    if stat.S_ISREG(status.st_mode) and not keep_mode:
        mode &= ~stat.S_ISUID & ~(stat.S_ISGID if mode & stat.S_IXGRP else 0)
    try:
        note_owner(path, *after, mode)
    except PermissionError:
        os.chmod(path, mode | stat.S_IWUSR)
        try:
            note_owner(path, *after, mode)
        finally:
            os.chmod(path, mode)
        return
    if mode != old:
        os.chmod(path, mode)


def metadata_of(fd: int, owners: Owners) -> Metadata:
    """Of an open directory or file."""
    status = os.fstat(fd)
    xattrs = read_xattrs(fd)
    uid, gid = owner_of(status, xattrs, owners)
    return Metadata(mode_of(status, xattrs, owners), uid, gid, status.st_mtime_ns, xattrs)


def _forget_xattrs(directory: int, wanted: Metadata) -> None:
    """A directory may have been there, from a lower layer: what that one said of it does not count any more."""
    for name in read_xattrs(directory):
        stale = name.startswith("user.") and name not in wanted.xattrs and not is_private_xattr(name)
        if stale or (name == OVERRIDE_STAT and not (wanted.uid or wanted.gid)):
            os.removexattr(directory, name)


def set_directory_mode(place: int | str, mode: int) -> None:
    """For an ordinary user who is root of his containers: a directory that kept him out could not be worked in.

    So one whose mode does that is open to him on the disk, and its mode is noted beside it; see :func:`mode_of`.
    """
    if os.geteuid() == 0 or mode & stat.S_IRWXU == stat.S_IRWXU:
        os.chmod(place, mode)
        return
    os.chmod(place, mode | stat.S_IRWXU)
    noted = _note(read_xattrs(place))
    note_owner(place, *(noted[:2] if noted else (0, 0)), mode)


def mode_of(status: os.stat_result, xattrs: Mapping[str, bytes], owners: Owners) -> int:
    """The 12 permission bits as a layer names them. A directory's note counts until somebody changes its mode."""
    mode = stat.S_IMODE(status.st_mode)
    if isinstance(owners, SideOwners) and stat.S_ISDIR(status.st_mode):
        noted = _note(xattrs)
        if noted is not None and noted[2] is not None and noted[2] | stat.S_IRWXU == mode:
            return noted[2]
    return mode


def read_xattrs(handle: Handle | str) -> dict[str, bytes]:
    """All extended attributes, sorted by name; none where the file system has none. A path is followed."""
    path = target_of(handle)
    follow = not isinstance(handle, tuple)
    try:
        names = os.listxattr(path, follow_symlinks=follow)
        return {name: os.getxattr(path, name, follow_symlinks=follow) for name in sorted(names)} if names else {}
    except OSError as error:
        if error.errno in _BEARABLE:
            return {}
        raise


def owner_of(status: os.stat_result, xattrs: Mapping[str, bytes], owners: Owners) -> tuple[int, int]:
    """(uid, gid) as a layer names them. With :class:`SideOwners`, what has no readable note is root's."""
    if not isinstance(owners, SideOwners):
        return status.st_uid, status.st_gid
    noted = _note(xattrs)
    return noted[:2] if noted else (0, 0)


def _note(xattrs: Mapping[str, bytes]) -> tuple[int, int, int | None] | None:
    """Owner, group and mode that :func:`note_owner` keeps beside a file; None for what cannot be read."""
    fields = xattrs.get(OVERRIDE_STAT, b"").split(b":")
    if len(fields) < 3 or not fields[0].isdigit() or not fields[1].isdigit():
        return None
    try:
        return int(fields[0]), int(fields[1]), int(fields[2], 8) & 0o7777
    except ValueError:
        return int(fields[0]), int(fields[1]), None


def target_of(handle: Handle | str) -> int | str:
    """What the extended-attribute calls take: they have no form relative to a directory, but /proc gives one."""
    return f"/proc/self/fd/{handle[0]}/{handle[1]}" if isinstance(handle, tuple) else handle


def _chown(handle: Handle, wanted: Metadata) -> None:
    try:
        if isinstance(handle, int):
            os.chown(handle, wanted.uid, wanted.gid)
        else:
            os.chown(handle[1], wanted.uid, wanted.gid, dir_fd=handle[0], follow_symlinks=False)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise LayerError(
            f"the layer has a file of user {wanted.uid}, group {wanted.gid}, which this user namespace does not have",
            cause="the ranges in /etc/subuid and /etc/subgid are too short for this image",
            hint="Give your user 65536 subordinate ids, or run as root.",
        ) from error


def _set_xattr(handle: Handle, name: str, value: bytes) -> None:
    try:
        os.setxattr(target_of(handle), name, value, follow_symlinks=isinstance(handle, int))
    except OSError as error:
        if error.errno not in _BEARABLE:
            raise
