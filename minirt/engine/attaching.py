"""Programs in containers that somebody watches and types for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from minirt.containers.attaching import Attachment, Output
from minirt.containers.network_settings import published
from minirt.containers.starting import Window
from minirt.engine.options import words
from minirt.model.cancel import Cancel
from minirt.model.events import ContainerExited, ContainerStarted

if TYPE_CHECKING:
    from minirt.containers.records import ContainerRecord
    from minirt.engine.facade import Engine

__all__ = ["Attachable", "Attachment", "Output", "Window"]


class Attachable:
    """What a container offers to those who want to follow it. ``stdin`` is a file descriptor everywhere."""

    _engine: Engine
    _record: ContainerRecord

    def open(
        self, output: Output, *, stdin: int | None = None, window: Window | None = None, lives_on: bool = False
    ) -> Attachment:
        """Start it, attached; one that runs already is attached to. See :meth:`finish` for its end.

        ``window`` is the size of its terminal in characters (rows, columns). Unless it ``lives_on``, the container
        is killed when this process is. Raises CommandNotFound, CommandNotExecutable, SandboxError.
        """
        lifecycle = self._engine.lifecycle
        attachment = lifecycle.start(self._record, stdin=stdin, output=output, lives_on=lives_on, window=window)
        if attachment is None:
            return self.connect(output, stdin=stdin, window=window)
        self._tell_started()
        return attachment

    def connect(self, output: Output, *, stdin: int | None = None, window: Window | None = None) -> Attachment:
        """Attach to it while it runs, whoever started it; leaving does not end it.

        Raises ContainerNotRunning, Conflict.
        """
        attachment = self._engine.lifecycle.attach(self._record, stdin=stdin, output=output)
        if window is not None:
            # Twice, so that the size changes and the program draws its prompt or its page again for the newcomer.
            attachment.resize(window[0] + 1, window[1])
            attachment.resize(*window)
        return attachment

    def finish(self, attachment: Attachment, cancel: Cancel | None = None, *, stays: bool = False) -> int | None:
        """Wait until the container has ended and return its exit code; None after ``attachment.detach()``.

        An interrupt (``cancel``) ends the container unless it ``stays``, and raises Cancelled.
        """
        lifecycle = self._engine.lifecycle
        try:
            code = attachment.outcome(cancel, stays=stays)
        except BaseException:
            if not attachment.detached:
                self._tell_exited()
            raise
        if code is None:
            return None
        self._tell_exited()
        # The monitor's last write names the end; until then another command could still see it running.
        lifecycle.wait(self._record)
        return code

    def exec_open(
        self,
        cmd: str | Sequence[str],
        output: Output,
        *,
        environment: Mapping[str, str] | Sequence[str] = (),
        workdir: str | None = None,
        user: str = "",
        privileged: bool = False,
        stdin: int | None = None,
        window: Window | None = None,
    ) -> Attachment:
        """Start a further program inside, with a terminal if ``window`` gives it a size (0, 0 for an unknown one).

        It ends with this process. Raises ContainerNotRunning, CommandNotFound.
        """
        pairs = environment.items() if isinstance(environment, Mapping) else (e.split("=", 1) for e in environment)
        return self._engine.lifecycle.exec(
            self._record,
            words(cmd) or (),
            environment=dict(pairs),
            cwd=workdir,
            user=user,
            privileged=privileged,
            output=output,
            stdin=stdin,
            terminal=window,
        )

    def _tell_started(self) -> None:
        lifecycle, record = self._engine.lifecycle, self._record
        state = lifecycle.state(record)
        there = published(lifecycle.shelf.directory(record.id), state)
        ports = tuple((one["host_ip"], int(one["host_port"]), str(one["port"])) for one in there)
        self._engine.report(ContainerStarted(record.id, record.name, record.image, state.pid, ports))

    def _tell_exited(self) -> None:
        self._engine.report(ContainerExited(self._record.id, self._engine.lifecycle.state(self._record).exit_code))
