"""Namespaces: their flags, entering them, and the user namespace that gives an ordinary user a root of his own."""

from __future__ import annotations

import fcntl
import os
import signal

from minirt.linux.idmap import write_maps
from minirt.linux.syscalls import clone, prctl, setns, unshare
from minirt.model.spec import IdMapping

__all__ = [
    "CLONE_NEWCGROUP",
    "CLONE_NEWIPC",
    "CLONE_NEWNET",
    "CLONE_NEWNS",
    "CLONE_NEWPID",
    "CLONE_NEWUSER",
    "CLONE_NEWUTS",
    "enter_user_namespace",
    "make_user_namespace",
    "owner_of_mounts",
    "rename_only_id",
    "same_namespace",
]

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_NS_GET_USERNS = 0xB701  # ioctl_ns(2)


def make_user_namespace(uid_map: tuple[IdMapping, ...], gid_map: tuple[IdMapping, ...]) -> int:
    """A new user namespace with these maps, as a descriptor that keeps it alive.

    Made by a child that waits while its parent writes the maps: ``newuidmap`` refuses to serve the one inside.
    Raises ``OSError`` (EPERM, ENOSPC: user namespaces are not allowed here).
    """
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    pid = clone(CLONE_NEWUSER | signal.SIGCHLD)
    if pid == 0:
        try:
            os.close(write_end)
            prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            os.read(read_end, 1)
        finally:
            os._exit(0)
    try:
        os.close(read_end)
        write_maps(pid, uid_map, gid_map)
        return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(write_end)
        os.waitpid(pid, 0)


_network_owner: int | None = None


def own_networks_by(user_namespace: int) -> None:
    """Let the network namespaces that this process makes from now on belong to ``user_namespace`` (a descriptor)."""
    global _network_owner
    _network_owner = user_namespace


def unshare_network() -> None:
    """Step into a fresh network namespace. Who has rights in it depends on the user namespace it is made in."""
    if _network_owner is None:
        unshare(CLONE_NEWNET)
        return
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    answers, tells = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        try:
            os.close(write_end)
            enter_user_namespace(_network_owner)
            unshare(CLONE_NEWNET)
            os.write(tells, b"1")
            os.read(read_end, 1)
        finally:
            os._exit(0)
    os.close(tells)
    try:
        if not os.read(answers, 1):
            raise OSError(1, "no network namespace can be made in the container's user namespace")
        made = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            setns(made, CLONE_NEWNET)
        finally:
            os.close(made)
    finally:
        for fd in (read_end, write_end, answers):
            os.close(fd)
        os.waitpid(pid, 0)


def enter_user_namespace(fd: int) -> None:
    """Become id 0 with all capabilities inside the user namespace ``fd``; the ids outside stay what they are."""
    setns(fd, CLONE_NEWUSER)
    # The change of credentials took /proc/self away from us.
    prctl(_PR_SET_DUMPABLE, 1)
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    prctl(_PR_SET_DUMPABLE, 1)


def rename_only_id(uid: int, gid: int) -> None:
    """Where there is one id only, give it another name for this process: a user namespace inside the one it is in.

    The namespaces around it still belong to the outer one, and so do the capabilities over them.
    """
    unshare(CLONE_NEWUSER)
    prctl(_PR_SET_DUMPABLE, 1)
    for name, text in (("uid_map", f"{uid} 0 1"), ("setgroups", "deny"), ("gid_map", f"{gid} 0 1")):
        with open(f"/proc/self/{name}", "w", encoding="utf-8") as file:
            file.write(text)


def owner_of_mounts(pid: int) -> int:
    """The user namespace, as a descriptor, that the mount namespace of ``pid`` belongs to.

    It is the one that the container was made in, even if the process went on into another.
    """
    mounts = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return fcntl.ioctl(mounts, _NS_GET_USERNS)
    finally:
        os.close(mounts)


def same_namespace(pid: int, kind: str) -> bool:
    """Whether process ``pid`` shares this process's namespace of that kind (a name in ``/proc/self/ns``)."""
    return os.stat(f"/proc/{pid}/ns/{kind}").st_ino == os.stat(f"/proc/self/ns/{kind}").st_ino
