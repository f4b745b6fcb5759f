"""One container: docker-py's ``Container`` (docker-py documentation, "Containers")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from minirt.containers.changes import PathChange
from minirt.containers.inspecting import container_attributes
from minirt.containers.noting import note
from minirt.containers.records import ContainerRecord
from minirt.containers.state import State
from minirt.engine.attaching import Attachable, Output
from minirt.engine.container_files import WithFiles
from minirt.engine.container_logs import WithLogs
from minirt.engine.container_programs import WithPrograms
from minirt.errors import Conflict, Unsupported
from minirt.model.cancel import Cancel
from minirt.model.events import ContainerExited, ContainerRemoved

if TYPE_CHECKING:
    from minirt.engine.facade import Engine
    from minirt.engine.images import Image

__all__ = ["Container"]


class Container(WithFiles, WithLogs, WithPrograms, Attachable):
    """One container; the facts are read when asked for, so they are never stale."""

    def __init__(self, engine: Engine, record: ContainerRecord) -> None:
        self._engine = engine
        self._record = record

    warnings: tuple[str, ...] = ()
    """What was different from what was asked for when it was made (docker's "WARNING:" lines)."""

    def __repr__(self) -> str:
        return f"<Container: {self.short_id} {self.name}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Container) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

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
    def health(self) -> str:
        """``starting``, ``healthy``, ``unhealthy``; ``unknown`` without a health check."""
        return str((self.state.health or {}).get("Status", "unknown"))

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

    def stop(
        self, timeout: float | None = None, *, signal: str | int | None = None, cancel: Cancel | None = None
    ) -> None:
        """Ask it to end, wait ``timeout`` seconds (default 10, or the container's own), then kill it.

        ``signal`` asks otherwise than the container's own stop signal. Raises InvalidSpec.
        """
        self._engine.lifecycle.stop(self._record, timeout, cancel, signal=signal)
        self._engine.report(ContainerExited(self.id, self.state.exit_code))

    def kill(self, signal: str | int | None = None) -> None:
        """Send a signal (default SIGKILL). Raises ContainerNotRunning, InvalidSpec."""
        self._engine.lifecycle.kill(self._record, "KILL" if signal is None else signal)

    def pause(self) -> None:
        """Freeze every process. Raises ContainerNotRunning, Conflict."""
        self._engine.lifecycle.pause(self._record)

    def unpause(self) -> None:
        """Let every process go on. Raises ContainerNotRunning, Conflict."""
        self._engine.lifecycle.unpause(self._record)

    def restart(self, timeout: float | None = None, *, signal: str | int | None = None) -> None:
        """Stop and start; the storage layer stays as it is."""
        self.stop(timeout, signal=signal)
        self.start()
        note(self._engine.journal, "restart", self._record)

    def update(self, **options: Any) -> dict[str, Any]:
        """Change limits (mem_limit, nano_cpus, pids_limit …) and restart_policy. Raises InvalidSpec, Unsupported."""
        from minirt.engine.limits import update_container

        self._record = update_container(self._engine, self._record, options)
        note(self._engine.journal, "update", self._record)
        return {"Warnings": None}

    def remove(self, force: bool = False, v: bool = False, link: bool = False) -> None:
        """Remove it and its storage layer; with ``v`` its anonymous volumes too. Raises ContainerIsRunning."""
        if link:
            raise Unsupported("container.remove(link=True): minirt has no links", hint="Networks have names instead.")
        self._engine.lifecycle.remove(self._record, force=force, volumes=v)
        self._engine.report(ContainerRemoved(self.id))

    def rename(self, name: str) -> None:
        """Raises Conflict, NameInUse, InvalidSpec."""
        if name.lstrip("/") == self.name:
            raise Conflict("Renaming a container with the same name as its current name")
        old, self._record = self.name, self._engine.lifecycle.shelf.rename(self._record, name)
        note(self._engine.journal, "rename", self._record, oldName=f"/{old}")

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
        message: str | None = None,
        author: str | None = None,
        changes: str | Sequence[str] | None = None,
        pause: bool = True,
        conf: Mapping[str, Any] | None = None,
    ) -> Image:
        """Make an image: this container's image with the storage layer as one more layer.

        Raises :class:`Unsupported` for a ``conf``.
        """
        if conf:
            raise Unsupported("container.commit(conf=…)", hint='Say it as instructions: changes=["ENV A=b"].')
        lines = changes.splitlines() if isinstance(changes, str) else changes or ()
        return self._engine.images.commit(
            self, repository, tag, message=message or "", author=author or "", changes=lines, pause=pause
        )
