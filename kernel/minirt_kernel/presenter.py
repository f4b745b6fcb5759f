"""Shows a command's output, and a build's moving picture, while the command runs.

The picture goes above the text. Frames are drawn in a thread, the newest state wins, and the pace follows the cost:
at most :data:`FRAMES_PER_SECOND`, and at most a twentieth of the time is spent drawing.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from minirt.errors import MinirtError
from minirt.model.events import BuildStarted, Event
from minirt_kernel.feed import Feed, Frame, Text
from minirt_kernel.links import Links, show_links
from minirt_kernel.page import Page
from minirt_kernel.transcript import Transcript

if TYPE_CHECKING:
    from minirt.views import BuildView, Graph

__all__ = ["FRAMES_PER_SECOND", "Place", "Presenter", "draw"]

Place = Callable[[int], int | None]
"""A line of the Dockerfile as a line of the cell; None if it stands in another cell."""

FRAMES_PER_SECOND = 8
_DRAWING_SHARE = 1 / 20
# ipykernel's handler of SIGINT does not wake a loop that sleeps (tornado's add_callback takes it for the loop's own
# call): an interrupt is seen at the next pulse.
_PULSE = 0.1
_TICK = 0.9


def draw(graph: Graph, *, final: bool) -> dict[str, Any]:
    """The mimebundle of ``graph``; without any Graphviz on the machine its text twin must do."""
    from minirt.views import mimebundle

    try:
        return mimebundle(graph, final=final)
    except MinirtError as error:
        return {"text/plain": f"{graph.text}\n({error.what})"}


class Presenter:
    """One command's life on the page. ``live`` False: the picture comes once, when nothing more will change."""

    def __init__(
        self, page: Page, feed: Feed, *, live: bool, keep: Callable[[Graph], None], place: Place | None = None
    ) -> None:
        self._page = page
        self._feed = feed
        self._live = live and page.moves
        self._keep = keep
        self._view: BuildView | None = None
        self._transcript = Transcript(place)
        self._held: list[Text] = []
        self._display_id = ""
        self._frame_id = ""
        self._shown = False
        self._changed = False
        self._due = 0.0

    async def follow(self, ended: asyncio.Future[Any]) -> None:
        """Until ``ended``. After a :class:`asyncio.CancelledError` it may be called again, and goes on."""
        loop = asyncio.get_running_loop()
        woke = asyncio.Event()

        def wake() -> None:
            loop.call_soon_threadsafe(woke.set)

        self._feed.listen(wake)
        ended.add_done_callback(lambda _: woke.set())
        while not ended.done():
            woke.clear()
            self._take()
            self._tick()
            if self._live and self._changed and time.monotonic() >= self._due:
                await self._frame()
            await self._sleep(woke)
        self._take()
        await self._last_frame()

    async def _sleep(self, woke: asyncio.Event) -> None:
        pause = _PULSE
        if self._live and self._changed:
            pause = min(pause, max(0.0, self._due - time.monotonic()))
        try:
            async with asyncio.timeout(pause):
                await woke.wait()
        except TimeoutError:
            pass

    def _tick(self) -> None:
        """The seconds of a running step move on, even if nothing else does."""
        if self._view is not None and self._shown and time.monotonic() - self._due > _TICK:
            self._changed = True

    def _take(self) -> None:
        for item in self._feed.drain():
            if isinstance(item, Text):
                self._say(item)
            elif isinstance(item, Frame):
                self._replace(item)
            elif isinstance(item, Links):
                show_links(self._page, item)
            else:
                self._add(item)

    def _replace(self, frame: Frame) -> None:
        """A table that moves: one display, whose text changes."""
        first = not self._frame_id
        self._frame_id = self._frame_id or uuid.uuid4().hex
        self._page.show({"text/plain": frame.text.rstrip("\n")}, self._frame_id, update=not first)

    def _add(self, event: Event) -> None:
        # A base with ONBUILD makes the plan longer and starts it again: that is the same build, in the same picture.
        if isinstance(event, BuildStarted) and (self._view is None or self._view.finished):
            from minirt.views import BuildView

            # A picture that does not move is one that will be compared: without times and ids.
            self._view = BuildView(stable=not self._live)
            self._display_id, self._shown = uuid.uuid4().hex, False
        if self._view is not None:
            self._view.add(event, time.monotonic())
            self._changed = True
            text = self._transcript.add(event)
            if text:
                self._say(Text("stdout", text))

    def _say(self, text: Text) -> None:
        # Below the picture: until it stands, text that belongs to it waits.
        if self._view is not None and not self._shown:
            self._held.append(text)
        else:
            self._page.write(text.stream, text.text)

    async def _frame(self, *, final: bool = False) -> None:
        assert self._view is not None
        graph = self._view.graph(time.monotonic())
        self._changed = False
        start = time.monotonic()
        bundle = await asyncio.to_thread(draw, graph, final=final)
        cost = time.monotonic() - start
        self._due = time.monotonic() + max(1 / FRAMES_PER_SECOND, cost / _DRAWING_SHARE if self._shown else 0)
        self._page.show(bundle, self._display_id, update=self._shown)
        self._shown = True
        if final:
            self._keep(graph)
        self._release()

    async def _last_frame(self) -> None:
        if self._view is not None:
            await self._frame(final=True)
            self._view = None

    def _release(self) -> None:
        for text in self._held:
            self._page.write(text.stream, text.text)
        self._held.clear()
