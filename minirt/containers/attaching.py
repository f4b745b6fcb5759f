"""Follow a container's output while it runs."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass

from minirt.errors import Cancelled
from minirt.model.cancel import Cancel
from minirt.model.spec import SandboxSpec
from minirt.sandbox import Running, Sandbox

__all__ = ["Attachment", "forward"]

_PATIENCE = 2.0  # seconds between asking an interrupted container to end and ending it


@dataclass(frozen=True, slots=True)
class Attachment:
    """A started container and the thread that hands on what it writes."""

    running: Running
    reader: threading.Thread | None

    @classmethod
    def start(
        cls, sandbox: Sandbox, spec: SandboxSpec, stdin: int | None, output: Callable[[str, bytes], None] | None
    ) -> Attachment:
        """Start ``spec``; with ``output`` its streams come through pipes of ours."""
        if output is None:
            return cls(sandbox.start(spec, stdin=stdin), None)
        pipes = {"stdout": os.pipe(), "stderr": os.pipe()}
        try:
            running = sandbox.start(spec, stdin=stdin, stdout=pipes["stdout"][1], stderr=pipes["stderr"][1])
        except BaseException:
            for read, _ in pipes.values():
                os.close(read)
            raise
        finally:
            for _, write in pipes.values():
                os.close(write)
        reader = threading.Thread(
            target=forward,
            args=({read: name for name, (read, _) in pipes.items()}, output),
            name=f"output of {spec.id[:12]}",
            daemon=True,
        )
        reader.start()
        return cls(running, reader)

    def wait(self, cancel: Cancel | None = None) -> int:
        """The exit code, after the last byte was handed on. An interrupt ends the container, then is raised."""
        try:
            end = self.running.wait(cancel=cancel)
        except (Cancelled, KeyboardInterrupt):
            self.interrupt()
            raise
        if self.reader is not None:
            self.reader.join()
        return end.code

    def interrupt(self) -> None:
        """What Ctrl-C does: ask kindly (SIGINT, then SIGTERM), and do not wait long for an answer."""
        for number, patience in ((signal.SIGINT, 0.2), (signal.SIGTERM, _PATIENCE), (signal.SIGKILL, 10.0)):
            with contextlib.suppress(ProcessLookupError):
                self.running.kill(number)
            with contextlib.suppress(TimeoutError):
                self.running.wait(timeout=patience)
                break
        if self.reader is not None:
            self.reader.join(timeout=1.0)


def forward(streams: dict[int, str], output: Callable[[str, bytes], None]) -> None:
    """Hand on what comes from each descriptor, as it comes, until all are closed; then close them here too."""
    poll = select.poll()
    for fd in streams:
        poll.register(fd, select.POLLIN | select.POLLHUP)
    left = dict(streams)
    while left:
        for fd, _ in poll.poll():
            data = os.read(fd, 65536)
            if data:
                output(left[fd], data)
            else:
                poll.unregister(fd)
                os.close(fd)
                del left[fd]
