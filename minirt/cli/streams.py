"""Between a container's streams and the session's."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Collection, Iterator
from typing import BinaryIO, Self

from minirt.cli.session import Session
from minirt.errors import ContainerFailed

__all__ = ["Relay", "stdin_descriptor"]

_LAST_WORDS = 4096  # bytes of stderr that go with a failure


class Relay:
    """Takes what a container writes, from any thread, and passes it on as it comes.

    When it cannot be passed on (the reader is gone, the disk is full) the session is asked to end; :meth:`check` then
    raises the OSError: BrokenPipeError, or another. What is not ``wanted`` (of stdout and stderr) is left out.
    """

    def __init__(self, session: Session, wanted: Collection[str] = ("stdout", "stderr")) -> None:
        self._session, self._wanted = session, wanted
        self._broken: OSError | None = None
        self._last_words = b""

    def __call__(self, stream: str, data: bytes) -> None:
        if stream == "stderr":
            self._last_words = (self._last_words + data)[-_LAST_WORDS:]
        if stream not in self._wanted:
            return
        target = self._session.stderr if stream == "stderr" else self._session.stdout
        try:
            target.write(data)
            target.flush()
        except OSError as error:
            self._broken = error
            self._session.cancel.cancel()

    def check(self) -> None:
        if self._broken is not None:
            raise self._broken

    def judge(self, name: str, code: int) -> None:
        """Raises :class:`ContainerFailed`, with the end of what was written to stderr, unless ``code`` is 0."""
        if code:
            what = f"the command in container {name} ended with exit code {code}"
            raise ContainerFailed(what, exit_code=code, stderr=self._last_words)

    @contextlib.contextmanager
    def guarding(self) -> Iterator[Self]:
        """What broke the output counts, and not the interrupt that it caused."""
        try:
            yield self
        except BaseException as error:
            if self._broken is not None:
                raise self._broken from error
            raise
        self.check()


@contextlib.contextmanager
def stdin_descriptor(stream: BinaryIO, wanted: bool) -> Iterator[int | None]:
    """A file descriptor for the container's standard input, or None where it shall have none.

    A stream without one (a notebook's cell) is read to its end into a file in memory.
    """
    if not wanted:
        yield None
        return
    try:
        yield stream.fileno()
        return
    except (OSError, io.UnsupportedOperation, AttributeError):
        pass
    memory = os.memfd_create("stdin", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(memory), "wb") as file:
            file.write(stream.read())
        os.lseek(memory, 0, os.SEEK_SET)
        yield memory
    finally:
        os.close(memory)
