"""Screens: where a program's terminal is shown, and where somebody types for it.

A shell has one, the user's own terminal; a notebook makes one in a cell's output for each program.
"""

from __future__ import annotations

import contextlib
import os
import signal
import termios
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from minirt.cli.keys import DETACH_KEYS, Typing
from minirt.errors import NotATerminal
from minirt.model.cancel import Cancel

if TYPE_CHECKING:
    from minirt.cli.session import Session
    from minirt.engine.attaching import Attachment, Output, Window
    from minirt.engine.containers import Container

__all__ = ["Program", "Screen", "Screens", "ShellScreens", "container_program", "screen_for"]


@dataclass(frozen=True)
class Program:
    """What is to be shown: ``begin(output, stdin, window)`` starts it or joins it.

    ``finish(attachment, cancel)`` waits for the end, puts away what is to be put away, and returns the exit code;
    None when the user left and it runs on. ``name`` is the container's. It ``stays`` when its screen goes away.
    """

    name: str
    begin: Callable[[Output, int, Window], Attachment]
    finish: Callable[[Attachment, Cancel | None], int | None]
    detach_keys: bytes = DETACH_KEYS
    stays: bool = False


class Screen(Protocol):
    """A terminal that somebody looks at."""

    def show(self, program: Program) -> int:
        """Connect it. The exit code; 0 when the user left the program running, or when the screen lives on."""


class Screens(Protocol):
    """Opens screens."""

    def open(self, session: Session) -> AbstractContextManager[Screen]:
        """Before anything is created. Raises :class:`MinirtError` where there can be none; closes it on an error."""


def screen_for(session: Session, *, terminal: bool, interactive: bool) -> AbstractContextManager[Screen | None]:
    """A screen if the program shall have a terminal that is typed on, else None."""
    if not (terminal and interactive):
        return contextlib.nullcontext()
    return (session.screens or ShellScreens()).open(session)


def container_program(
    container: Container, begin: Callable[..., Attachment], *, keys: bytes, remove: bool = False, stays: bool = False
) -> Program:
    """``begin`` is the container's ``open`` or ``connect``; ``remove`` it at its end. See :class:`Program`."""

    def start(output: Output, stdin: int, window: Window) -> Attachment:
        try:
            return begin(output, stdin=stdin, window=window)
        except BaseException:
            if remove:
                container.remove(force=True, v=True)
            raise

    def finish(attachment: Attachment, cancel: Cancel | None) -> int | None:
        try:
            code = container.finish(attachment, cancel, stays=stays)
        except BaseException:
            if remove:
                container.remove(force=True, v=True)
            raise
        if remove and code is not None:
            container.remove(force=True, v=True)
        return code

    return Program(container.name, start, finish, keys, stays)


class ShellScreens:
    """The terminal that the command itself was typed on."""

    @contextlib.contextmanager
    def open(self, session: Session) -> Iterator[Screen]:
        """Raises :class:`NotATerminal`."""
        source = _descriptor(session.stdin)
        if source is None or not os.isatty(source):
            raise NotATerminal(
                "the input device is not a TTY",
                cause="-t is for somebody who types; here standard input is a file, a pipe or nothing",
                hint="Leave -t out: with -i alone the program reads standard input.",
            )
        yield _ShellScreen(session, source)


@dataclass
class _ShellScreen:
    session: Session
    source: int

    def show(self, program: Program) -> int:
        typing = Typing(self.source, program.detach_keys)
        try:
            with _raw(self.source):
                attachment = program.begin(self._write, typing.reading, self._window())
                with self._following(attachment):
                    typing.start(attachment.detach)
                    code = program.finish(attachment, self.session.cancel)
        finally:
            typing.stop()
        if code is None:
            name = self.session.name
            self.session.complain(f"\n{program.name} runs on; {name} attach {program.name} comes back to it.\n")
        return code or 0

    def _write(self, _stream: str, data: bytes) -> None:
        try:
            self.session.stdout.write(data)
            self.session.stdout.flush()
        except OSError:
            self.session.cancel.cancel()

    def _window(self) -> Window:
        rows, columns = termios.tcgetwinsize(self.source)
        return rows, columns

    @contextlib.contextmanager
    def _following(self, attachment: Attachment) -> Iterator[None]:
        """While inside, the program's window has the size of the user's."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGWINCH, lambda *_: attachment.resize(*self._window()))
        try:
            attachment.resize(*self._window())  # it may have changed since the start
            yield
        finally:
            signal.signal(signal.SIGWINCH, before)


@contextlib.contextmanager
def _raw(terminal: int) -> Iterator[None]:
    """While inside, every key goes to the program, Ctrl-C too; afterwards the terminal is as it was."""
    before: list[Any] = termios.tcgetattr(terminal)
    tty.setraw(terminal, termios.TCSADRAIN)
    try:
        yield
    finally:
        with contextlib.suppress(termios.error):  # its window was closed
            termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _descriptor(stream: Any) -> int | None:
    try:
        return int(stream.fileno())
    except (OSError, ValueError, AttributeError):
        return None
