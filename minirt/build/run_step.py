"""RUN: a command in a sandbox on the stage's root filesystem, its output passed on while it comes."""

from __future__ import annotations

import json
import os
import select
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from minirt.build.cache import Inputs
from minirt.build.config_steps import argv, run_text
from minirt.build.failures import explain_exit, explain_start
from minirt.build.job import Job
from minirt.build.run_mounts import MountPlan
from minirt.build.run_network import step_network
from minirt.build.state import StageState
from minirt.build.stubs import Stubs
from minirt.build.work import epoch_value, source_layers
from minirt.dockerfile import ExecForm, Run, ShellForm
from minirt.errors import MinirtError, SandboxError, SpawnerLost, Unsupported
from minirt.model.cancel import Cancel
from minirt.model.events import StepOutput
from minirt.model.spec import Mount, Process, RootFilesystem, SandboxSpec, TmpfsMount
from minirt.sandbox import Running
from minirt.snapshots.union import Union
from minirt.snapshots.users import Account, lookup_user

__all__ = ["RunCommand"]

_HOSTNAME = "buildkitsandbox"
_READ = 64 * 1024
_TAIL = 4096  # bytes of the end of the output, kept for the error
_SHOWN = 2 << 20  # bytes of a step's output that are told, as BuildKit's BUILDKIT_STEP_LOG_MAX_SIZE
_CLIPPED = b"\n[output clipped, log limit 2MiB reached]\n"


