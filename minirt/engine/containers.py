"""``engine.containers``: docker-py's ``client.containers`` (docker-py documentation, "Containers")."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from minirt.containers.changes import PathChange
from minirt.containers.inspecting import container_attributes
from minirt.containers.logs import LogReader
from minirt.containers.noting import note
from minirt.containers.records import ContainerRecord
from minirt.containers.state import State
from minirt.engine.attaching import Attachable, Output
from minirt.engine.container_files import WithFiles
from minirt.engine.options import make_request
from minirt.errors import ContainerFailed, ContainerNotFound
from minirt.model.cancel import Cancel
from minirt.model.events import ContainerExited, ContainerRemoved, WarningRaised

if TYPE_CHECKING:
    from minirt.engine.facade import Engine
    from minirt.engine.images import Image

__all__ = ["Container", "ContainerCollection"]

_MOST_ERROR_BYTES = 4096


class Container(WithFiles, Attachable):
    """One container; the facts are read when asked for, so they are never stale."""

    def __init__(self, engine: Engine, record: ContainerRecord) -> None:
        self._engine = engine
        self._record = record

    warnings: tuple[str, ...] = ()
    """What was different from what was asked for when it was made (docker's "WARNING:" lines)."""

    def __repr__(self) -> str:
        return f"<Container: {self.short_id} {self.name}>"

    @property
    def id(self) -> str:
        """64 hex digits."""
        return self._record.id

    @property
    def short_id(self) -> str:
        return self._record.short_id

    @property
    def name(self) -> str:
        return self._record.name

    @property
    def labels(self) -> dict[str, str]:
        return dict(self._record.labels)

    @property
    def record(self) -> ContainerRecord:
        """What was decided when it was created."""
        return self._record

    @property
    def state(self) -> State:
        """What it does right now."""
        return self._engine.lifecycle.state(self._record)

    @property
    def status(self) -> str:
        """``created``, ``running``, ``paused`` or ``exited``."""
        return self.state.status

    @property
    def image(self) -> Image:
        """Raises ImageNotFound when it was removed by force."""
        return self._engine.images.get(str(self._record.image_id))

    @property
    def attrs(self) -> dict[str, Any]:
        """What ``docker inspect`` prints."""
        directory = self._engine.lifecycle.shelf.directory(self.id)
        return container_attributes(self._record, self.state, directory)

    @property
    def ports(self) -> dict[str, Any]:
        """docker-py's: ``{"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}]}``; empty while it does not run."""
        found: dict[str, Any] = self.attrs["NetworkSettings"]["Ports"]
        return found

    def reload(self) -> None:
        """Read the record again. Raises :class:`ContainerNotFound` when the container is gone."""
        self._record = self._engine.lifecycle.shelf.get(self.id)

    def start(self) -> None:
        """Start it in the background. Raises CommandNotFound, CommandNotExecutable, SandboxError."""
        self._engine.lifecycle.start(self._record)
        self._tell_started()

    def run(
        self, output: Output, *, stdin: int | None = None, cancel: Cancel | None = None, lives_on: bool = False
    ) -> int:
        """Start it, hand on what it writes while it runs, and return its exit code.

        ``stdin`` is a file descriptor. An interrupt (``cancel``) ends the container and raises Cancelled. When
        this process is killed, so is the container, unless it ``lives_on``.
        """
        return self.finish(self.open(output, stdin=stdin, lives_on=lives_on), cancel) or 0

    def stop(self, timeout: float | None = None, *, cancel: Cancel | None = None) -> None:
        """Ask it to end, wait ``timeout`` seconds (default 10, or the container's own), then kill it."""
        self._engine.lifecycle.stop(self._record, timeout, cancel)
        self._engine.report(ContainerExited(self.id, self.state.exit_code))

    def kill(self, signal: str | int = "KILL") -> None:
        """Send a signal. Raises ContainerNotRunning, InvalidSpec."""
        self._engine.lifecycle.kill(self._record, signal)

    def pause(self) -> None:
        """Freeze every process. Raises ContainerNotRunning, Conflict."""
        self._engine.lifecycle.pause(self._record)

    def unpause(self) -> None:
        """Let every process go on. Raises ContainerNotRunning, Conflict."""
        self._engine.lifecycle.unpause(self._record)

    def restart(self, timeout: float | None = None) -> None:
        """Stop and start; the storage layer stays as it is."""
        self.stop(timeout)
        self.start()

    def wait(self, timeout: float | None = None, *, cancel: Cancel | None = None) -> dict[str, Any]:
        """Wait for the end: ``{"StatusCode": …, "Error": None}``. Raises TimeoutError after ``timeout`` seconds."""
        state = self._engine.lifecycle.wait(self._record, timeout=timeout, cancel=cancel)
        if state is None:
            raise TimeoutError(f"container {self.name} still runs after {timeout} s")
        return {"StatusCode": state.exit_code, "Error": {"Message": state.error} if state.error else None}

    def update(self, **options: Any) -> None:
        """Change limits (mem_limit, nano_cpus, pids_limit …) and restart_policy. Raises InvalidSpec, Unsupported."""
        from minirt.engine.limits import update_container

        self._record = update_container(self._engine, self._record, options)

    def stats(self) -> dict[str, Any]:
        """What it uses right now, in docker's fields. Raises ContainerNotRunning, Unsupported."""
        from minirt.engine.limits import container_stats

        return container_stats(self._engine, self._record)

    def remove(self, force: bool = False, v: bool = False) -> None:
        """Remove it and its storage layer; with ``v`` its anonymous volumes too. Raises ContainerIsRunning."""
        self._engine.lifecycle.remove(self._record, force=force, volumes=v)
        self._engine.report(ContainerRemoved(self.id))

    def rename(self, name: str) -> None:
        """Raises NameInUse, InvalidSpec."""
        old, self._record = self.name, self._engine.lifecycle.shelf.rename(self._record, name)
        note(self._engine.journal, "rename", self._record, oldName=f"/{old}")

    def logs(
        self,
        stdout: bool = True,
        stderr: bool = True,
        *,
        tail: int | None = None,
        timestamps: bool = False,
        stream: bool = False,
        follow: bool = False,
        cancel: Cancel | None = None,
    ) -> bytes | Iterator[bytes]:
        """What it wrote so far; with ``stream`` or ``follow`` as an iterator over lines."""
        wanted = {name for name, asked in (("stdout", stdout), ("stderr", stderr)) if asked}
        lines = self.log_lines(follow=follow, tail=tail, cancel=cancel)
        chosen = ((f"{line[2]} ".encode() if timestamps else b"") + line[1] for line in lines if line[0] in wanted)
        return chosen if stream or follow else b"".join(chosen)

    def log_lines(
        self, *, follow: bool = False, tail: int | None = None, cancel: Cancel | None = None
    ) -> Iterator[tuple[str, bytes, str]]:
        """(stream, bytes, time) a line; with ``follow`` until the container ends."""
        reader = LogReader(self._engine.lifecycle.shelf.directory(self.id) / "log")
        seen = list(reader.read())
        for line in seen[-tail:] if tail else [] if tail == 0 else seen:
            yield line.stream, line.data, line.time
        while follow:
            alive = self.state.alive
            for line in reader.read():
                yield line.stream, line.data, line.time
            if not alive:
                return
            if cancel is not None:
                cancel.check()
            time.sleep(0.05)

    def diff(self) -> list[dict[str, Any]]:
        """docker-py's form: ``{"Path": …, "Kind": 0 changed, 1 added, 2 deleted}``."""
        kinds = {"C": 0, "A": 1, "D": 2}
        return [{"Path": change.path, "Kind": kinds[change.kind]} for change in self.changes()]

    def changes(self) -> tuple[PathChange, ...]:
        """What its storage layer holds, as ``docker diff`` shows it."""
        return self._engine.lifecycle.changes(self._record)

    def commit(
        self,
        repository: str | None = None,
        tag: str | None = None,
        *,
        message: str = "",
        author: str = "",
        changes: Sequence[str] = (),
        pause: bool = True,
    ) -> Image:
        """Make an image: this container's image with the storage layer as one more layer."""
        return self._engine.images.commit(
            self, repository, tag, message=message, author=author, changes=changes, pause=pause
        )

    def exec_run(
        self,
        cmd: str | Sequence[str],
        *,
        environment: Mapping[str, str] | Sequence[str] = (),
        workdir: str | None = None,
        user: str = "",
        output: Output | None = None,
        stdin: int | None = None,
        cancel: Cancel | None = None,
    ) -> tuple[int, bytes]:
        """Run a further program in the running container: (exit code, what it wrote).

        With ``output`` what it writes is handed on as it comes, and not returned. Raises ContainerNotRunning,
        CommandNotFound, Cancelled.
        """
        kept: list[bytes] = []

        def collect(stream: str, data: bytes) -> None:
            if output is not None:
                output(stream, data)
            else:
                kept.append(data)

        attachment = self.exec_open(cmd, collect, environment=environment, workdir=workdir, user=user, stdin=stdin)
        code = attachment.wait(cancel)
        return code, b"".join(kept)


class ContainerCollection:
    """All containers of this home, whoever started them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def create(
        self, image: str, command: str | Sequence[str] | None = None, *, cancel: Cancel | None = None, **options: Any
    ) -> Container:
        """``docker create``. ``options`` are docker-py's; see :func:`minirt.engine.options.make_request`.

        An image that is not here is pulled. Raises ImageNotFound, InvalidSpec, NameInUse.
        """
        source = self._engine.images.source(
            image, pull=options.pop("pull", "missing"), platform=options.pop("platform", None), cancel=cancel
        )
        request = make_request(source, command, options)
        warnings: list[str] = []
        container = Container(self._engine, self._engine.lifecycle.create(request, cancel, warnings.append))
        container.warnings = tuple(warnings)
        for warning in warnings:
            self._engine.report(WarningRaised("network", warning))
        return container

    def run(
        self,
        image: str,
        command: str | Sequence[str] | None = None,
        *,
        stdout: bool = True,
        stderr: bool = False,
        remove: bool = False,
        detach: bool = False,
        output: Output | None = None,
        stdin: int | None = None,
        cancel: Cancel | None = None,
        **options: Any,
    ) -> bytes | Container:
        """``docker run``: with ``detach`` the container at once, otherwise its output when it has ended.

        Raises :class:`ContainerFailed` for an exit code other than 0, and what :meth:`create` and
        :meth:`Container.start` raise.
        """
        if detach:
            container = self.create(image, command, cancel=cancel, auto_remove=remove, **options)
            self._start_or_drop(container)
            return container
        container = self.create(image, command, cancel=cancel, auto_remove=remove, **options)
        kept: list[bytes] = []
        errors: list[bytes] = []

        def collect(stream: str, data: bytes) -> None:
            if output is not None:
                output(stream, data)
            if stream == "stderr":
                errors.append(data)
            if (stdout and stream == "stdout") or (stderr and stream == "stderr"):
                kept.append(data)

        try:
            code = container.run(collect, stdin=stdin, cancel=cancel)
        finally:
            if remove:
                container.remove(force=True, v=True)
        if code:
            raise ContainerFailed(
                f"the command in container {container.name} ended with exit code {code}",
                exit_code=code,
                stderr=b"".join(errors)[-_MOST_ERROR_BYTES:],
            )
        return b"".join(kept)

    def _start_or_drop(self, container: Container) -> None:
        try:
            container.start()
        except BaseException:
            if container.record.auto_remove:
                container.remove(force=True, v=True)
            raise

    def get(self, name: str) -> Container:
        """By id, unique prefix of an id, or name. Raises :class:`ContainerNotFound`."""
        return Container(self._engine, self._engine.lifecycle.shelf.get(name))

    def list(self, all: bool = False) -> list[Container]:
        """The running ones, newest first; with ``all`` every one."""
        self._engine.lifecycle.reap()
        found = [Container(self._engine, record) for record in self._engine.lifecycle.shelf.all()]
        return [container for container in found if all or container.state.alive]

    def prune(self, *, wanted: Callable[[Container], bool] = lambda _: True) -> dict[str, Any]:
        """Remove every container that has ended: ``{"ContainersDeleted": […], "SpaceReclaimed": bytes}``.

        ``wanted`` may keep some.
        """
        removed, freed = [], 0
        for container in self.list(all=True):
            if container.status not in ("exited", "created", "dead") or not wanted(container):
                continue
            size = self._engine.lifecycle.storage_bytes(container.record)
            try:
                container.remove(v=True)
            except ContainerNotFound:
                continue
            removed.append(container.id)
            freed += size
        return {"ContainersDeleted": removed, "SpaceReclaimed": freed}
