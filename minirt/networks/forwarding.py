"""Published ports: what comes in on the machine goes on over a socket inside the container's network.

A socket belongs to the network namespace where it was made, for good. So the listening ones, made on the machine, and
the outgoing ones, made here inside, live in one process, and no packet filter is needed.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from minirt.networks.loop import READ, WRITE, Loop

__all__ = ["TcpForwarder", "UdpForwarder"]

_READ = 64 * 1024
_MOST_PENDING = 256 * 1024
_UDP_IDLE = 90.0  # seconds without a word, as docker-proxy
_BACKLOG_PAUSE = 0.01

Address = tuple[str, int]


@dataclass(slots=True)
class _Way:
    """One direction of a connection."""

    source: socket.socket
    sink: socket.socket
    pending: bytearray = field(default_factory=bytearray)
    ended: bool = False
    shut: bool = False


class TcpForwarder:
    """Accepts on ``listener``, and connects to ``target`` for each."""

    def __init__(self, loop: Loop, listener: socket.socket, target: Address) -> None:
        self.loop = loop
        self.listener = listener
        self.target = target
        listener.setblocking(False)
        loop.watch(listener, READ, self._accept)

    def _accept(self, _events: int) -> None:
        try:
            outer, _ = self.listener.accept()
        except BlockingIOError:
            return
        except OSError:
            time.sleep(_BACKLOG_PAUSE)  # no descriptors left: some will be given back
            return
        inner = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        for sock in (outer, inner):
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        inner.connect_ex(self.target)
        _Connection(self.loop, outer, inner)


class _Connection:
    def __init__(self, loop: Loop, outer: socket.socket, inner: socket.socket) -> None:
        self.loop = loop
        self.ways = (_Way(outer, inner), _Way(inner, outer))
        self.connected = False
        loop.watch(inner, WRITE, self._answered)

    def _answered(self, _events: int) -> None:
        """The inner side is connected, or refused it."""
        inner = self.ways[1].source
        if inner.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._close()
            return
        self.connected = True
        self._wait()

    def _wait(self) -> None:
        """Ask for what can be done next, or end when nothing is left to do."""
        if all(way.shut for way in self.ways):
            self._close()
            return
        for index, way in enumerate(self.ways):
            other = self.ways[1 - index]
            reads = READ if not way.ended and len(way.pending) < _MOST_PENDING else 0
            writes = WRITE if other.pending else 0
            self.loop.watch(way.source, reads | writes, self._ready(index))

    def _ready(self, index: int) -> Callable[[int], None]:
        incoming, outgoing = self.ways[index], self.ways[1 - index]

        def ready(events: int) -> None:
            try:
                if events & READ:
                    self._take(incoming)
                if events & WRITE or events & READ:
                    self._give(outgoing if events & WRITE else incoming)
            except OSError:
                self._close()
                return
            self._wait()

        return ready

    def _take(self, way: _Way) -> None:
        with contextlib.suppress(BlockingIOError):
            data = way.source.recv(_READ)
            way.pending += data
            way.ended = not data

    def _give(self, way: _Way) -> None:
        with contextlib.suppress(BlockingIOError):
            while way.pending:
                del way.pending[: way.sink.send(way.pending)]
        if way.ended and not way.pending and not way.shut:
            way.shut = True
            with contextlib.suppress(OSError):
                way.sink.shutdown(socket.SHUT_WR)

    def _close(self) -> None:
        for way in self.ways:
            self.loop.close(way.source)


@dataclass(slots=True)
class _Client:
    """Somebody outside who talks to a UDP port: his answers come to a socket of his own."""

    sock: socket.socket
    last: float


class UdpForwarder:
    """Hands datagrams on, and the answers back to who asked."""

    def __init__(self, loop: Loop, listener: socket.socket, target: Address) -> None:
        self.loop = loop
        self.listener = listener
        self.target = target
        self.clients: dict[Any, _Client] = {}
        listener.setblocking(False)
        loop.watch(listener, READ, self._receive)
        loop.every_second(self._forget)

    def _receive(self, _events: int) -> None:
        with contextlib.suppress(OSError):
            data, sender = self.listener.recvfrom(_READ)
            client = self.clients.get(sender) or self._new(sender)
            client.last = time.monotonic()
            client.sock.send(data)

    def _new(self, sender: Any) -> _Client:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.connect(self.target)
        client = self.clients[sender] = _Client(sock, time.monotonic())

        def back(_events: int) -> None:
            with contextlib.suppress(OSError):
                self.listener.sendto(sock.recv(_READ), sender)
                client.last = time.monotonic()

        self.loop.watch(sock, READ, back)
        return client

    def _forget(self, now: float) -> None:
        for sender, client in list(self.clients.items()):
            if now - client.last > _UDP_IDLE:
                self.loop.close(client.sock)
                del self.clients[sender]
