"""The resolver that containers of a network ask: it knows their names, and asks the machine's servers for others."""

from __future__ import annotations

import contextlib
import ipaddress
import random
import secrets
import socket
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from minirt.linux import nft
from minirt.networks import messages
from minirt.networks.claims import live_claims
from minirt.networks.loop import READ, Loop
from minirt.networks.messages import PTR, A, Question
from minirt.networks.names import ADDRESS
from minirt.networks.records import BUILT_IN

__all__ = ["Names", "Resolver", "bind_resolver", "upstream_sockets"]

_PORT = 53
_MOST = 65535
_PATIENCE = 2.0  # seconds until the next server is asked
_SOCKETS = 4  # ports that questions leave from: an answer must be guessed along with its port

Reply = Callable[[bytes], None]


class Names:
    """Names and addresses on the networks that ``container`` is on, read again when they have changed."""

    def __init__(self, home: Path, container: str, links: Sequence[str] = ()) -> None:
        self._home = home / "networks"
        self._container = container
        self._links = {name.lower(): identity for identity, _, name in (text.partition(":") for text in links)}

    def _networks(self) -> list[str]:
        name = f"{self._container}.json"
        with contextlib.suppress(OSError):
            found = (entry.name for entry in self._home.iterdir() if entry.name not in BUILT_IN)
            return [network for network in found if (self._home / network / "endpoints" / name).exists()]
        return []

    def addresses(self, name: str) -> list[str]:
        """``web`` or, if that is not unique, ``web.backend``; in any order if several have the name."""
        found = []
        linked = self._links.get(name)
        for network in self._networks():
            short = name.removesuffix(f".{network.lower()}")
            for claim in live_claims(self._home.parent, network):
                if claim.container == linked or {name, short} & {known.lower() for known in claim.names}:
                    found.append(claim.address)
        random.shuffle(found)
        return found

    def name_of(self, address: str) -> str | None:
        for network in self._networks():
            for claim in live_claims(self._home.parent, network):
                if claim.address == address and claim.names:
                    return f"{claim.names[0]}.{network}"
        return None


def upstream_sockets(servers: Sequence[str]) -> list[list[socket.socket]]:
    """Sockets to name servers, some for each, made in the network namespace where the servers can be reached."""
    found = []
    for server in servers:
        with contextlib.suppress(OSError, ValueError):
            version = ipaddress.ip_address(server.partition("%")[0]).version
            sockets = []
            for _ in range(_SOCKETS):
                sock = socket.socket(socket.AF_INET6 if version == 6 else socket.AF_INET, socket.SOCK_DGRAM)
                sockets.append(sock)
                sock.setblocking(False)
                sock.connect((server, _PORT))
            found.append(sockets)
    return found


def bind_resolver() -> tuple[socket.socket, socket.socket]:
    """The sockets that containers ask at, UDP and TCP, in the network namespace that this process is in.

    They have ports of their own, so that a container may run a name server itself; port 53 leads to them.
    """
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    for sock in (udp, tcp):
        sock.bind((ADDRESS, 0))
        sock.setblocking(False)
    tcp.listen(16)
    try:
        nft.redirect_local(ADDRESS, _PORT, {"udp": udp.getsockname()[1], "tcp": tcp.getsockname()[1]})
    except OSError:
        # No packet filter in this kernel: then the port is taken after all.
        udp.close()
        tcp.close()
        udp, tcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket()
        for sock in (udp, tcp):
            sock.bind((ADDRESS, _PORT))
            sock.setblocking(False)
        tcp.listen(16)
    return udp, tcp


@dataclass(slots=True)
class _Pending:
    """A question under way to a server. ``left`` are the servers not asked yet."""

    question: Question
    message: bytes
    reply: Reply
    left: list[list[socket.socket]] = field(default_factory=list)
    asked: socket.socket | None = None
    since: float = 0.0