@dataclass
class RunCommand:
    """One RUN instruction, expanded. ``step`` is its id for events; ``creator`` whose files it makes (uid, gid)."""

    job: Job
    state: StageState
    one: Run
    step: str
    mounts: MountPlan
    creator: tuple[int, int] = (0, 0)
    _tail: bytearray = field(default_factory=bytearray)
    _told: int = 0

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The program and its arguments."""
        if isinstance(self.one.command, ExecForm):
            return self.one.command.words
        if self.one.has_shebang and self.one.only_heredoc is not None:
            return argv(self.state, ShellForm(f"/dev/pipes/{self.one.only_heredoc.name}"))
        return argv(self.state, ShellForm(self.one.script))

    @property
    def created_by(self) -> str:
        return run_text(self.state, self.words)

    def inputs(self) -> Inputs:
        self._check()
        return self._inputs(by_content=False)

    def second_inputs(self) -> Inputs | None:
        """By content: what a mount shows may be the same though the stage it comes from is not."""
        return self._inputs(by_content=True) if self.mounts.shows_stages else None

    def _inputs(self, *, by_content: bool) -> Inputs:
        values = {"command": json.dumps(self.words), "workdir": self._cwd, "user": self.state.config.user}
        arguments = {name for name, _ in self.state.arguments}
        for name, value in sorted(self.state.environment.items()):
            values[f"{'arg' if name in arguments else 'env'} {name}"] = value
        if self.one.network != "default" or self.job.request.network != "default":
            values["network"] = f"{self.one.network} {self.job.request.network}"
        values.update(self._surroundings())
        if self.one.has_shebang:
            values["script"] = self.one.script
        values.update(self.mounts.values(by_content=by_content))
        values.update(epoch_value(self.job))
        return Inputs(self.state.chain, values, self.mounts.content, self.mounts.marks)

    def _surroundings(self) -> dict[str, str]:
        """The flags of the command line that a RUN can see."""
        request = self.job.request
        wanted = {
            "hosts": " ".join(f"{name}={address}" for name, address in request.extra_hosts),
            "limits": " ".join(f"{limit.name}={limit.soft}:{limit.hard}" for limit in request.rlimits),
            "/dev/shm": str(request.shm_size or ""),
        }
        return {name: text for name, text in wanted.items() if text}

    @property
    def _cwd(self) -> str:
        return self.state.config.working_dir or "/"

    def _check(self) -> None:
        if self.one.security == "insecure":
            raise Unsupported(
                "RUN --security=insecure is not allowed",
                where=self.one.origin.find("insecure"),
                cause="it would give the command every right of the machine's root",
                hint="Leave the flag out.",
            )

    def perform(self, root: RootFilesystem, where: Path) -> None:
        """Raises :class:`RunFailed` if the command fails; everything it started is dead then."""
        union = Union.of([Path(lower) for lower in source_layers(root)])
        account = self._account(union)
        self.creator = (account.user.uid, account.user.gid)
        with self.mounts.ready(account.user) as mounts, step_network(self.job, self._wish) as network:
            spec = SandboxSpec(
                id=f"build-{where.name}",
                root=root,
                process=self._process(account),
                hostname=_HOSTNAME,
                mounts=(*self._shared_memory(), *mounts),
                network=network.network,
                files=network.files(),
            )
            stubs = Stubs.missing(union, spec)
            self._run(spec)
            stubs.remove(where)

    def _account(self, union: Union) -> Account:
        try:
            return lookup_user(self.state.config.user, union)
        except MinirtError as error:
            error.where = error.where or self.one.location
            raise

    def _process(self, account: Account) -> Process:
        env = {**self.job.plan.scope.proxies, **self.state.environment, **self.mounts.environment()}
        env.setdefault("HOME", account.home)
        return Process(self.words, env, self._cwd, account.user, rlimits=self.job.request.rlimits)

    @property
    def _wish(self) -> str:
        return self.one.network if self.one.network != "default" else self.job.request.network

    def _shared_memory(self) -> list[Mount]:
        size = self.job.request.shm_size
        return [TmpfsMount("/dev/shm", size, options=("nosuid", "nodev", "noexec"))] if size else []

    def _run(self, spec: SandboxSpec) -> None:
        with _pipe() as out, _pipe() as err:
            try:
                running = self.job.tools.sandbox.start(spec, stdout=out.write, stderr=err.write, cancel=self.job.cancel)
            except SpawnerLost:
                raise
            except SandboxError as error:
                raise explain_start(error, self.words, self.one, self.state) from error
            out.close_write()
            err.close_write()
            try:
                self._pass_on({out.read: "stdout", err.read: "stderr"}, running)
                result = running.wait(cancel=self.job.cancel)
            except BaseException:
                _end(running)
                raise
        if result.code:
            raise explain_exit(result.code, self.words, self.one, bytes(self._tail))

    def _pass_on(self, streams: dict[int, str], running: Running) -> None:
        """Until both ends are closed, which is when the last process of the container is gone."""
        poll = select.poll()
        for fd in streams:
            poll.register(fd, select.POLLIN)
        cancel: Cancel | None = self.job.cancel
        if cancel is not None:
            poll.register(cancel.fileno(), select.POLLIN)
        while streams:
            for fd, _ in poll.poll():
                if fd not in streams:
                    self.job.check()
                    continue
                data = os.read(fd, _READ)
                if not data:
                    poll.unregister(fd)
                    del streams[fd]
                    continue
                self._tail = (self._tail + data)[-_TAIL:]
                self._tell(streams[fd], data)

    def _tell(self, stream: str, data: bytes) -> None:
        """Pass on the first :data:`_SHOWN` bytes: whoever looks must keep up, and a notebook keeps all that is told."""
        before, self._told = self._told, self._told + len(data)
        if before > _SHOWN:
            return
        if self._told > _SHOWN:
            data = data[: _SHOWN - before] + _CLIPPED
        self.job.on_event(StepOutput(self.step, stream, data))


def _end(running: Running) -> None:
    try:
        running.kill()
        running.wait(timeout=10)
    except (MinirtError, TimeoutError):
        running.close()


@dataclass(slots=True)
class _Pipe:
    read: int
    write: int

    def close_write(self) -> None:
        if self.write >= 0:
            os.close(self.write)
            self.write = -1


@contextmanager
def _pipe() -> Iterator[_Pipe]:
    pipe = _Pipe(*os.pipe2(os.O_CLOEXEC))
    try:
        yield pipe
    finally:
        pipe.close_write()
        os.close(pipe.read)
