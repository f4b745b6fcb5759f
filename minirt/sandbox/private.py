"""A container that root starts in a user namespace of its own (``--userns private``): its root is nobody outside.

On the disk its files keep the owners that they have in the container. In between stand id-mapped mounts (kernel 5.12,
mount_setattr(2), ``MOUNT_ATTR_IDMAP``): of the layers, the storage layer and the volumes. Directories of the machine
(``-v /dir:/x``) are shown as they are, and what root owns there is out of the container's reach.

Three processes take part. The monitor stays outside. A step in between mounts what only the machine's root may, enters
the user namespace, and clones the container's first process, which is the monitor's child.
"""

from __future__ import annotations

import errno
import os
import signal
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NoReturn

from minirt.errors import SandboxError
from minirt.linux import mounts, syscalls
from minirt.linux.namespaces import CLONE_NEWNS, enter_user_namespace
from minirt.linux.paths import opened
from minirt.model.spec import BindMount, OverlayRoot, SandboxSpec
from minirt.sandbox.doing import doing
from minirt.sandbox.rootfs import Given, prepare_staging
from minirt.sandbox.wire import Channel, error_to_json

__all__ = ["clone_private", "staging_for"]

_CLONE_PARENT = 0x00008000
_PLACES = ("/tmp", "/mnt", "/run", "/var")
_PR_SET_SECUREBITS, _NO_SETUID_FIXUP = 28, 4
_WORD = struct.Struct("=i")


def staging_for() -> str:
    """Where the container's first process can build its root: it may not enter the directories of root's home."""
    return next(place for place in _PLACES if os.path.isdir(place))


def clone_private(
    spec: SandboxSpec,
    user_namespace: int,
    flags: int,
    mount_point: str,
    status: Channel,
    begin: Callable[[Given], NoReturn],
) -> int:
    """The process id of the container's first process, a child of this one, which does ``begin``.

    0 when nothing was started: what went wrong is then told over ``status``.
    """
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    step = os.fork()
    if step == 0:
        try:
            os.close(read_end)
            given = _prepare(spec, user_namespace, mount_point)
            enter_user_namespace(user_namespace)
            with doing("create the container's namespaces", "see `docker info` for what this machine allows"):
                pid = syscalls.clone(flags | _CLONE_PARENT | signal.SIGCHLD)
            if pid == 0:
                os.close(write_end)
                begin(given)
            os.write(write_end, _WORD.pack(pid))
        except BaseException as error:
            status.send({"error": error_to_json(error)})
        os._exit(0)
    os.close(write_end)
    with open(read_end, "rb") as answer:
        word = answer.read(_WORD.size)
    os.waitpid(step, 0)
    return int(_WORD.unpack(word)[0]) if word else 0


@contextmanager
def _as_owner(uid: int, gid: int) -> Iterator[None]:
    """Be the container's root to file systems, with all rights of the machine's.

    overlayfs works on its directories as whoever mounted it, and the mapped ones do not know the machine's root.
    """
    syscalls.prctl(_PR_SET_SECUREBITS, _NO_SETUID_FIXUP)
    syscalls.set_file_ids(uid, gid)
    try:
        yield
    finally:
        syscalls.set_file_ids(0, 0)
        syscalls.prctl(_PR_SET_SECUREBITS, 0)


def _prepare(spec: SandboxSpec, user_namespace: int, mount_point: str) -> Given:
    """The root, and what is bound into it, as mounts that hang nowhere yet. Nothing else sees this namespace."""
    if not isinstance(spec.root, OverlayRoot) or spec.root.upper is None:
        raise SandboxError("--userns private needs the overlay snapshotter", hint="Unset MINIRT_SNAPSHOTTER.")
    with doing("prepare the container's mount namespace"):
        syscalls.unshare(CLONE_NEWNS)
        mounts.make_private()
        root = prepare_staging(mount_point)
    mapper = _Mapper(user_namespace, f"{mount_point}/files")
    with doing("map the ids of the layers", _CURE):
        mapped = OverlayRoot(
            tuple(mapper.path(lower) for lower in spec.root.lowers),
            mapper.path(spec.root.upper),
            mapper.path(spec.root.work or ""),
        )
    with doing("mount the container's root file system"):
        with _as_owner(spec.uid_map[0].outside, spec.gid_map[0].outside):
            mounts.mount_overlay(mapped, root, user=False)
        mounts.restrict(root, mounts.MOUNT_ATTR_NODEV)
        root_fd = syscalls.open_tree(root, recursive=False)
    given = Given(root_fd, os.open(spec.root.upper, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
    volumes = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(spec.root.upper))), "volumes", "")
    for mount in spec.mounts:
        if isinstance(mount, BindMount):
            own = user_namespace if mount.source.startswith(volumes) else None
            with doing(f"map the ids of {mount.source}", _CURE):
                given.binds[mount.target] = _detached(mount, own), os.path.isdir(mount.source)
    return given


_CURE = "the file system of MINIRT_HOME must support id-mapped mounts: ext4, xfs, btrfs and others do"


def _detached(mount: BindMount, user_namespace: int | None) -> int:
    fd = syscalls.open_tree(mount.source, recursive=mount.recursive and user_namespace is None)
    below = mounts.MOUNT_ATTR_RDONLY if mount.read_only and not mount.writable_below else 0
    recursive = mount.recursive and user_namespace is None
    syscalls.mount_setattr(fd, add=mounts.MOUNT_ATTR_NODEV | below, recursive=recursive, id_map=user_namespace)
    if mount.read_only and mount.writable_below:
        syscalls.mount_setattr(fd, add=mounts.MOUNT_ATTR_RDONLY)
    return fd


@dataclass(slots=True)
class _Mapper:
    """Shows directories of the machine with the container's ids. Layers lie side by side: one mount serves all."""

    user_namespace: int
    staging: str
    _places: dict[str, str] = field(default_factory=dict)

    def path(self, path: str) -> str:
        parent, rest = _split(path)
        if parent not in self._places:
            place = f"{self.staging}/ids-{len(self._places)}"
            os.mkdir(place)
            fd = syscalls.open_tree(parent, recursive=False)
            try:
                syscalls.mount_setattr(fd, id_map=self.user_namespace)
            except OSError as error:
                if error.errno == errno.EINVAL:
                    raise OSError(error.errno, "the file system cannot map ids", parent) from None
                raise
            with opened(place) as target:
                mounts.attach(fd, target, place)
            self._places[parent] = place
        return f"{self._places[parent]}/{rest}"


def _split(path: str) -> tuple[str, str]:
    """``layers/<diff id>/diff`` in what all layers have in common and the rest; the container's own likewise."""
    above, last = os.path.split(path)
    if last == "diff":
        common, middle = os.path.split(above)
        return common, f"{middle}/{last}"
    return above, last
