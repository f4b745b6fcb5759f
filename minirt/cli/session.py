"""What a command may use of the world around it: streams, directory, environment, progress, and the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from minirt.cli.tree import by_our_name
from minirt.model.cancel import Cancel

if TYPE_CHECKING:
    from minirt.cli.screens import Screens
    from minirt.engine import Engine
    from minirt.errors import MinirtError
    from minirt.model.events import EventSink

__all__ = ["ProgressFactory", "Session"]


class ProgressFactory(Protocol):
    """Shows a long command while it runs.

    ``what`` is ``build``, ``pull`` or ``run`` (a pull on the way to a container), ``title`` names it, ``mode`` is what
    ``--progress`` got (``auto``, ``plain``, ``tty``, ``quiet``).
    """

    def __call__(self, session: Session, what: str, title: str, mode: str) -> AbstractContextManager[EventSink]: ...


def printed_progress(session: Session, what: str, title: str, mode: str) -> AbstractContextManager[EventSink]:
    """The factory of a terminal: lines, or a small picture where a human looks."""
    from minirt.cli.progress import printed

    return printed(session, what, mode)


@dataclass
class Session:
    """One conversation: a terminal, or a notebook's cell.

    ``name`` is what messages call the program: ``minirt`` in a terminal, ``docker`` in a cell. ``interactive``:
    standard input and output are a terminal. ``screens`` shows programs that have a terminal (default: on the
    user's own). ``live``: what goes on is shown until it is interrupted, else once; ``again`` shows a text in place of
    the one it showed before (default: a terminal's own codes). ``text`` is a Dockerfile to be built in place of a file
    (a cell's body).
    """

    make_engine: Callable[[], Engine]
    stdin: BinaryIO
    stdout: BinaryIO
    stderr: BinaryIO
    cwd: Path = field(default_factory=Path.cwd)
    environment: Mapping[str, str] = field(default_factory=dict)
    progress: ProgressFactory = printed_progress
    screens: Screens | None = None
    cancel: Cancel = field(default_factory=Cancel)
    interactive: bool = False
    name: str = "minirt"
    columns: int = 80
    rows: int = 24
    color: bool = False
    debug: bool = False
    live: bool = True
    again: Callable[[str], None] | None = None

    @cached_property
    def engine(self) -> Engine:
        """The engine, made at first use: ``--help`` and a typing mistake cost no probe of the machine."""
        return self.make_engine()

    @property
    def can_have_terminal(self) -> bool:
        """Whether a program with a terminal could be shown."""
        return self.interactive or self.screens is not None

    @property
    def has_engine(self) -> bool:
        return "engine" in self.__dict__

    def print(self, text: str) -> None:
        """To standard output, as it is: a final newline is the caller's."""
        self.stdout.write(text.encode("utf-8", "surrogateescape"))
        self.stdout.flush()

    def show_again(self, text: str) -> None:
        """A whole text that replaces the one shown so before."""
        if self.again is not None:
            self.again(text)
        else:
            self.print(f"\033[H\033[J{text}")  # home, and clear what is below

    def complain(self, text: str) -> None:
        """To standard error, as it is."""
        self.stderr.write(text.encode("utf-8", "surrogateescape"))
        self.stderr.flush()

    def complain_of(self, error: MinirtError) -> None:
        """An error that does not end the command, in whole."""
        error.hint = by_our_name(error.hint, self.name)
        self.complain(f"Error: {error.explain()}\n")

    def close(self) -> None:
        if self.has_engine:
            self.engine.close()
