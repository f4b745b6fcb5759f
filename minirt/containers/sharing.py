"""``--pid``, ``--ipc``, ``--uts`` and their kin: whose namespaces a container shares.

Decided when it is created, and looked up at each start.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from minirt.containers.isolation import CONTAINER
from minirt.containers.records import ContainerRecord
from minirt.containers.request import CreateRequest
from minirt.containers.state import State
from minirt.errors import Conflict, ContainerNotRunning, InvalidSpec, Unsupported
from minirt.linux.machine import Machine
from minirt.model.isolation import Namespaces, Peer

__all__ = ["namespaces_of", "settle_isolation"]

Find = Callable[[str], tuple[ContainerRecord, State]]


def settle_isolation(request: CreateRequest, machine: Machine, find: Find) -> CreateRequest:
    """The request with the containers it names looked up.

    Raises Conflict, ContainerNotFound, InvalidSpec, Unsupported.
    """
    wanted = request.settings.isolation
    if wanted.uts == "host":
        for name, given in (("hostname", request.hostname), ("domainname", wanted.domainname)):
            if given:
                raise InvalidSpec(f"conflicting options: {name} and the UTS mode", hint=f"Leave --{name} out.")
        request = replace(request, hostname=os.uname().nodename)
    if request.network == "host" and any(name.startswith("net.") for name in wanted.sysctls):
        name = next(name for name in wanted.sysctls if name.startswith("net."))
        raise InvalidSpec(f'sysctl "{name}" not allowed in host network namespace', hint="Leave --network host out.")
    _check_users(request, machine)
    found: dict[str, Any] = {}
    for kind in ("pid", "ipc"):
        mode = getattr(wanted, kind)
        if mode.startswith(CONTAINER):
            other = find(mode.removeprefix(CONTAINER))[0]
            if kind == "ipc":
                _check_shareable(other)
            found[kind] = f"{CONTAINER}{other.id}"
    return replace(request, settings=replace(request.settings, isolation=replace(wanted, **found)))


def _check_shareable(other: ContainerRecord) -> None:
    mode = other.settings.isolation.ipc
    if mode not in ("shareable", "host") and not mode.startswith(CONTAINER):
        raise Conflict(
            f"can't join IPC of container {other.id}: non-shareable IPC"
            " (hint: use IpcMode:shareable for the donor container)",
            hint=f"Start {other.name} with --ipc shareable.",
        )


def _check_users(request: CreateRequest, machine: Machine) -> None:
    """What a user namespace of its own rules out, and who has one."""
    wanted = request.settings.isolation
    if wanted.user == "host" and not machine.root:
        raise Unsupported(
            "--userns host: an ordinary user's containers always have a user namespace",
            cause="without one, only root may isolate anything",
            hint="Leave it out, or run minirt as root.",
        )
    if wanted.user != "private" or not machine.root:
        return
    for flag, given in (
        ("--privileged", request.privileged), ("--pid=host", wanted.pid == "host"),
        ("--ipc=host", wanted.ipc == "host"), ("--network=host", request.network == "host"),
        ("--uts=host", wanted.uts == "host"),
    ):  # fmt: skip
        if given:
            raise InvalidSpec(
                f"{flag} and --userns=private: cannot share the machine's namespaces when user namespaces are enabled",
                cause="root of the container would have no rights there",
                hint=f"Leave one of the two out: {flag} or --userns=private.",
            )


def namespaces_of(record: ContainerRecord, find: Find) -> Namespaces:
    """What the container shares when it starts now. Raises ContainerNotFound, ContainerNotRunning."""
    wanted = record.settings.isolation
    modes = {"pid": wanted.pid, "ipc": wanted.ipc, "uts": wanted.uts, "cgroup": wanted.cgroup}
    peers = {}
    for kind, mode in modes.items():
        if mode.startswith(CONTAINER):
            other, state = find(mode.removeprefix(CONTAINER))
            if not state.alive:
                raise ContainerNotRunning(
                    f"cannot join {kind.upper()} namespace of a non running container: {other.name}",
                    hint=f"Start it: docker start {other.name}",
                )
            peers[kind] = Peer(state.pid, state.start_time, other.name)
    return Namespaces(tuple(kind for kind, mode in modes.items() if mode == "host"), peers)
