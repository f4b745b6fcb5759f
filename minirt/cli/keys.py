"""What is typed: which keys leave a container alone, and the thread that carries the others to it."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable

__all__ = ["DETACH_KEYS", "DetachKeys", "Typing", "parse_keys"]

DETACH_KEYS = b"\x10\x11"
"""Ctrl-P Ctrl-Q, docker's default."""

_SPECIAL = {"@": 0, "[": 27, "\\": 28, "]": 29, "^": 30, "_": 31}
_CHUNK = 4096


def parse_keys(text: str) -> bytes:
    r"""``ctrl-p,ctrl-q``: letters, digits, or ``ctrl-`` and one of ``a``-``z @ [ \ ] ^ _``. Raises ValueError."""
    keys = bytearray()
    for word in text.split(","):
        name = word.lower()
        letter = name.removeprefix("ctrl-")
        if name.startswith("ctrl-") and len(letter) == 1 and "a" <= letter <= "z":
            keys.append(ord(letter) - ord("a") + 1)
        elif name.startswith("ctrl-") and letter in _SPECIAL:
            keys.append(_SPECIAL[letter])
        elif len(word) == 1 and word.isascii() and word.isalnum():
            keys.append(ord(word))
        else:
            raise ValueError(f"invalid detach keys ({text}): unknown character: '{word}'")
    return bytes(keys)


class DetachKeys:
    """Looks for a sequence of keys in what is typed, also when it comes in pieces."""

    def __init__(self, keys: bytes = DETACH_KEYS) -> None:
        self._keys = keys
        self._held = 0

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """What is to be passed on of ``data``, and whether the sequence came. Its beginning is held back."""
        passed = bytearray()
        for byte in data:
            if byte == self._keys[self._held]:
                self._held += 1
                if self._held == len(self._keys):
                    self._held = 0
                    return bytes(passed), True
                continue
            passed += self._keys[: self._held]
            self._held = int(byte == self._keys[0])
            if not self._held:
                passed.append(byte)
        return bytes(passed), False


class Typing:
    """Carries keys from ``source`` into a pipe until the end, the detach keys (then ``leave``) or :meth:`stop`."""

    def __init__(self, source: int, keys: bytes) -> None:
        self.reading, self._writing = os.pipe()
        self._source = source
        self._keys = DetachKeys(keys)
        self._stop, self._stopping = os.pipe()
        self._thread: threading.Thread | None = None

    def start(self, leave: Callable[[], None]) -> None:
        """Begin to read: not before the program runs, so that nothing typed for others is taken away."""
        self._thread = threading.Thread(target=self._carry, args=(leave,), name="typing", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take nothing more, and close everything."""
        os.close(self._stopping)
        if self._thread is not None:
            self._thread.join()
        for fd in (self.reading, self._writing, self._stop):
            os.close(fd)

    def _carry(self, leave: Callable[[], None]) -> None:
        poll = select.poll()
        poll.register(self._source, select.POLLIN)
        poll.register(self._stop, select.POLLIN)
        while not any(fd == self._stop for fd, _ in poll.poll()):
            try:
                data = os.read(self._source, _CHUNK)
            except OSError:
                data = b""  # the window was closed
            passed, left = self._keys.feed(data)
            if not self._pass(passed):
                return
            if left:
                leave()
            if left or not data:
                return

    def _pass(self, data: bytes) -> bool:
        """Hand on, unless told to stop meanwhile: a program that does not read lets a pipe run full."""
        os.set_blocking(self._writing, False)
        while data:
            poll = select.poll()
            poll.register(self._writing, select.POLLOUT)
            poll.register(self._stop, select.POLLIN)
            if any(fd == self._stop for fd, _ in poll.poll()):
                return False
            try:
                data = data[os.write(self._writing, data) :]
            except BlockingIOError:
                continue
            except OSError:
                return False
        return True
