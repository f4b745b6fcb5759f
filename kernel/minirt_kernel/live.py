"""Pictures that go on moving after their cell is done: storage, volumes, namespaces.

One thread looks whether anything changed and sends the picture again under its own display id, so it lands in the
cell that asked for it, whichever cell runs then. Each kind has one moving picture: a new one stops the old. The
pace follows the cost, and a picture at which nothing happens is looked at less and less often.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from minirt.errors import MinirtError, NotFound
from minirt_kernel.page import Page

if TYPE_CHECKING:
    from minirt.views import Graph

__all__ = ["LivePictures"]

FRAMES_PER_SECOND = 5
_SHARE = 1 / 10
"""The most of the time that looking and drawing may take."""
_SLOWEST = 2.0
_PATIENCE = 30 * 60.0
"""Seconds: how long between looks at which nothing changes, and after how long without any change it stops."""
_NOTE = " · live while the kernel runs"


@dataclass(eq=False)
class _Picture:
    """``source`` looks at the engine and makes the graph; ``graph`` is what the page shows."""

    display_id: str
    source: Callable[[], Graph]
    graph: Graph
    context: contextvars.Context = field(default_factory=contextvars.copy_context)
    pause: float = 1 / FRAMES_PER_SECOND
    due: float = field(default_factory=time.monotonic)
    changed: float = field(default_factory=time.monotonic)


class LivePictures:
    """``draw(graph, final=…)`` makes a mimebundle; ``news`` changes when the journal grows."""

    def __init__(self, page: Page, draw: Callable[..., dict[str, Any]], news: Callable[[], int]) -> None:
        self._page, self._draw, self._news = page, draw, news
        self._pictures: dict[str, _Picture] = {}
        self._lock = threading.Lock()
        self._wake = threading.Condition(self._lock)
        self._thread: threading.Thread | None = None

    def add(self, kind: str, display_id: str, source: Callable[[], Graph], graph: Graph) -> None:
        """Keep the picture that was just shown under ``display_id`` moving, in place of the one of its ``kind``."""
        with self._lock:
            old = self._pictures.pop(kind, None)
            self._pictures[kind] = _Picture(display_id, source, graph)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="minirt-live", daemon=True)
                self._thread.start()
            self._wake.notify_all()
        if old is not None:
            self._settle(old)

    def stop(self, kind: str | None = None) -> None:
        """Let the picture of ``kind`` (or all) stand still as it is now. A second call does nothing."""
        with self._lock:
            kinds = [one for one in self._pictures if kind in (None, one)]
            stopped = [self._pictures.pop(one) for one in kinds]
            self._wake.notify_all()
        for picture in stopped:
            self._settle(picture)

    @property
    def kinds(self) -> tuple[str, ...]:
        """What moves now."""
        with self._lock:
            return tuple(self._pictures)

    def _run(self) -> None:
        news = self._news()
        while True:
            with self._lock:
                if not self._pictures:
                    self._thread = None
                    return
                self._wake.wait(1 / FRAMES_PER_SECOND)
                pictures = dict(self._pictures)
            now, heard = time.monotonic(), self._news()
            for kind, picture in pictures.items():
                if heard != news:
                    picture.pause = 1 / FRAMES_PER_SECOND
                if now >= picture.due or (heard != news and picture.due - now <= _SLOWEST):
                    self._look(kind, picture)
            news = heard

    def _look(self, kind: str, picture: _Picture) -> None:
        start = time.monotonic()
        try:
            graph = picture.source()
        except NotFound:
            self.stop(kind)  # what it showed is gone
            return
        except MinirtError:
            graph = picture.graph  # something changed under the look; the next one tells
        if graph != picture.graph:
            picture.graph, picture.changed, picture.pause = graph, start, 1 / FRAMES_PER_SECOND
            self._show(kind, picture)
        elif start - picture.changed > _PATIENCE:
            self.stop(kind)
            return
        else:
            picture.pause = min(_SLOWEST, picture.pause * 1.3)
        end = time.monotonic()
        picture.due = end + max(picture.pause, (end - start) / _SHARE)

    def _show(self, kind: str, picture: _Picture) -> None:
        bundle = self._draw(moving(picture.graph), final=False)
        with self._lock:
            # Whoever took it away meanwhile has the last word.
            if self._pictures.get(kind) is picture:
                self._send(picture, bundle)

    def _settle(self, picture: _Picture) -> None:
        try:
            picture.graph = picture.source()
        except NotFound:
            picture.graph = replace(picture.graph, subtitle="gone by now; this is how it was last seen")
        except MinirtError:
            pass  # it stays as it is
        bundle = self._draw(picture.graph, final=True)
        with self._lock:
            self._send(picture, bundle)

    def _send(self, picture: _Picture, bundle: dict[str, Any]) -> None:
        # The context says which cell it belongs to; without it, the message would name whichever cell runs now.
        picture.context.run(self._page.show, bundle, picture.display_id, update=True)


def moving(graph: Graph) -> Graph:
    """The same picture, saying that it moves."""
    return replace(graph, subtitle=f"{graph.subtitle}{_NOTE}" if graph.subtitle else _NOTE.removeprefix(" · "))
