"""One shell's minirt: the engine made at first use, the sessions of its commands, and what ``%graph last`` shows."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from minirt.model.events import ContainerStarted
from minirt_kernel.chain import Chain
from minirt_kernel.feed import CellStream, Feed, Frame
from minirt_kernel.links import links_of
from minirt_kernel.page import cell_key, page_of

if TYPE_CHECKING:
    from minirt.cli import Session
    from minirt.cli.screens import Screens
    from minirt.cli.settings import Settings
    from minirt.model.cancel import Cancel
    from minirt.model.events import Event, EventSink
    from minirt.views import Graph
    from minirt_kernel.dockerfile_files import Import
    from minirt_kernel.live import LivePictures
    from minirt_kernel.presenter import Place, Presenter

__all__ = ["LazyEngine", "Runtime"]

_FEED: ContextVar[Feed | None] = ContextVar("minirt-feed", default=None)
"""The cell whose command this thread carries out."""
_PATIENCE = 3.0
"""Seconds that running commands get to put everything away when the kernel ends; Jupyter waits 5."""


class Runtime:
    """What the cells of one IPython shell share. Nothing heavy is imported before it is needed."""

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        self.page = page_of(shell)
        self.last_graph: Graph | None = None
        self.chain = Chain()
        self.exported: dict[Path, str] = {}
        self.pending: Import | None = None
        self._engine: Any = None
        self._settings: Settings | None = None
        self._live: LivePictures | None = None
        self._lock = threading.RLock()

    @property
    def live(self) -> LivePictures:
        """The pictures that move on after their cell."""
        from minirt_kernel.live import LivePictures
        from minirt_kernel.presenter import draw

        with self._lock:
            if self._live is None:
                self._live = LivePictures(self.page, draw, lambda: self._engine.journal.size() if self._engine else 0)
            return self._live

    @property
    def settings(self) -> Settings:
        """What the environment asks for. Raises :class:`MinirtError` for a value that cannot be right."""
        from minirt.cli.settings import Settings

        with self._lock:
            if self._settings is None:
                self._settings = Settings.read()
            return self._settings

    @property
    def engine(self) -> Any:
        """The shell's one engine. Raises :class:`MinirtError` if the home cannot be used."""
        from minirt.cli.terminal import make_engine

        with self._lock:
            if self._engine is None:
                self._engine = make_engine(self.settings)
                self._engine.on_event = self._heard
            return self._engine

    def warm(self) -> threading.Thread:
        """Get everything ready in the background, so that the first cell is as quick as the second."""
        thread = threading.Thread(target=self._warm, name="minirt-warm", daemon=True)
        thread.start()
        return thread

    def _warm(self) -> None:
        try:
            from minirt.views import warm

            prepare = getattr(self.engine, "warm", None)
            if prepare is not None:
                prepare()
            warm()
        except Exception as error:  # the first cell that needs it will say what is wrong, in its own place
            logging.getLogger(__name__).debug("warming up failed", exc_info=error)

    def close(self) -> None:
        """End what runs, then the engine; a later cell would start a new one."""
        if self._live is not None:
            self._live.stop()
        if "minirt_kernel.work" in sys.modules:
            from minirt_kernel.work import end_all

            end_all(_PATIENCE)
        if "minirt_kernel.screens" in sys.modules:
            from minirt_kernel import screens

            screens.end_all(_PATIENCE / 2)
        with self._lock:
            engine, self._engine, self._settings = self._engine, None, None
        if engine is not None:
            engine.close()

    async def cell(self, text: str) -> None:
        """Run a cell that is not Python. Raises :class:`MinirtError`, also for an exit code other than 0."""
        from minirt_kernel.commands import run_cell

        await run_cell(self, text)

    def cell_now(self, text: str) -> None:
        """The same from plain Python, which waits for it."""
        from minirt_kernel.work import block

        block(self.cell(text))

    @property
    def cell_key(self) -> tuple[str, int]:
        """The cell that runs: a name that stays the same each time it runs, and the number in its brackets."""
        return cell_key(self.shell)

    def presenter(self, feed: Feed, place: Place | None = None) -> Presenter:
        """``place`` says where in the cell a line of the Dockerfile stands; None for a line of another cell."""
        from minirt_kernel.presenter import Presenter

        return Presenter(self.page, feed, live=self.settings.live, keep=self._keep, place=place)

    def _keep(self, graph: Graph) -> None:
        self.last_graph = graph

    @contextlib.contextmanager
    def telling(self, feed: Feed) -> Iterator[None]:
        """What containers that start in this thread have published is shown as links in ``feed``'s cell."""
        token = _FEED.set(feed)
        try:
            yield
        finally:
            _FEED.reset(token)

    def _heard(self, event: Event) -> None:
        feed = _FEED.get()
        if feed is not None and isinstance(event, ContainerStarted) and event.ports:
            feed.put(links_of(event.name, event.ports))

    def session(
        self,
        feed: Feed,
        cancel: Cancel,
        *,
        stdin: bytes = b"",
        stdout: BinaryIO | None = None,
        screens: Screens | None = None,
    ) -> Session:
        """A conversation of one command: its streams end in the cell, its progress becomes the picture."""
        from minirt.cli import Session

        return Session(
            lambda: self.engine,
            io.BytesIO(stdin),
            stdout or cast(BinaryIO, CellStream(feed, "stdout")),
            cast(BinaryIO, CellStream(feed, "stderr")),
            cwd=Path.cwd(),
            environment=dict(os.environ),
            progress=_Progress(feed),
            screens=screens,
            cancel=cancel,
            name="docker",
            columns=100,
            live=self.settings.live,
            again=lambda text: feed.put(Frame(text)),
        )


class _Progress:
    """``docker build``'s progress is the picture; what is asked for by name, and a pull, is text."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    def __call__(self, session: Session, what: str, title: str, mode: str) -> AbstractContextManager[EventSink]:
        if what == "build" and mode in ("auto", "tty"):
            return nullcontext(self._feed.put)
        from minirt.cli.session import printed_progress

        return printed_progress(session, what, title, mode)


class LazyEngine:
    """``engine`` in Python cells: the real :class:`minirt.engine.Engine`, made when it is first looked at."""

    def __init__(self, runtime: Runtime) -> None:
        object.__setattr__(self, "_runtime", runtime)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_ipython") or name.startswith("_repr_"):
            raise AttributeError(name)  # IPython asks every object for these; that is no reason to start anything
        return getattr(self._runtime.engine, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._runtime.engine, name, value)

    def __dir__(self) -> list[str]:
        return dir(self._runtime.engine)

    def __repr__(self) -> str:
        return repr(self._runtime.engine)
