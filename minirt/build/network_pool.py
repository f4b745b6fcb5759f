"""Networks lent to the commands of one build: as many as run at once.

Each is kept by a worker of the sandbox, which ends with this process whatever happens to it, and so does the network.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from minirt.errors import SandboxError
from minirt.model.spec import MadeNetwork
from minirt.networks.ability import ability
from minirt.networks.names import machine_servers
from minirt.networks.plan import Wiring
from minirt.networks.records import BRIDGE, Wish
from minirt.networks.store import Networks
from minirt.sandbox import Sandbox
from minirt.store import Store

__all__ = ["Lent", "NetworkPool"]


@dataclass(frozen=True, slots=True)
class Lent:
    """``gateway`` is the bridge's own address. ``resolver``: it has a name server of ours."""

    network: MadeNetwork
    gateway: str
    resolver: bool


@dataclass(slots=True)
class NetworkPool:
    """Safe from several threads; :meth:`close` gives everything back."""

    store: Store
    sandbox: Sandbox
    _idle: list[Lent] = field(default_factory=list)
    _keepers: list[_Keeper] = field(default_factory=list)
    _mutex: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def borrowed(self) -> Iterator[Lent]:
        """A network that no other command is on. Raises what :meth:`Networks.join` does, and SandboxError."""
        with self._mutex:
            lent = self._idle.pop() if self._idle else None
        lent = lent or self._make()
        try:
            yield lent
        finally:
            with self._mutex:
                self._idle.append(lent)

    def _make(self) -> Lent:
        name = f"build-{os.getpid()}-{secrets.token_hex(4)}"
        able, servers, networks = ability(self.store.home), machine_servers(), Networks(self.store)
        place = networks.join(Wish(BRIDGE), name, (name,))
        # A name server on the machine's own loopback is out of reach from here, but not from a resolver of ours.
        resolver = any(server.startswith("127.") or server == "::1" for server in servers)
        home = str(self.store.home)
        wiring = Wiring(name, home, (place,), (), resolver, servers, user=able.user, program=able.program)
        try:
            keeper = _Keeper(self.sandbox, wiring)
        except BaseException:
            networks.leave(BRIDGE, name)
            raise
        with self._mutex:
            self._keepers.append(keeper)
        return Lent(MadeNetwork("minirt.networks.wiring:join", keeper.process(name)), place[0].gateway, resolver)

    def close(self) -> None:
        """Return when the networks are gone; what is left of the bridge goes a moment later."""
        with self._mutex:
            keepers, self._keepers, self._idle = self._keepers, [], []
        for keeper in keepers:
            keeper.close()


class _Keeper:
    """A worker that stays in a network until it is told to leave."""

    def __init__(self, sandbox: Sandbox, wiring: Wiring) -> None:
        told, telling = os.pipe2(os.O_CLOEXEC)
        held, self._hold = os.pipe2(os.O_CLOEXEC)
        self._error: BaseException | None = None
        self._thread = threading.Thread(
            target=self._call, args=(sandbox, wiring, telling, held), name="network", daemon=True
        )
        self._thread.start()
        with open(told, encoding="ascii") as lines:
            self._words = lines.readline().split()
        if not self._words:
            self.close()
            raise self._error or SandboxError("cannot make a network for RUN", hint="Build with --network host.")

    def _call(self, sandbox: Sandbox, wiring: Wiring, telling: int, held: int) -> None:
        try:
            sandbox.call("minirt.networks.wiring:keep", wiring.to_json(), fds=[telling, held])
        except BaseException as error:
            self._error = error
        finally:
            os.close(telling)
            os.close(held)

    def process(self, name: str) -> dict[str, object]:
        return {"pid": int(self._words[0]), "start_time": int(self._words[1]), "name": name}

    def close(self) -> None:
        os.close(self._hold)
        self._thread.join()
