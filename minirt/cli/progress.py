"""Shows events while a command runs: as lines anywhere, or as a small picture drawn over itself on a terminal."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from minirt.model.events import Event, EventSink, LayerProgress, StepOutput, ignore

if TYPE_CHECKING:
    from minirt.cli.session import Session

__all__ = ["printed"]


class _Lines(Protocol):
    def lines(self, event: Event) -> list[str]: ...


@contextmanager
def printed(session: Session, what: str, mode: str) -> Iterator[EventSink]:
    """``what`` is ``build``, ``pull``, ``push``, or ``run`` for a pull on the way to a container.

    A pull and a push show on standard output, the others on standard error, as docker's do.
    """
    if mode in ("quiet", "none"):
        yield ignore
        return
    from minirt.cli.progress_build import PlainBuild
    from minirt.cli.progress_pull import PlainPull, PlainPush

    kinds: dict[str, type[_Lines]] = {"build": PlainBuild, "push": PlainPush}
    source = kinds.get(what, PlainPull)()
    if mode == "rawjson":
        from minirt.cli.progress_raw import RawBuild

        source = RawBuild()
    write = _patient(session.print if what in ("pull", "push") else session.complain)
    # A push tells a layer when it is there, and not on its way: nothing to draw.
    if what != "push" and (mode == "tty" or (mode == "auto" and session.interactive)):
        from minirt.cli.progress_screen import Screen

        with Screen(write, what, session.columns, session.rows).open() as drawn:
            yield drawn
        return
    lock = threading.Lock()  # steps of several stages may report at once

    def sink(event: Event) -> None:
        with lock:
            lines = source.lines(event)
            if lines:
                write("".join(f"{line}\n" for line in lines))

    yield sink


def _patient(write: Callable[[str], None]) -> Callable[[str], None]:
    """Nobody reads the progress any more: that is no reason to break off the work."""

    def write_or_not(text: str) -> None:
        with contextlib.suppress(BrokenPipeError):
            write(text)

    return write_or_not


class Throttle:
    """Says whether it is time for the next frame; the newest wins, so a late one is never missed at the end."""

    def __init__(self, per_second: float = 10.0) -> None:
        self._pause = 1.0 / per_second
        self._last = 0.0

    def ready(self, event: Event) -> bool:
        now = time.monotonic()
        if isinstance(event, LayerProgress | StepOutput) and now - self._last < self._pause:
            return False
        self._last = now
        return True
