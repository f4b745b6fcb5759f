"""Mounts, mostly with the mount API of kernel 5.2 and later: make a detached mount first, then attach it.

Everything here is meant for a private mount namespace: the machine itself never gets a mount.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence

from minirt.linux import syscalls
from minirt.linux.paths import opened
from minirt.model.spec import OverlayRoot

__all__ = [
    "MNT_DETACH",
    "MOUNT_ATTR_NODEV",
    "MOUNT_ATTR_RDONLY",
    "MountRecord",
    "attach",
    "bind",
    "make_private",
    "mount_new",
    "mount_overlay",
    "mounts",
    "restrict",
    "set_read_only",
]

MS_NOSUID, MS_NODEV, MS_NOEXEC = 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC = 32, 4096, 16384
MS_NOATIME, MS_NODIRATIME, MS_RELATIME = 1 << 10, 1 << 11, 1 << 21
_ST_RELATIME = 1 << 12  # statvfs(3)
MS_SLAVE, MS_PRIVATE, MS_SHARED, MS_UNBINDABLE = 1 << 19, 1 << 18, 1 << 20, 1 << 17
MNT_DETACH = 2
MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC = 1, 2, 4, 8

_PROPAGATION = {"private": MS_PRIVATE, "slave": MS_SLAVE, "shared": MS_SHARED, "unbindable": MS_UNBINDABLE}
_OPTIONS = {"nosuid": MS_NOSUID, "nodev": MS_NODEV, "noexec": MS_NOEXEC, "ro": 1, "sync": 16, "noatime": 1024}
_FSCONFIG_LIMIT = 256


def make_private() -> None:
    """Let no mount made here be seen on the machine, nor the other way round."""
    syscalls.mount(None, "/", None, MS_REC | MS_PRIVATE)


def attach(fd: int, target_fd: int, path: str) -> None:
    """Put the detached mount ``fd`` over ``target_fd`` and close ``fd``; ``path`` is named in errors."""
    try:
        syscalls.move_mount(fd, target_fd, path)
    finally:
        os.close(fd)


def bind(
    source: str,
    target_fd: int,
    path: str,
    *,
    read_only: bool = False,
    recursive: bool = True,
    propagation: str = "rprivate",
    attributes: int = 0,
    writable_below: bool = False,
) -> None:
    """Show the file or directory ``source`` also at ``target_fd``.

    What is ``read_only`` is so with all that is mounted below, unless ``writable_below``.
    """
    add = attributes | (MOUNT_ATTR_RDONLY if read_only else 0)
    kind = 0 if propagation == "rprivate" else _PROPAGATION[propagation.removeprefix("r")]
    deep = propagation.startswith("r")
    fd = syscalls.open_tree(source, recursive=recursive)
    try:
        try:
            if kind:  # private it is anyway, in a namespace where everything is
                syscalls.mount_setattr(fd, propagation=kind, recursive=deep)
            if below := attributes if writable_below else add:
                syscalls.mount_setattr(fd, add=below, recursive=recursive)
            if writable_below and read_only:
                syscalls.mount_setattr(fd, add=MOUNT_ATTR_RDONLY)
        except OSError as error:
            if error.errno != errno.ENOSYS:
                raise
            syscalls.move_mount(fd, target_fd, path)
            _set_attached(fd, add, kind | (MS_REC if deep else 0) if kind else 0)
        else:
            syscalls.move_mount(fd, target_fd, path)
    finally:
        os.close(fd)


def _set_attached(fd: int, add: int, propagation: int = 0) -> None:
    """For kernels before 5.12, which have no mount_setattr(2): by remounting, once it is in its place.

    As with docker there, ``add`` does not reach the mounts below this one.
    """
    place = f"/proc/self/fd/{fd}"
    if propagation:
        syscalls.mount(None, place, None, propagation)
    if add:
        has = os.fstatvfs(fd).f_flag
        # What it has already must be said again, or the kernel takes it for a wish to lift it. MOUNT_ATTR_* and MS_*
        # are the same numbers up to noexec.
        kept = has & (15 | MS_NOATIME | MS_NODIRATIME) | (MS_RELATIME if has & _ST_RELATIME else 0)
        syscalls.mount(None, place, None, MS_REMOUNT | MS_BIND | add | kept)


def mount_new(kind: str, target_fd: int, path: str, options: Sequence[str] = (), *, source: str = "") -> None:
    """A new file system, such as tmpfs, at ``target_fd``; ``options`` as mount(8) writes them."""
    flags = 0
    data = []
    for option in options:
        if option in _OPTIONS:
            flags |= _OPTIONS[option]
        elif option not in ("rw", "suid", "dev", "exec"):
            data.append(option)
    try:
        syscalls.mount(source or kind, f"/proc/self/fd/{target_fd}", kind, flags, ",".join(data) or None)
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from None


def set_read_only(path: str) -> None:
    """Make the mount at ``path`` read-only, whatever other attributes it has."""
    restrict(path, MOUNT_ATTR_RDONLY)


def restrict(path: str, attributes: int) -> None:
    """Add ``MOUNT_ATTR_*`` to the mount at ``path``."""
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        syscalls.mount_setattr(fd, add=attributes)
    except OSError as error:
        if error.errno != errno.ENOSYS:
            raise
        _set_attached(fd, attributes)
    finally:
        os.close(fd)


def _overlay_options(root: OverlayRoot, *, user: bool) -> list[str]:
    # In a user namespace trusted.* attributes cannot be written; overlayfs keeps its marks in user.* (5.11+).
    # As root: a layer must mean the same whoever mounts it later, so no marks that only this kernel knows.
    options = ["userxattr"] if user else ["index=off", "metacopy=off", "redirect_dir=off"]
    if root.volatile and root.upper:
        options.append("volatile")
    return options


def mount_overlay(root: OverlayRoot, target: str, *, user: bool, old_api: bool = False) -> None:
    """Mount ``root`` at the directory ``target``; ``user``: this is a user namespace of an ordinary user.

    A root without ``upper`` and with one lower is a read-only bind mount, as overlayfs wants two layers.
    """
    if root.upper is None and len(root.lowers) == 1:
        with opened(target) as target_fd:
            bind(root.lowers[0], target_fd, target, read_only=True, recursive=False)
        return
    if root.work:
        _forget_volatile(root.work)
    if not old_api:
        try:
            _overlay_by_fsconfig(root, target, user=user)
            return
        except OSError as error:
            # Kernels before 6.5 do not know "lowerdir+".
            if error.errno not in (errno.EINVAL, errno.ENOSYS):
                raise
    _overlay_by_mount(root, target, user=user)


def _forget_volatile(work: str) -> None:
    """A volatile mount leaves a mark that forbids the next one; here the next one starts where the last ended."""
    mark = f"{work}/work/incompat"
    for remove, path in ((os.unlink, f"{mark}/volatile/dirty"), (os.rmdir, f"{mark}/volatile"), (os.rmdir, mark)):
        try:
            remove(path)
        except FileNotFoundError:
            pass


def _overlay_by_fsconfig(root: OverlayRoot, target: str, *, user: bool) -> None:
    opened_paths: list[int] = []

    def short(path: str) -> str:
        # overlayfs takes a backslash in a path for an escape, in some of its options.
        if len(os.fsencode(path)) < _FSCONFIG_LIMIT and "\\" not in path:
            return path
        opened_paths.append(os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
        return f"/proc/self/fd/{opened_paths[-1]}"

    context = syscalls.fsopen("overlay")
    try:
        syscalls.fsconfig_string(context, "source", "overlay")
        for lower in reversed(root.lowers):
            syscalls.fsconfig_string(context, "lowerdir+", short(lower))
        if root.upper is not None and root.work is not None:
            syscalls.fsconfig_string(context, "upperdir", short(root.upper))
            syscalls.fsconfig_string(context, "workdir", short(root.work))
        for option in _overlay_options(root, user=user):
            key, _, value = option.partition("=")
            if value:
                syscalls.fsconfig_string(context, key, value)
            else:
                syscalls.fsconfig_flag(context, key)
        syscalls.fsconfig_create(context)
        with opened(target) as target_fd:
            attach(syscalls.fsmount(context), target_fd, target)
    finally:
        for fd in (context, *opened_paths):
            os.close(fd)


def _overlay_by_mount(root: OverlayRoot, target: str, *, user: bool) -> None:
    """mount(2) takes one page for all options: numbers of descriptors, seen from /proc/self/fd, keep it short."""
    flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
    before = os.open(".", flags)
    fds = [os.open(lower, flags) for lower in reversed(root.lowers)]
    options = ["lowerdir=" + ":".join(str(fd) for fd in fds)]
    if root.upper is not None and root.work is not None:
        for name, path in (("upperdir", root.upper), ("workdir", root.work)):
            fds.append(os.open(path, flags))
            options.append(f"{name}={fds[-1]}")
    options += _overlay_options(root, user=user)
    target_fd = os.open(target, flags)
    try:
        os.chdir("/proc/self/fd")
        syscalls.mount("overlay", str(target_fd), "overlay", 0, ",".join(options))
    finally:
        os.fchdir(before)
        for fd in (before, target_fd, *fds):
            os.close(fd)


class MountRecord:
    """One line of proc_pid_mountinfo(5)."""

    __slots__ = ("kind", "options", "source", "target")

    def __init__(self, line: str) -> None:
        left, _, right = line.partition(" - ")
        self.target = left.split()[4].encode().decode("unicode_escape")
        self.kind, self.source, self.options = [*right.split(maxsplit=2), "", "", ""][:3]


def mounts(pid: int | str = "self") -> tuple[MountRecord, ...]:
    """The mounts that process ``pid`` sees."""
    with open(f"/proc/{pid}/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
        return tuple(MountRecord(line) for line in lines)
