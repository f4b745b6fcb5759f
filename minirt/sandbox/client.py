"""The engine's side: ask the spawner, which is started when it is first needed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from minirt.errors import SandboxError, SpawnerLost, Unsupported
from minirt.linux.cgroup_limits import needed
from minirt.linux.cgroup_moves import begin_moves
from minirt.linux.machine import Machine
from minirt.model.cancel import Cancel
from minirt.model.spec import Process, RootFilesystem, SandboxSpec, spec_to_json
from minirt.sandbox.residents import Residents
from minirt.sandbox.running import Running, receive_or_cancel
from minirt.sandbox.wire import Channel, error_from_json, process_to_json, root_to_json

__all__ = ["Sandbox"]

# What workers usually need; a name that does not exist yet would stop the spawner.
PRELOAD: tuple[str, ...] = ()
_PROGRAM = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1])['path']; from minirt.sandbox.spawner import main; main()"
)


class Sandbox:
    """Starts containers, and calls functions where a container would see the files.

    Any number of threads may use one ``Sandbox`` at once. ``preload`` names modules that the spawner imports once,
    so that :meth:`call` need not.
    """

    def __init__(self, machine: Machine, home: Path, *, preload: Sequence[str] = PRELOAD) -> None:
        self.machine = machine
        self.home = home
        self._mount_point = str(home.absolute() / "cache" / "mount")
        self._preload = tuple(preload)
        # Where namespaces are not allowed, this program stands in for them.
        self._tracer = shutil.which("proot") or "proot" if machine.isolation != "namespaces" else ""
        self._lock = threading.Lock()
        self._spawner: _SpawnerProcess | None = None
        self._residents = Residents()

    def warm(self) -> None:
        """Start the spawner now rather than with the first request."""
        self._live_spawner()

    def close(self) -> None:
        """End the spawner. Containers run on, except those tied to a client."""
        self._residents.close()
        with self._lock:
            if self._spawner is not None:
                self._spawner.close()
                self._spawner = None

    def start(
        self,
        spec: SandboxSpec,
        *,
        stdin: int | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
        cancel: Cancel | None = None,
    ) -> Running:
        """Start a container and return as soon as its program runs.

        The descriptors are the caller's and stay his; None is ``/dev/null``. With a terminal, the container's
        output comes on ``stdout`` alone. Raises :class:`CommandNotFound`, :class:`CommandNotExecutable`,
        :class:`SandboxError` with the step that failed, :class:`SpawnerLost`, :class:`Unsupported`.
        """
        self.machine.check_isolation()
        maps = (self.machine.uid_map, self.machine.gid_map)
        if (spec.uid_map, spec.gid_map) not in (maps, ((), ())) and not spec.private_ids:
            raise Unsupported("containers of one engine share one user namespace, with the machine's id maps")
        if needed(spec.resources) and not spec.cgroup:
            raise Unsupported("limits need a control group", hint="see `docker info` for what this machine allows")
        if not spec.private_ids:
            spec = replace(spec, uid_map=maps[0], gid_map=maps[1])
        request = {
            "do": "start", "spec": spec_to_json(spec), "mount_point": self._mount_point, "tracer": self._tracer
        }  # fmt: skip
        tied = spec.lifetime.state_dir is None
        return self._begin(spec.id, request, (stdin, stdout, stderr), cancel, tied=tied)

    def exec(
        self,
        pid: int,
        start_time: int,
        process: Process,
        *,
        name: str = "",
        privileged: bool = False,
        cgroup: str = "",
        stdin: int | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
        detach: bool = False,
        noted: tuple[str, str] | None = None,
        cancel: Cancel | None = None,
    ) -> Running:
        """Run a second program in the container whose PID 1 is this very process of the machine.

        With ``cgroup`` it is put into that control group. It ends with the container, and unless ``detach`` also with
        this client. ``noted``: the container's directory, and an id under which the journal is told of the end. Raises
        :class:`ContainerNotRunning` if that process is gone, otherwise as :meth:`start`.
        """
        request = {
            "do": "exec",
            "id": name or str(pid),
            "pid": pid,
            "start_time": start_time,
            "process": process_to_json(process),
            "privileged": privileged,
            "cgroup": cgroup,
            "tied": not detach,
            "tracer": self._tracer,
            "noted": None if noted is None else list(noted),
        }
        return self._begin(name or str(pid), request, (stdin, stdout, stderr), cancel, tied=not detach)

    def call(
        self,
        function: str,
        arguments: dict[str, Any],
        *,
        root: RootFilesystem | None = None,
        inside: tuple[int, int] | None = None,
        fds: Sequence[int] = (),
        cancel: Cancel | None = None,
        again: bool = False,
    ) -> Any:
        """Run ``module:function(arguments, root_dir, fds)`` in a child process and return its JSON answer.

        The child sees the files with the ids a container would see, as id 0; ``root`` is mounted for it alone at
        ``root_dir``. With ``inside`` (process id and start time of a running container's PID 1) ``root_dir`` is what
        that container sees as ``/``, its mounts included; raises :class:`ContainerNotRunning` if it is gone. A
        :class:`MinirtError` or ``OSError`` raised there is raised here. Raising ``cancel`` kills the child.

        ``again`` promises that the function leaves its process as it found it: then, within :meth:`keeping`, the
        child may be one that served before.
        """
        request = {
            "do": "call",
            "function": function,
            "arguments": arguments,
            "root": None if root is None else root_to_json(root),
            "mount_point": self._mount_point,
            "tracer": self._tracer,
            "inside": None if inside is None else list(inside),
        }
        if again and root is None and inside is None and not fds and self._residents.wanted:
            return self._call_resident(request, cancel)
        channel = self._send(request, fds)
        try:
            body = self._answer(channel, cancel)
        finally:
            channel.close()
        return body["result"]

    @contextlib.contextmanager
    def keeping(self) -> Iterator[None]:
        """Meanwhile, calls with ``again`` keep their workers for the next: a fork less for each of many small ones."""
        self._residents.want()
        try:
            yield
        finally:
            self._residents.unwant()

    def _call_resident(self, request: dict[str, Any], cancel: Cancel | None) -> Any:
        request["stay"] = True
        channel = self._residents.take(request) or self._send(request, ())
        try:
            result = self._answer(channel, cancel)["result"]
        except BaseException:
            channel.close()
            raise
        self._residents.give_back(channel)
        return result

    def _begin(
        self, name: str, request: dict[str, Any], stdio: tuple[int | None, ...], cancel: Cancel | None, *, tied: bool
    ) -> Running:
        given = [fd for fd in stdio if fd is not None]
        indexes = iter(range(len(given)))
        request["stdio"] = [None if fd is None else next(indexes) for fd in stdio]
        channel = self._send(request, given)
        if request.get("cgroup") or request.get("spec", {}).get("cgroup"):
            self._hurry_move()
        try:
            started = self._answer(channel, cancel)["started"]
        except BaseException:
            # Given up before it was known to run: then it shall not run, whatever its lifetime.
            with contextlib.suppress(OSError):
                channel.send({"kill": signal.SIGKILL})
            channel.close()
            raise
        return Running(name, started["pid"], started["start_time"], channel, tied=tied)

    def _hurry_move(self) -> None:
        """While the child is set up, have the kernel over with what its move into a control group waits for."""
        spawner = self._spawner
        if self.machine.root and spawner is not None:
            threading.Thread(target=begin_moves, args=(spawner.process.pid,), daemon=True).start()

    def _send(self, request: dict[str, Any], fds: Sequence[int]) -> Channel:
        ours, theirs = Channel.pair()
        try:
            try:
                self._live_spawner().hand_over(theirs)
            except OSError:
                # It died between two requests: nothing was under way, so the next one serves.
                self._live_spawner(replace_dead=True).hand_over(theirs)
            ours.send(request, fds)
        except OSError as error:
            ours.close()
            raise self._lost(str(error)) from error
        finally:
            theirs.close()
        return ours

    def _answer(self, channel: Channel, cancel: Cancel | None) -> dict[str, Any]:
        message = receive_or_cancel(channel, cancel)
        if message is None:
            raise self._lost("it was killed, or could not start")
        body: dict[str, Any] = message[0]
        if "error" in body:
            raise error_from_json(body["error"])
        return body

    def _lost(self, reason: str) -> SpawnerLost:
        with self._lock:
            words = self._spawner.last_words() if self._spawner is not None else ""
        return SpawnerLost(
            "the helper process that serves containers ended before it answered",
            cause=words or reason,
            hint="try again: a new one is started by itself",
        )

    def _live_spawner(self, *, replace_dead: bool = False) -> _SpawnerProcess:
        with self._lock:
            spawner = self._spawner
            if spawner is not None and (not spawner.alive or replace_dead):
                spawner.close()
                spawner = None
            if spawner is None:
                spawner = _SpawnerProcess(self.machine, self.home, self._preload)
                self._spawner = spawner
            return spawner


class _SpawnerProcess:
    """The child process and our end of its socket."""

    def __init__(self, machine: Machine, home: Path, preload: Sequence[str]) -> None:
        self.owner = os.getpid()
        self.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.words = os.memfd_create("minirt-spawner-stderr")
        root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        user = not machine.root and machine.isolation == "namespaces"
        settings = {
            "socket": theirs.fileno(),
            "home": str(home.absolute()),
            "path": [root, *(path for path in sys.path if os.path.isabs(path) and path != root)],
            "preload": list(preload),
            "uid_map": [[m.inside, m.outside, m.count] for m in machine.uid_map] if user else [],
            "gid_map": [[m.inside, m.outside, m.count] for m in machine.gid_map] if user else [],
        }
        if not sys.executable:
            raise SandboxError("cannot start the helper process", cause="this Python does not know its own program")
        try:
            self.process = subprocess.Popen(
                # -I -S: neither the user's environment nor his site-packages decide what runs; the path is ours.
                [sys.executable, "-I", "-S", "-X", "utf8", "-c", _PROGRAM, json.dumps(settings)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self.words,
                pass_fds=[theirs.fileno()],
                env={},
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            raise SandboxError("cannot start the helper process", cause=str(error)) from error
        finally:
            theirs.close()

    @property
    def alive(self) -> bool:
        # After a fork the socket would be shared with the parent: a forked engine takes a spawner of its own.
        return self.owner == os.getpid() and self.process.poll() is None

    def hand_over(self, channel: Channel) -> None:
        """Give the spawner the other end of a request's own socket."""
        channel.hand_over(self.sock)

    def last_words(self) -> str:
        """The last line of what it wrote before it ended."""
        lines = os.pread(self.words, 64 * 1024, 0).decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else ""

    def close(self) -> None:
        self.sock.close()
        os.close(self.words)
        if self.owner != os.getpid():
            return
        try:
            self.process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
