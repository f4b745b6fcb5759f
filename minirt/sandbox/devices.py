"""A container's /dev: docker's few devices, its terminals and shared memory, and the devices it was given.

The list of devices is what is bound into /dev. Outside of it nothing opens a device: see ``nodev`` in rootfs.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from minirt.errors import SandboxError
from minirt.linux import mounts, syscalls
from minirt.linux.cgroups import Group
from minirt.linux.namespaces import CLONE_NEWNS
from minirt.linux.paths import opened, write_new
from minirt.model.isolation import Device
from minirt.model.spec import SandboxSpec
from minirt.sandbox.doing import doing

if TYPE_CHECKING:
    from minirt.sandbox.rootfs import Builder

__all__ = ["fill_dev", "limited", "listed", "look_up", "set_sysctls"]

_DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
_DEVICE_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
    "core": "/proc/kcore",
}
_NO_SURPRISES = ("nosuid", "nodev", "noexec")
_TTY_GROUP = 5


def fill_dev(builder: Builder) -> str:
    """Everything in /dev. Returns a directory with the same nodes that the container cannot reach."""
    builder.new("tmpfs", "/dev", ("nosuid", "noexec", "mode=755", "size=64k", *builder.no_devices))
    nodes = _make_nodes(builder)
    with doing("fill /dev"), opened(f"{builder.root}/dev") as dev:
        for name, (major, minor) in _DEVICES.items():
            number = os.makedev(major, minor)
            _make_device(builder, dev, name, number, nodes)
        for name, target in _DEVICE_LINKS.items():
            if name == "core" and not os.path.exists("/proc/kcore"):
                continue
            os.symlink(target, name, dir_fd=dev)
    pts = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]
    if _has_group(builder, _TTY_GROUP):
        pts.append(f"gid={_TTY_GROUP}")
    builder.new("devpts", "/dev/pts", pts)
    _shared_memory(builder)
    if builder.user and "ipc" in builder.spec.namespaces.machine:
        # A new one would show queues that are not an ordinary user's to show; the machine may have none mounted.
        if os.path.isdir("/dev/mqueue"):
            with builder.at("/dev/mqueue") as fd:
                mounts.bind("/dev/mqueue", fd, "/dev/mqueue")
    else:
        builder.new("mqueue", "/dev/mqueue")
    for number, device in enumerate(builder.spec.devices):
        with doing(f"add the device {device.path}"):
            _add(builder, device, f"{nodes}/given-{number}")
    return nodes


def look_up(devices: tuple[Device, ...]) -> tuple[Device, ...]:
    """A directory stands for all devices in it. Raises ``OSError`` for what is not there, or is no device."""
    found: list[Device] = []
    for device in devices:
        mode = os.stat(device.path).st_mode
        if stat.S_ISDIR(mode):
            names = sorted(os.listdir(device.path))
            inside = (Device(f"{device.path}/{name}", f"{device.target}/{name}", device.access) for name in names)
            found += [one for one in inside if _is_device(os.stat(one.path).st_mode)]
        elif _is_device(mode):
            found.append(device)
        else:
            raise OSError(0, "not a device node", device.path)
    return tuple(found)


def limited(devices: tuple[Device, ...]) -> tuple[str, ...]:
    """What may not be done with them, as the devices controller of control groups wants it (``c 10:229 w``).

    Making nodes is not among it: a node that is made in a container opens nothing. Nor are the devices that every
    container has.
    """
    rules = []
    for device in devices:
        found = os.stat(device.path)
        number = os.major(found.st_rdev), os.minor(found.st_rdev)
        denied = "".join(letter for letter in "rw" if letter not in device.access)
        if denied and number not in _DEVICES.values():
            kind = "b" if stat.S_ISBLK(found.st_mode) else "c"
            rules.append(f"{kind} {number[0]}:{number[1]} {denied}")
    return tuple(rules)


def listed(spec: SandboxSpec, group: Group) -> tuple[str, ...]:
    """Docker's list of devices (moby, ``oci/defaults.go``) for who could mount without ``nodev``."""
    if "CAP_SYS_ADMIN" not in spec.process.capabilities or not group.tree.devices:
        return ()
    own = [f"c {major}:{minor} rwm" for major, minor in (*_DEVICES.values(), (5, 1), (5, 2))]
    given = []
    for device in spec.devices:
        found = os.stat(device.path)
        kind = "b" if stat.S_ISBLK(found.st_mode) else "c"
        given.append(f"{kind} {os.major(found.st_rdev)}:{os.minor(found.st_rdev)} {device.access}")
    return ("c *:* m", "b *:* m", *own, "c 136:* rwm", *given)


