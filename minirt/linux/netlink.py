"""Netlink (netlink(7)): asking the kernel about its network over a socket, in messages of nested attributes.

Written here rather than taken from a library because a container's start waits for it: a handful of messages, and
no import that takes longer than the start itself.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator, Mapping

__all__ = ["NETFILTER", "ROUTE", "Netlink", "attribute", "attributes", "nested", "number", "text"]

ROUTE, NETFILTER = 0, 12
_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_ERROR, _DONE = 2, 3
_HEAD = struct.Struct("=IHHII")
_NESTED = 0x8000
_KIND_MASK = 0x3FFF
_RECEIVE = 1 << 16


def attribute(kind: int, data: bytes) -> bytes:
    """One attribute: length, kind, data, filled up to four bytes."""
    size = 4 + len(data)
    return struct.pack("=HH", size, kind) + data + b"\0" * (-size % 4)


def nested(kind: int, *parts: bytes) -> bytes:
    """An attribute that holds attributes."""
    return attribute(kind | _NESTED, b"".join(parts))


def number(kind: int, value: int, *, order: str = "=") -> bytes:
    """An attribute of 32 bits; netfilter wants them in network byte order (``!``)."""
    return attribute(kind, struct.pack(f"{order}I", value))


def text(kind: int, value: str) -> bytes:
    """A text with its final zero."""
    return attribute(kind, value.encode() + b"\0")


def attributes(data: bytes) -> Mapping[int, bytes]:
    """The attributes in ``data`` by kind; of several of one kind, the last."""
    found: dict[int, bytes] = {}
    while len(data) >= 4:
        size, kind = struct.unpack_from("=HH", data)
        if size < 4:
            break
        found[kind & _KIND_MASK] = data[4:size]
        data = data[size + (-size % 4) :]
    return found


class Netlink:
    """A socket to the kernel in this process's network namespace, as it is when the socket is made."""

    def __init__(self, family: int = ROUTE) -> None:
        self._sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, family)
        self._sock.bind((0, 0))
        self._sequence = 0

    def __enter__(self) -> Netlink:
        return self

    def __exit__(self, *_: object) -> None:
        self._sock.close()

    def ask(self, kind: int, flags: int, body: bytes) -> None:
        """One request, and its acknowledgement. Raises ``OSError`` with the kernel's errno."""
        self._sock.send(self._message(kind, flags | _ACK, body))
        for _ in self._answers(1):
            pass

    def batch(self, messages: list[tuple[int, int, bytes]], begin: tuple[int, bytes], end: tuple[int, bytes]) -> None:
        """Netfilter's transactions: all (kind, flags, body) take effect, or none. Raises ``OSError``."""
        parts = [self._message(begin[0], 0, begin[1])]
        parts += [self._message(kind, flags | _ACK, body) for kind, flags, body in messages]
        parts.append(self._message(end[0], 0, end[1]))
        self._sock.send(b"".join(parts))
        for _ in self._answers(len(messages)):
            pass

    def dump(self, kind: int, body: bytes) -> Iterator[bytes]:
        """Every object of a kind, each as the bytes after its netlink header."""
        self._sock.send(self._message(kind, _DUMP, body))
        yield from self._answers(1)

    def _message(self, kind: int, flags: int, body: bytes) -> bytes:
        self._sequence += 1
        return _HEAD.pack(_HEAD.size + len(body), kind, flags | _REQUEST, self._sequence, 0) + body

    def _answers(self, acknowledgements: int) -> Iterator[bytes]:
        left = acknowledgements
        while left:
            data = self._sock.recv(_RECEIVE)
            while len(data) >= _HEAD.size:
                size, kind, _, _, _ = _HEAD.unpack_from(data)
                body, data = data[_HEAD.size : size], data[size + (-size % 4) :]
                if kind == _ERROR:
                    code = struct.unpack_from("=i", body)[0]
                    if code:
                        raise OSError(-code, os.strerror(-code))
                    left -= 1
                elif kind == _DONE:
                    left = 0
                else:
                    yield body
