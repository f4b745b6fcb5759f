"""Screens of the notebook: each program that is typed on gets a terminal of its own in the cell's output.

The cell is done as soon as the program runs; the terminal lives on while the page and the kernel do.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from minirt.errors import Cancelled, MinirtError
from minirt.model.cancel import Cancel
from minirt_kernel.terminal import Link, script

if TYPE_CHECKING:
    from minirt.cli import Session
    from minirt.cli.screens import Program, Screen
    from minirt_kernel.runtime import Runtime

__all__ = ["NoLivePage", "NotebookScreens", "end_all", "fallback"]

_HELLO = 4.0
_READY = 20.0
"""Seconds: a page that is there says hello at once; then it has to fetch the terminal."""
_GRACE = 0.2
_WIDGET = "application/vnd.jupyter.widget-view+json"
_live: set[_NotebookScreen] = set()


class NoLivePage(Exception):
    """Nobody looks. ``text`` is to be shown; empty when it is on the page already."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


def fallback(argv: list[str], instead: str) -> str:
    """What stands in the place of a terminal where there is none: in a saved notebook, in an exported page."""
    return (
        f"docker {shlex.join(argv)}: a terminal needs a live page.\n"
        "Open the notebook in JupyterLab with its kernel and run this cell again.\n"
        f"Without a page: {instead}"
    )


def end_all(patience: float) -> None:
    """The kernel goes away, and with it what was started on its screens, as if a window was closed."""
    screens = list(_live)
    for screen in screens:
        screen.hang_up()
    for screen in screens:
        screen.join(patience)


class NotebookScreens:
    """Screens for one command. ``loop`` is the kernel's; None where no page can answer meanwhile."""

    def __init__(self, runtime: Runtime, loop: asyncio.AbstractEventLoop | None, text: str) -> None:
        self._runtime = runtime
        self._loop = loop
        self._text = text

    @contextlib.contextmanager
    def open(self, session: Session) -> Iterator[Screen]:
        """Called in the command's thread. Raises :class:`NoLivePage`, Cancelled."""
        if self._loop is None or not self._runtime.settings.live or not self._runtime.page.moves:
            raise NoLivePage(self._text)
        screen = _NotebookScreen(self._runtime, self._loop, self._text)
        try:
            if not screen.wait(session.cancel):
                raise NoLivePage("")
            yield screen
        except NoLivePage:
            screen.replace({"text/plain": self._text})
            raise
        except BaseException:
            screen.replace({"text/plain": ""})
            raise


class _NotebookScreen:
    """One terminal on the page."""

    def __init__(self, runtime: Runtime, loop: asyncio.AbstractEventLoop, text: str) -> None:
        self._page = runtime.page
        self._loop = loop
        self._id = uuid.uuid4().hex
        self._cancel = Cancel()
        self._program: Program | None = None
        self._thread: threading.Thread | None = None
        self._attachment: Any = None
        self._widget: Any = self._on_loop(lambda: _widget_class()(text))
        self.link = Link(self._widget.say)
        self._widget.listen(self.link.message)
        bundle = {_WIDGET: {"version_major": 2, "version_minor": 0, "model_id": self._widget.model_id}}
        self._on_loop(lambda: self._page.show({**bundle, "text/plain": text}, self._id, update=False))

    def wait(self, cancel: Cancel) -> bool:
        """Whether a page shows it now. Raises Cancelled."""
        for event, patience in ((self.link.hello, _HELLO), (self.link.ready, _READY)):
            end = time.monotonic() + patience
            while not event.wait(0.05):
                cancel.check()
                if time.monotonic() > end:
                    return False
        return True

    def replace(self, bundle: dict[str, Any]) -> None:
        """Put something else in its place: it never came to life."""
        self._on_loop(lambda: self._page.show(bundle, self._id, update=True))
        self._on_loop(self._widget.close)

    def show(self, program: Program) -> int:
        """Start it and return; a thread waits for its end."""
        reading, typing = os.pipe()
        try:
            self._attachment = program.begin(self.link.output, reading, self.link.window)
        except BaseException:
            os.close(typing)
            raise
        finally:
            os.close(reading)
        self._program = program
        self.link.connect(self._attachment, typing, program.detach_keys)
        self._thread = threading.Thread(target=self._watch, args=(program,), name="terminal-end", daemon=True)
        _live.add(self)
        self._thread.start()
        return 0

    def _watch(self, program: Program) -> None:
        try:
            code = program.finish(self._attachment, self._cancel)
            text = f"The program ended with exit code {code}."
            if code is None:
                text = f"{program.name} runs on: docker attach {program.name} comes back to it."
        except Cancelled:
            text = "The kernel was closed."
        except MinirtError as error:
            text = error.what
        self.link.end(text)
        _live.discard(self)

    def hang_up(self) -> None:
        """End the program, or leave it if others look after it."""
        if self._program is None or self._program.stays:
            self._attachment.detach()
            return
        self._attachment.send(signal.SIGHUP)
        with contextlib.suppress(MinirtError, TimeoutError):
            self._attachment.running.wait(timeout=_GRACE)
        self._attachment.send(signal.SIGKILL)

    def join(self, patience: float) -> None:
        if self._thread is not None:
            self._thread.join(patience)

    def _on_loop(self, action: Callable[[], Any]) -> Any:
        """Where IPython's bookkeeping sends everything to the right cell."""

        async def act() -> Any:
            return action()

        return asyncio.run_coroutine_threadsafe(act(), self._loop).result()


@cache
def _widget_class() -> Any:
    import anywidget
    import traitlets

    class TerminalWidget(anywidget.AnyWidget):
        """The browser's end, which carries messages only."""

        _esm = script("loader.js")
        title = traitlets.Unicode().tag(sync=True)
        fallback = traitlets.Unicode().tag(sync=True)

        def __init__(self, text: str) -> None:
            super().__init__(title=f"Terminal: {text.partition(': a terminal')[0]}", fallback=text)

        def listen(self, receive: Callable[[dict[str, Any]], None]) -> None:
            self.on_msg(lambda _widget, content, _buffers: receive(content))

        def say(self, message: dict[str, Any], data: bytes | None) -> None:
            self.send(message, buffers=None if data is None else [data])

    return TerminalWidget
