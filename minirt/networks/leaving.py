"""What a monitor does about its container's networks at the end, and what the journal is told of them."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from minirt.linux.namespaces import CLONE_NEWNET
from minirt.linux.processes import name_process
from minirt.linux.syscalls import setns
from minirt.networks.claims import drop_claim, networks_of
from minirt.networks.plan import Wiring
from minirt.networks.records import Network
from minirt.store.journal import Journal

__all__ = ["End", "back", "tell"]


def back(machine: int) -> None:
    """Step back into the network namespace of this descriptor, if that can be."""
    with contextlib.suppress(OSError):
        setns(machine, CLONE_NEWNET)


def tell(action: str, wiring: Wiring, network: Network) -> None:
    """``connect`` or ``disconnect``, as docker's events have them when a container starts and ends."""
    attributes = {"container": wiring.container, "name": network.name, "type": network.driver}
    Journal(Path(wiring.home)).write("network", action, network.id, attributes)


class End:
    """What is left to do for a network when its container has ended."""

    def __init__(self, wiring: Wiring, place: int, helpers: list[int], *, told: bool) -> None:
        self.wiring, self.told = wiring, told
        self.home, self.container = Path(wiring.home), wiring.container
        self.place = place
        self.helpers = helpers
        self.left: dict[str, Network] = {}
        self.released = False

    def release(self) -> None:
        """Its names and addresses are nobody's before anybody hears of the end. Also on networks it joined later.

        Only once: what is claimed after that is the next start's of the same container.
        """
        if self.released:
            return
        self.released = True
        for network in networks_of(self.home, self.container):
            self.left[network.name] = network
            with contextlib.suppress(OSError):
                drop_claim(self.home, network.name, self.container)
                if self.told:
                    tell("disconnect", self.wiring, network)
        while self.helpers:
            helper = self.helpers.pop()
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(helper, signal.SIGKILL)
                os.waitpid(helper, 0)

    def leave(self) -> None:
        """The end is told: this process has nothing else to do any more."""
        self.release()
        if not self.left:
            return
        from minirt.networks.bridges import leave_later

        name_process("mrt-net-end")
        back(self.place)
        # Whoever reads what the container wrote waits until all who could still write have closed it.
        os.closerange(0, max(map(int, os.listdir("/proc/self/fd"))) + 1)
        leave_later(self.home, list(self.left.values()))
