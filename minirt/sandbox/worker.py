"""Work on files, done where a container would see them: a function called in a child of the spawner."""

from __future__ import annotations

import gc
import importlib
import os
import queue
import signal
import threading
from typing import Any, NoReturn

from minirt.errors import ContainerNotRunning, Unsupported
from minirt.linux import mounts
from minirt.linux.namespaces import CLONE_NEWNS, enter_user_namespace, owner_of_mounts
from minirt.linux.processes import is_alive, name_process, open_process
from minirt.linux.syscalls import unshare
from minirt.model.spec import TreeRoot
from minirt.sandbox.doing import doing
from minirt.sandbox.rootfs import mount_root, prepare_staging
from minirt.sandbox.running_guest import enter_traced
from minirt.sandbox.wire import Channel, error_to_json, root_from_json

__all__ = ["enter_user_of", "run_worker"]


def run_worker(channel: Channel, request: dict[str, Any], fds: list[int], *, user: bool) -> NoReturn:
    """Serve one ``call`` request: mount, call, answer, end. With ``stay``, serve those that follow, until one fails."""
    name_process("minirt-worker")
    more: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    try:
        root_dir = _find_root(request) if request.get("tracer", "") else _mount_root(request, user=user)
        # From here on threads are harmless: the namespaces are what they will be.
        threading.Thread(target=_die_with_client, args=(channel, more), daemon=True).start()
        gc.enable()
        while True:
            answer = {"result": _called(request, root_dir, fds)}
            if not request.get("stay"):
                break
            channel.send(answer)
            request = more.get()
    except BaseException as error:
        answer = {"error": error_to_json(error)}
    try:
        channel.send(answer)
    except OSError:
        pass
    os._exit(0)


def _called(request: dict[str, Any], root_dir: str | None, fds: list[int]) -> Any:
    module, _, name = request["function"].partition(":")
    return getattr(importlib.import_module(module), name)(request["arguments"], root_dir, fds)


def _mount_root(request: dict[str, Any], *, user: bool) -> str | None:
    root_dir = None
    if request.get("inside") is not None:
        root_dir = enter_user_of(*request["inside"])
    with doing("create a mount namespace"):
        unshare(CLONE_NEWNS)
        mounts.make_private()
    if request["root"] is not None:
        with doing("mount the root file system"):
            root_dir = prepare_staging(request["mount_point"])
            mount_root(root_from_json(request["root"]), root_dir, user=user)
    return root_dir


def _find_root(request: dict[str, Any]) -> str | None:
    """Where nothing may be mounted, the root is a directory, and is worked on where it lies."""
    if request.get("inside") is not None:
        return enter_traced(*request["inside"])
    if request["root"] is None:
        return None
    root = root_from_json(request["root"])
    if not isinstance(root, TreeRoot):
        raise Unsupported("overlayfs cannot be mounted here", hint="use the copy snapshotter: MINIRT_SNAPSHOTTER=copy")
    return root.path


def enter_user_of(pid: int, started: int) -> str:
    """Take the ids of a running container, and open what it sees as ``/``: a path that leads there.

    Raises :class:`ContainerNotRunning`. Its mount namespace is not entered: no module may come from its files.
    """
    pidfd = open_process(pid, started)
    if pidfd is None:
        raise ContainerNotRunning("the container is not running")
    with doing("join the container"):
        owner = owner_of_mounts(pid)
        if os.fstat(owner).st_ino != os.stat("/proc/self/ns/user").st_ino:
            enter_user_namespace(owner)
        os.close(owner)
        root = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    if not is_alive(pid, started):
        raise ContainerNotRunning("the container is not running")
    os.close(pidfd)
    return f"/proc/self/fd/{root}"


def _die_with_client(channel: Channel, more: queue.SimpleQueue[dict[str, Any]]) -> None:
    # What arrives is another call for one that stays, or the client's end, or its wish that this ends.
    while (message := channel.receive()) is not None and message[0].get("stay"):
        more.put(message[0])
    # The spawner made this process the leader of its session and group: what it started ends, too.
    os.killpg(0, signal.SIGKILL)
