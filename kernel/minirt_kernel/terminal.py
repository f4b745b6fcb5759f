"""The kernel's end of a terminal on the page: bytes to its views, keys and sizes from them.

Messages from a view (each with its ``view``): ``hello``; ``code``; ``ready`` and ``resize`` with ``rows`` and
``columns``; ``keys`` (text) and ``binary`` (a character a byte) with ``data`` and their ``count``; ``taken`` with
``bytes``; ``bye``. To a view: ``code`` with the script; ``show`` with bytes; ``end`` with ``text``.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import resources
from typing import TYPE_CHECKING, Any

from minirt.cli.keys import DetachKeys

if TYPE_CHECKING:
    from minirt.engine.attaching import Attachment

__all__ = ["Link", "script"]

_KEPT = 256 * 1024  # bytes that a page opened later is shown
_AHEAD = 512 * 1024  # bytes a view may have been sent and not drawn yet: what Ctrl-C cannot take back
_COALESCE = 0.005  # seconds; bytes that come close together travel together
_PATIENCE = 5.0  # seconds for a view to draw something; one that is gone must not hold the program back
_RESET = b"\x1bc"


def script(name: str) -> str:
    """A file of ``static/``."""
    return (resources.files("minirt_kernel") / "static" / name).read_text(encoding="utf-8")


@dataclass(slots=True)
class _View:
    ahead: int = 0
    lagged: bool = False
    next: int = 0
    early: dict[int, bytes] = field(default_factory=dict)


class Link:
    """One program's terminal; all methods may be called from any thread. ``send`` takes a message and its bytes."""

    def __init__(self, send: Callable[[dict[str, Any], bytes | None], None]) -> None:
        self.hello = threading.Event()
        self.ready = threading.Event()
        self.window = (24, 80)
        self._send = send
        self._views: dict[str, _View] = {}
        self._changed = threading.Condition()
        self._kept = bytearray()
        self._fresh = bytearray()
        self._over = ""
        self._keys: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._attachment: Attachment | None = None

    def connect(self, attachment: Attachment, typing: int, keys: bytes) -> None:
        """From now on what is typed goes to ``typing``, a pipe that this closes in the end."""
        self._attachment = attachment
        attachment.resize(*self.window)
        arguments = (attachment, typing, DetachKeys(keys))
        threading.Thread(target=self._type, args=arguments, name="terminal-keys", daemon=True).start()
        threading.Thread(target=self._show, name="terminal-output", daemon=True).start()

    def output(self, _stream: str, data: bytes) -> None:
        """What the program wrote; slows the program down while a view is far behind."""
        with self._changed:
            while len(self._fresh) > _AHEAD and not self._over:
                self._changed.wait(1)
            self._fresh += data
            self._changed.notify_all()

    def end(self, text: str) -> None:
        """The last line; nothing is typed any more."""
        with self._changed:
            self._over = text
            self._changed.notify_all()
        self._keys.put(None)

    def message(self, content: dict[str, Any]) -> None:
        """From a view."""
        kind, name = content.get("type"), str(content.get("view", ""))
        if kind == "hello":
            self.hello.set()
        elif kind == "code":
            self._send({"type": "code"}, script("terminal.js").encode())
        elif kind in ("ready", "resize"):
            self._resize(int(content["rows"]), int(content["columns"]))
            if kind == "ready":
                self._welcome(name)
                self.ready.set()
        elif kind in ("keys", "binary"):
            data = str(content["data"]).encode("utf-8" if kind == "keys" else "latin-1", "replace")
            self._typed(name, int(content["count"]), data)
        elif kind == "taken":
            self._taken(name, int(content["bytes"]))
        elif kind == "bye":
            with self._changed:
                self._views.pop(name, None)
                self._changed.notify_all()

    def _resize(self, rows: int, columns: int) -> None:
        self.window = (max(rows, 1), max(columns, 1))
        if self._attachment is not None and not self._over:
            self._attachment.resize(*self.window)

    def _typed(self, name: str, count: int, data: bytes) -> None:
        """In the order in which they were typed: the kernel may take two messages at once."""
        with self._changed:
            view = self._views.get(name)
            if view is None:
                return
            view.early[count] = data
            while view.next in view.early:
                self._keys.put(view.early.pop(view.next))
                view.next += 1

    def _welcome(self, name: str) -> None:
        with self._changed:
            self._views[name] = _View()
            self._give(name, bytes(self._kept))
            if self._over and not self._fresh:
                self._send({"type": "end", "view": name, "text": self._over}, None)

    def _taken(self, name: str, count: int) -> None:
        with self._changed:
            view = self._views.get(name)
            if view is None:
                return
            view.ahead -= count
            if view.lagged and view.ahead <= 0:  # it is back: show it where things stand
                view.ahead, view.lagged = 0, False
                self._give(name, _RESET + bytes(self._kept))
            self._changed.notify_all()

    def _give(self, name: str, data: bytes) -> None:
        if data:
            self._views[name].ahead += len(data)
            self._send({"type": "show", "view": name}, data)

    def _show(self) -> None:
        """In a thread: hand out what comes, at the pace of the views."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._fresh or self._over)
            time.sleep(_COALESCE)
            with self._changed:
                data, self._fresh = bytes(self._fresh), bytearray()
                self._kept += data
                del self._kept[:-_KEPT]
                for name in [name for name, view in self._views.items() if not view.lagged]:
                    self._give(name, data)
                self._changed.notify_all()
                if self._over and not self._fresh:
                    for name in self._views:
                        self._send({"type": "end", "view": name, "text": self._over}, None)
                    return
                self._wait_for_views()

    def _wait_for_views(self) -> None:
        def keeping_up() -> bool:
            return all(view.lagged or view.ahead < _AHEAD for view in self._views.values())

        if not self._changed.wait_for(keeping_up, _PATIENCE):
            for view in self._views.values():
                view.lagged = view.lagged or view.ahead >= _AHEAD

    def _type(self, attachment: Attachment, typing: int, keys: DetachKeys) -> None:
        """In a thread, as a program that does not read lets the pipe run full."""
        try:
            while (data := self._keys.get()) is not None:
                passed, left = keys.feed(data)
                if passed:
                    os.write(typing, passed)
                if left:
                    attachment.detach()
                    return
        except OSError:
            pass  # nobody reads any more
        finally:
            os.close(typing)