class Resolver:
    """Answers what comes at ``asked``, the sockets of :func:`bind_resolver`."""

    def __init__(
        self,
        loop: Loop,
        names: Names,
        servers: list[list[socket.socket]],
        asked: tuple[socket.socket, socket.socket],
    ) -> None:
        self.loop = loop
        self.names = names
        self.servers = servers
        self.pending: dict[int, _Pending] = {}
        self.udp, self.tcp = asked
        for sock in (one for sockets in servers for one in sockets):
            loop.watch(sock, READ, self._from_server(sock))
        loop.watch(self.udp, READ, self._from_container)
        loop.watch(self.tcp, READ, self._accept)
        loop.every_second(self._retry)

    def _from_container(self, _events: int) -> None:
        with contextlib.suppress(OSError):
            message, sender = self.udp.recvfrom(_MOST)

            def reply(answer: bytes) -> None:
                with contextlib.suppress(OSError):
                    self.udp.sendto(answer, sender)

            self.serve(message, reply)

    def _accept(self, _events: int) -> None:
        with contextlib.suppress(OSError):
            client, _ = self.tcp.accept()
            client.setblocking(False)
            received = bytearray()

            def reply(answer: bytes) -> None:
                with contextlib.suppress(OSError):
                    client.send(struct.pack("!H", len(answer)) + answer)

            def ready(_events: int) -> None:
                try:
                    data = client.recv(_MOST)
                except OSError:
                    data = b""
                received.extend(data)
                if not data:
                    self.loop.close(client)
                while len(received) >= 2 and len(received) >= 2 + (size := struct.unpack_from("!H", received)[0]):
                    message = bytes(received[2 : 2 + size])
                    del received[: 2 + size]
                    self.serve(message, reply)

            self.loop.watch(client, READ, ready)

    def serve(self, message: bytes, reply: Reply) -> None:
        """Answer one question, now or when a server has answered it."""
        question = messages.parse_question(message)
        if question is None:
            return
        answer = self._own(question)
        if answer is not None:
            reply(answer)
            return
        self._ask(_Pending(question, message, reply, list(self.servers)))

    def _own(self, question: Question) -> bytes | None:
        """The answer, if it is about one of our containers."""
        if question.kind == PTR:
            address = question.name.removesuffix(".in-addr.arpa").split(".")
            name = self.names.name_of(".".join(reversed(address)))
            return None if name is None else messages.answer(question, [messages.name_data(name)], kind=PTR)
        addresses = self.names.addresses(question.name)
        if not addresses:
            return None
        wanted = addresses if question.kind in (A, messages.ANY) else []
        return messages.answer(question, [socket.inet_aton(address) for address in wanted])

    def _ask(self, pending: _Pending) -> None:
        while pending.left:
            sock = random.choice(pending.left.pop(0))
            number = secrets.randbelow(1 << 16)
            if number in self.pending:
                number = next((one for one in range(1 << 16) if one not in self.pending), number)
            try:
                sock.send(struct.pack("!H", number) + pending.message[2:])
            except OSError:
                continue  # that server cannot be reached: the next one
            pending.asked, pending.since = sock, time.monotonic()
            self.pending[number] = pending
            return
        pending.reply(messages.failure(pending.question))

    def _from_server(self, sock: socket.socket) -> Callable[[int], None]:
        def ready(_events: int) -> None:
            try:
                message = sock.recv(_MOST)
            except BlockingIOError:
                return
            except OSError:
                self._give_up(lambda pending: pending.asked is sock)
                return
            if len(message) < 12:
                return
            pending = self.pending.get(struct.unpack_from("!H", message)[0])
            if pending is None or pending.asked is not sock:
                return
            del self.pending[struct.unpack_from("!H", message)[0]]
            pending.reply(struct.pack("!H", pending.question.id) + message[2:])

        return ready

    def _retry(self, now: float) -> None:
        self._give_up(lambda pending: now - pending.since > _PATIENCE)

    def _give_up(self, chosen: Callable[[_Pending], bool]) -> None:
        for number, pending in list(self.pending.items()):
            if chosen(pending):
                del self.pending[number]
                self._ask(pending)
