"""A container's control group, seen from outside: limits that change, freezing, counting, clearing away."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from minirt.containers.processes import members
from minirt.containers.records import ContainerRecord
from minirt.containers.state import State
from minirt.errors import PathNotFound
from minirt.linux.cgroup_tree import find_tree
from minirt.linux.cgroup_usage import Usage
from minirt.linux.cgroups import Group
from minirt.linux.idmap import private_maps
from minirt.linux.machine import Machine
from minirt.model.isolation import Device
from minirt.model.resources import Resources
from minirt.model.spec import SandboxSpec
from minirt.sandbox.devices import look_up

__all__ = [
    "change_limits",
    "clear",
    "freeze",
    "group_of",
    "is_frozen",
    "joined_group",
    "merged",
    "usage",
    "with_settings",
]


def _name(record: ContainerRecord) -> str:
    parent = record.settings.isolation.cgroup_parent.strip("/") or "minirt"
    return f"{parent}/{record.id}"


def group_of(record: ContainerRecord, machine: Machine) -> Group | None:
    """The container's group, None where there is none."""
    tree = find_tree() if machine.cgroups.ok else None
    group = None if tree is None else Group(tree, _name(record))
    return group if group is not None and group.exists else None


def with_settings(spec: SandboxSpec, record: ContainerRecord, machine: Machine) -> SandboxSpec:
    """``spec`` with the record's limits, health check, log size and init."""
    settings, isolation = record.settings, record.settings.isolation
    return replace(
        spec,
        cgroup=_name(record) if machine.cgroups.ok else "",
        resources=settings.resources,
        health=settings.health,
        log=settings.log,
        init=settings.init,
        domainname=isolation.domainname,
        shm_size=0 if isolation.ipc == "none" else isolation.shm_size,
        devices=devices_of(record),
        sysctls=isolation.sysctls,
        masked=isolation.masked,
        oom_score_adj=isolation.oom_score_adj,
        **_own_ids(record, machine),
    )


def _own_ids(record: ContainerRecord, machine: Machine) -> dict[str, Any]:
    """Root's ``--userns private``; an ordinary user's containers have a user namespace anyway."""
    if record.settings.isolation.user != "private" or not machine.root:
        return {}
    users, groups = private_maps()
    return {"private_ids": True, "uid_map": users, "gid_map": groups}


def devices_of(record: ContainerRecord) -> tuple[Device, ...]:
    """Raises :class:`PathNotFound` in docker's words."""
    try:
        return look_up(record.settings.isolation.devices)
    except OSError as error:
        failed = PathNotFound(
            f'error gathering device information while adding custom device "{error.filename}":'
            f" {str(error.strerror).lower()}",
            hint="--device takes a device node of the machine, such as /dev/fuse.",
        )
        failed.exit_code = 127  # docker's, for whatever is not there when a container starts
        raise failed from error


def freeze(record: ContainerRecord, state: State, machine: Machine, frozen: bool) -> bool:
    """Stop or continue all its processes by the freezer; False where there is none."""
    group = group_of(record, machine)
    if group is None:
        return False
    if frozen:
        # Commands that joined it later may be outside: they belong to it all the same.
        inside = set(group.members())
        for pid in set(members(state)) - inside:
            with contextlib.suppress(OSError):
                group.add(pid)
    try:
        return group.freeze(frozen)
    except OSError:
        return False


def is_frozen(record: ContainerRecord, machine: Machine) -> bool:
    """Whether the freezer holds it, whatever was noted."""
    group = group_of(record, machine)
    return group is not None and group.frozen


def joined_group(record: ContainerRecord, machine: Machine) -> str:
    """The group that a further command must be in from its first moment: where there are limits. Waiting for the
    kernel to move a process takes 10 ms, so without limits a command stays outside.
    """
    limited = record.settings.resources != Resources()
    return _name(record) if limited and group_of(record, machine) is not None else ""


def change_limits(record: ContainerRecord, machine: Machine, resources: Resources) -> None:
    """Set the limits of a running container anew. Raises ``OSError`` for what the kernel refuses."""
    group = group_of(record, machine)
    if group is not None:
        group.limit(resources)


def usage(record: ContainerRecord, machine: Machine) -> Usage | None:
    """What it uses now; None where nobody counts."""
    group = group_of(record, machine)
    return None if group is None else group.usage()


def clear(record: ContainerRecord, machine: Machine) -> None:
    """Take the group of a container that has ended away; frozen processes must be let go to be able to die."""
    group = group_of(record, machine)
    if group is not None:
        with contextlib.suppress(OSError):
            group.freeze(False)
            group.kill()
        group.remove()


def merged(resources: Resources, changes: Mapping[str, Any]) -> Resources:
    """``docker update``: what is named changes, the rest stays."""
    return replace(resources, **{name: value for name, value in changes.items() if value is not None})