def set_sysctls(directory: str, wanted: Mapping[str, str]) -> None:
    """Settings of the container's own namespaces, while they can be written."""
    for name, value in wanted.items():
        # Interfaces may have a dot in their name: there a slash parts what a dot parts elsewhere (sysctl(8)).
        path = f"{directory}/{name.replace('.', '/')}"
        try:
            with open(path, "w", encoding="utf-8") as file:  # no other codec may be imported here
                file.write(value)
        except OSError as error:
            raise SandboxError(
                f"cannot set sysctl {name}={value}: {error.strerror}",
                hint="`sysctl -a` lists the names; net.* needs a network of the container's own.",
            ) from error


def _is_device(mode: int) -> bool:
    return stat.S_ISCHR(mode) or stat.S_ISBLK(mode)


def _make_nodes(builder: Builder) -> str:
    """A directory with device nodes: the machine's for an ordinary user, who can make none, else our own ones,
    so that whatever is done to them stays here.
    """
    if builder.user:
        return "/dev"
    nodes = f"{builder.files}/dev"
    os.mkdir(nodes)
    with doing("make device nodes"), opened(nodes) as fd:
        mounts.mount_new("tmpfs", fd, nodes, ("nosuid", "noexec", "mode=755", "size=64k"))
    return nodes


def _make_device(builder: Builder, dev: int, name: str, number: int, nodes: str) -> None:
    if not builder.user:
        os.mknod(f"{nodes}/{name}", 0o666 | stat.S_IFCHR, number)
        os.chmod(f"{nodes}/{name}", 0o666)
    write_new(dev, name, b"")
    with opened(name, dir_fd=dev) as fd:
        mounts.bind(f"{nodes}/{name}", fd, f"/dev/{name}", recursive=False)


def _add(builder: Builder, device: Device, node: str) -> None:
    """One more device: as root a node of our own with the mode and owner of the machine's, else the machine's."""
    source = device.path
    if not builder.user:
        found = os.stat(device.path)
        os.mknod(node, found.st_mode, found.st_rdev)
        os.chown(node, found.st_uid, found.st_gid)
        os.chmod(node, stat.S_IMODE(found.st_mode))
        source = node
    with builder.at(device.target, directory=False) as fd:
        builder.check_place(fd, device.target)
        mounts.bind(source, fd, device.target, recursive=False)


def _has_group(builder: Builder, gid: int) -> bool:
    maps = builder.spec.gid_map
    return not maps or any(entry.inside <= gid < entry.inside + entry.count for entry in maps)


def _shared_memory(builder: Builder) -> None:
    """/dev/shm belongs to System V's and POSIX's shared memory: who shares the one shares the other."""
    spaces = builder.spec.namespaces
    if spaces.own("ipc"):
        if builder.spec.shm_size:
            builder.new("tmpfs", "/dev/shm", (*_NO_SURPRISES, "mode=1777", f"size={builder.spec.shm_size}"))
        return
    with doing("share /dev/shm"), builder.at("/dev/shm") as fd:
        if "ipc" in spaces.machine:
            mounts.bind("/dev/shm", fd, "/dev/shm")
            return
        assert builder.peer is not None
        with _inside(builder.peer):
            detached = syscalls.open_tree("/dev/shm")
        mounts.attach(detached, fd, "/dev/shm")


@contextmanager
def _inside(namespace: int) -> Iterator[None]:
    """For a moment in the mount namespace of another container; files found there are its own."""
    own = os.open("/proc/thread-self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    syscalls.setns(namespace, CLONE_NEWNS)
    try:
        yield
    finally:
        syscalls.setns(own, CLONE_NEWNS)
        os.close(own)
