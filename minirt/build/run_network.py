"""The network of a RUN step: what a container's would be, made for the command and gone with it.

``default`` is the bridge network where the machine gives one that reaches the outside, for an ordinary user
slirp4netns; elsewhere the machine's own network, because a build without any cannot install anything. Commands that
follow each other get the same one: nothing of the one before is left in it, and making one takes as long as a
short command.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from minirt.build.job import Job
from minirt.model.spec import HostNetwork, LoopbackNetwork, Network
from minirt.networks.ability import ability
from minirt.networks.names import resolv_conf

__all__ = ["StepNetwork", "step_network"]

_LOCAL = "127.0.0.1\tlocalhost buildkitsandbox\n::1\tlocalhost ip6-localhost ip6-loopback\n"


@dataclass(frozen=True, slots=True)
class StepNetwork:
    """The sandbox's network, and the two files that tell of it."""

    network: Network
    hosts: str
    resolv_conf: str

    def files(self) -> dict[str, str]:
        return {"/etc/hosts": self.hosts, "/etc/resolv.conf": self.resolv_conf}


@contextmanager
def step_network(job: Job, wish: str) -> Iterator[StepNetwork]:
    """``wish`` is default, host or none.

    Raises SandboxError if the bridge cannot be brought up, Conflict without an address left.
    """
    extra = job.request.extra_hosts
    if wish == "none":
        yield StepNetwork(LoopbackNetwork(), _hosts(extra), resolv_conf((), resolver=False))
        return
    home = job.tools.store.home
    able = ability(home) if wish == "default" and job.tools.sandbox.machine.isolation == "namespaces" else None
    if able is None or not able.own or able.confined:
        yield StepNetwork(HostNetwork(), _hosts(extra), resolv_conf((), resolver=False))
        return
    with job.networks.borrowed() as lent:
        yield StepNetwork(lent.network, _hosts(extra, lent.gateway), resolv_conf((), resolver=lent.resolver))


def _hosts(extra: Sequence[tuple[str, str]], gateway: str = "") -> str:
    """``extra`` are ``--add-host`` pairs of name and address; ``host-gateway`` is this machine."""
    lines = [f"{gateway or '127.0.0.1' if ip == 'host-gateway' else ip}\t{name}\n" for name, ip in extra]
    return _LOCAL + "".join(lines)
