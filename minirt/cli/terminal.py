"""``minirt`` as a program of the terminal."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from minirt.cli.main import run
from minirt.cli.session import Session
from minirt.cli.settings import Settings
from minirt.errors import Cancelled, MinirtError

if TYPE_CHECKING:
    from minirt.engine import Engine

__all__ = ["main", "make_engine"]


def make_engine(settings: Settings | None = None) -> Engine:
    """The engine that the environment asks for. Raises MinirtError for values that cannot be right."""
    from minirt.engine import Engine

    settings = settings or Settings.read()
    return Engine(
        settings.home,
        mirrors=settings.mirrors,
        insecure_registries=settings.insecure_registries,
        shared_stores=settings.shared_stores,
        snapshotter=settings.snapshotter,
        isolation=settings.isolation,
        proxies=settings.proxies,
    )


def main() -> int:
    """The console script. Returns the exit code; Ctrl-C asks the command to end, a second one insists."""
    _open_closed_streams()
    size = shutil.get_terminal_size((80, 24))
    session = Session(
        make_engine,
        sys.stdin.buffer,
        sys.stdout.buffer,
        sys.stderr.buffer,
        cwd=_working_directory(),
        environment=dict(os.environ),
        interactive=sys.stdin.isatty() and sys.stdout.isatty(),
        columns=size.columns,
        rows=size.lines,
        color=sys.stderr.isatty() and not os.environ.get("NO_COLOR"),
    )
    signals = _listen_for_interrupts(session)
    try:
        code = run(sys.argv[1:], session)
    finally:
        _close(session)
    _forget_broken_pipes()
    return 128 + signals[0] if signals and code == Cancelled.exit_code else code


def _open_closed_streams() -> None:
    """A shell's ``<&-`` or ``>&-``: the numbers 0 to 2 must be taken, or the next file opened gets one of them."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
        if getattr(sys, name) is None:  # Python found it closed
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115 - lives as long as the process


def _working_directory() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:  # removed under our feet; only commands that need it will say so
        return Path("/")


def _listen_for_interrupts(session: Session) -> list[int]:
    """The signals that came; the first asks kindly, a second breaks off."""
    came: list[int] = []

    def interrupt(number: int, _frame: FrameType | None) -> None:
        came.append(number)
        if len(came) > 1:
            raise KeyboardInterrupt
        session.cancel.cancel()

    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)
    return came


def _close(session: Session) -> None:
    try:
        session.close()
    except MinirtError as error:
        session.complain(f"{session.name}: {error.explain()}\n")


def _forget_broken_pipes() -> None:
    """Python flushes at exit; with the reader gone, or the disk full, that would print a warning."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
