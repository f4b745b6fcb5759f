"""How deletions and owners look on a disk: a type for each form, chosen once by whoever knows the machine.

In a layer's tar, a deleted path is an empty file ``.wh.<name>``, and ``.wh..wh..opq`` in a directory hides everything
below it (OCI image-spec, layer.md, "Whiteouts"). On a disk the same is said in other ways:

* overlayfs: a character device 0:0 for a deleted path, and the extended attribute ``<prefix>.overlay.opaque`` = ``y``
  on a directory. The prefix is ``trusted`` for a mount made by root and ``user`` for one with ``userxattr``
  (kernel, Documentation/filesystems/overlayfs.rst).
* a plain tree: nothing; the deleted path is simply not there.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import ClassVar

from minirt.errors import InvalidSpec

__all__ = [
    "OVERRIDE_STAT",
    "OverlayTrusted",
    "OverlayUser",
    "Owners",
    "Plain",
    "RealOwners",
    "SideOwners",
    "WhiteoutStyle",
    "is_private_xattr",
    "is_whiteout_device",
    "is_whiteout_mark",
    "make_whiteout",
    "owners_named",
    "style_named",
]

# The name that podman and fuse-overlayfs use for the same purpose; the value is "uid:gid:0mode".
OVERRIDE_STAT = "user.containers.override_stat"

# Not part of a file as its owner knows it: labels of this machine, and overlayfs' own notes.
_PRIVATE = ("trusted.overlay.", "user.overlay.")
_OF_THIS_MACHINE = ("security.selinux", "security.ima", "security.evm", "system.nfs4_acl", OVERRIDE_STAT)


@dataclass(frozen=True, slots=True)
class OverlayTrusted:
    """The upper or lower directory of an overlay mount made by root."""

    name: ClassVar[str] = "overlay-trusted"
    prefix: ClassVar[str] = "trusted.overlay."


@dataclass(frozen=True, slots=True)
class OverlayUser:
    """The upper or lower directory of an overlay mount made in a user namespace (option ``userxattr``)."""

    name: ClassVar[str] = "overlay-user"
    prefix: ClassVar[str] = "user.overlay."


@dataclass(frozen=True, slots=True)
class Plain:
    """A whole tree: applying a whiteout removes the path."""

    name: ClassVar[str] = "plain"


WhiteoutStyle = OverlayTrusted | OverlayUser | Plain


@dataclass(frozen=True, slots=True)
class RealOwners:
    """Files belong to the ids that the layer names."""

    name: ClassVar[str] = "real"


@dataclass(frozen=True, slots=True)
class SideOwners:
    """Files all belong to one id; other owners are noted in an extended attribute beside the file.

    For a user namespace with a single id, where ``chown`` to any other fails with EINVAL. Only files and directories
    can carry the note (the kernel refuses ``user.`` attributes elsewhere): links and pipes become root's.
    """

    name: ClassVar[str] = "side"


Owners = RealOwners | SideOwners


def style_named(name: str) -> WhiteoutStyle:
    """A style from its ``name``, as it crosses a socket. Raises :class:`InvalidSpec`."""
    for cls in (OverlayTrusted, OverlayUser, Plain):
        if cls.name == name:
            return cls()
    raise InvalidSpec(f"unknown whiteout style {name!r}")


def owners_named(name: str) -> Owners:
    """Owners from their ``name``. Raises :class:`InvalidSpec`."""
    for cls in (RealOwners, SideOwners):
        if cls.name == name:
            return cls()
    raise InvalidSpec(f"unknown kind of owners {name!r}")


def is_whiteout_device(status: os.stat_result) -> bool:
    """Whether overlayfs takes this file for a whiteout."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def make_whiteout(name: str, directory: int) -> None:
    """Mark ``name`` in an unpacked layer as deleted: the device that overlayfs reads.

    Upon an overlayfs, as in a container of docker, the kernel refuses it (EPERM), though it lets anybody make one
    elsewhere. There the mark is a socket: nothing else in a layer can be one, as a tar cannot hold it, and no overlayfs
    that would have to understand the mark can be mounted upon another.
    """
    try:
        os.mknod(name, stat.S_IFCHR, 0, dir_fd=directory)
    except PermissionError:
        os.mknod(name, stat.S_IFSOCK, dir_fd=directory)


def is_whiteout_mark(status: os.stat_result) -> bool:
    """Whether this entry of an unpacked layer is what :func:`make_whiteout` made."""
    return is_whiteout_device(status) or stat.S_ISSOCK(status.st_mode)


def is_private_xattr(name: str) -> bool:
    """Whether an attribute must not travel in a layer, in either direction.

    Inwards too: a layer that could set ``trusted.overlay.redirect`` would choose which directory overlayfs shows.
    """
    return name.startswith(_PRIVATE) or name in _OF_THIS_MACHINE
