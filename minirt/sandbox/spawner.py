"""The spawner: a small process with one thread that forks a child for every request of the engine.

Python may run in a child only if its parent had one thread; a Jupyter kernel has many. So the engine starts this
program once, and from then on a container costs a fork and not an interpreter's start. It holds no state: killing
it loses nothing but the requests not yet taken up.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
from pathlib import Path
from typing import Any, NoReturn

from minirt.errors import SandboxError, Unsupported
from minirt.linux import caps, seccomp
from minirt.linux.namespaces import enter_user_namespace
from minirt.linux.processes import boot_id, name_process
from minirt.model.spec import DEFAULT_CAPABILITIES, IdMapping
from minirt.sandbox.joiner import run_joiner
from minirt.sandbox.monitor import run_monitor
from minirt.sandbox.user_namespace import home_user_namespace
from minirt.sandbox.wire import Channel, error_to_json
from minirt.sandbox.worker import run_worker

__all__ = ["main"]


class _Spawner:
    def __init__(self, settings: dict[str, Any]) -> None:
        self.sock = socket.socket(fileno=settings["socket"])
        self.maps = tuple(tuple(IdMapping(*entry) for entry in settings[key]) for key in ("uid_map", "gid_map"))
        self.home = Path(settings["home"])
        self.spare: socket.socket | None = None
        self.user_namespace: int | None = None
        self.refused: OSError | None = None

    def make_user_namespace(self) -> None:
        """All containers of an ordinary user's home share one user namespace, made once: mapping ids takes a few ms."""
        if not self.maps[0]:
            return
        try:
            self.user_namespace = home_user_namespace(self.home, self.maps)
        except OSError as error:
            self.refused = error

    def serve(self) -> None:
        """Fork for every request until the engine closes its end."""
        self._make_spare()
        while self._serve_one():
            self._make_spare()

    def load(self, modules: list[str]) -> None:
        """Import what workers usually need, so that they need not: in the time that nobody asks for anything."""
        for module in modules:
            while select.select([self.sock], [], [], 0)[0]:
                if not self._serve_one():
                    os._exit(0)
            try:
                importlib.import_module(module)
            except ImportError:
                pass  # the call that needs it will say so

    def _serve_one(self) -> bool:
        """False when the engine has closed its end."""
        channel = Channel.take_over(self.sock)
        if channel is None:
            return False
        if not self._give_to_spare(channel) and os.fork() == 0:
            self._be_child()
            self._child(channel)
        channel.close()
        return True

    def _make_spare(self) -> None:
        """Fork the next request's child before that request comes: a fork is a good part of what a start takes."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            pid = os.fork()
        except OSError:  # too many processes at the moment: the next request forks for itself
            ours.close()
            theirs.close()
            return
        if pid == 0:
            ours.close()
            self._be_child()
            # It ends with the spawner, whose end of the pair closes then.
            channel = Channel.take_over(theirs)
            theirs.close()
            if channel is None:
                os._exit(0)
            self._child(channel)
        theirs.close()
        self.spare = ours

    def _give_to_spare(self, channel: Channel) -> bool:
        spare, self.spare = self.spare, None
        if spare is None:
            return False
        with spare:
            try:
                channel.hand_over(spare)
            except OSError:
                return False  # it was killed
        return True

    def _be_child(self) -> None:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        self.sock.close()

    def _child(self, channel: Channel) -> NoReturn:
        try:
            message = channel.receive()
            if message is not None:
                self._run(channel, *message)
        except BaseException as error:
            try:
                channel.send({"error": error_to_json(error)})
            except OSError:
                pass
        finally:
            os._exit(1)

    def _run(self, channel: Channel, request: dict[str, Any], fds: list[int]) -> None:
        if request["do"] == "exec":
            run_joiner(channel, request, fds)
        user = bool(self.maps[0])
        # Work inside a running container needs that container's user namespace, which may be another engine's.
        if user and request.get("inside") is None:
            self._enter()
        if request["do"] == "start":
            run_monitor(channel, request, fds, user=user)
        elif request["do"] == "call":
            run_worker(channel, request, fds, user=user)
        else:
            raise SandboxError(f"unknown request {request['do']!r}")

    def _enter(self) -> None:
        if self.user_namespace is None:
            assert self.refused is not None
            raise Unsupported(
                "this machine lets an ordinary user create no user namespace",
                cause=f"{self.refused.filename or 'clone'}: {self.refused.strerror}",
                hint="run as root, or see `docker info` for what would have to change",
            )
        enter_user_namespace(self.user_namespace)
        os.close(self.user_namespace)


def main() -> None:
    """The program; ``argv[1]`` holds its settings as JSON."""
    settings = json.loads(sys.argv[1])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    name_process("minirt-spawner")
    spawner = _Spawner(settings)
    spawner.make_user_namespace()
    # Worked out once, for all children to find.
    caps.last_capability()
    boot_id()
    for single in (False, True):
        seccomp.build_filter(caps.mask_of(DEFAULT_CAPABILITIES), fake_ids=single)
    # The kernel reaps the children: nobody here waits for them.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    # Pages that the collector never touches stay shared between parent and children.
    gc.disable()
    spawner.load(settings["preload"])
    gc.collect()
    gc.freeze()
    spawner.serve()
