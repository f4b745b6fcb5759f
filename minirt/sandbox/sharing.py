"""Namespaces that a container shares: with the machine (``--pid host``), or with another container."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from typing import Self

from minirt.errors import ContainerNotRunning, SandboxError
from minirt.linux import namespaces as ns
from minirt.linux.processes import open_process, stand_in
from minirt.linux.syscalls import setns
from minirt.model.spec import SandboxSpec

__all__ = ["Company", "join_peers", "new_namespaces"]

_FLAGS = {"pid": ns.CLONE_NEWPID, "ipc": ns.CLONE_NEWIPC, "uts": ns.CLONE_NEWUTS, "cgroup": ns.CLONE_NEWCGROUP}
_PATIENCE = 2.0  # seconds for killed processes to be gone


def new_namespaces(spec: SandboxSpec) -> int:
    """``CLONE_NEW*`` of those that are its own. The one of control groups is made later where it has a group."""
    flags = ns.CLONE_NEWNS
    for kind, flag in _FLAGS.items():
        if spec.namespaces.own(kind) and not (kind == "cgroup" and spec.cgroup):
            flags |= flag
    return flags


def join_peers(spec: SandboxSpec) -> int | None:
    """Enter the namespaces of other containers: the next child of this process is in them.

    Returns the mount namespace of the one whose memory is shared, as a descriptor, for its /dev/shm.
    Raises :class:`ContainerNotRunning`, :class:`SandboxError`.
    """
    mount_namespace = None
    for kind, peer in spec.namespaces.peers.items():
        pidfd = open_process(peer.pid, peer.start_time)
        if pidfd is None:
            raise ContainerNotRunning(f"cannot join the {kind.upper()} of a container that is not running: {peer.name}")
        try:
            if kind == "ipc":
                mount_namespace = os.open(f"/proc/{stand_in(peer.pid)}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
            setns(pidfd, _FLAGS[kind])
        except OSError as error:
            raise SandboxError(
                f"cannot join the {kind.upper()} of container {peer.name}",
                cause=f"{error.strerror}: that container has a user namespace of its own",
            ) from error
        finally:
            os.close(pidfd)
    return mount_namespace


@dataclass(frozen=True, slots=True)
class Company:
    """The processes of a container without a pid namespace of its own: no kernel ends them with the first one.

    They are told by their mount namespace, which is always the container's own.
    """

    space: int

    @classmethod
    def of(cls, pid: int) -> Self:
        return cls(os.stat(f"/proc/{stand_in(pid)}/ns/mnt").st_ino)

    def members(self) -> list[int]:
        found = []
        for name in os.listdir("/proc"):
            with contextlib.suppress(OSError):
                if name.isdigit() and os.stat(f"/proc/{name}/ns/mnt").st_ino == self.space:
                    found.append(int(name))
        return found

    def end(self) -> None:
        """Kill all that are left, also those that are forked meanwhile."""
        deadline = time.monotonic() + _PATIENCE
        while (left := self.members()) and time.monotonic() < deadline:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.005)
