"""Limits that make no sense, or that this machine does not have: refused in docker's words, or warned about."""

from __future__ import annotations

import os
from collections.abc import Callable

from minirt.containers.records import ContainerRecord
from minirt.errors import InvalidSpec, PathNotFound, Unsupported
from minirt.linux import caps
from minirt.linux.cgroup_limits import needed
from minirt.linux.machine import Machine
from minirt.model.resources import Resources

__all__ = ["check_resources", "refuse_missing"]

_LEAST_MEMORY = 6 << 20  # docker's (moby, daemon/daemon_unix.go)


def check_resources(limits: Resources) -> None:
    """Raises :class:`InvalidSpec`."""
    _check_memory(limits)
    _check_processors(limits)
    if limits.blkio_weight and not 10 <= limits.blkio_weight <= 1000:
        raise InvalidSpec("Range of blkio weight is from 10 to 1000")
    for one in limits.throttles:
        if not os.path.exists(one.path):
            missing = PathNotFound(f"stat {one.path}: no such file or directory", hint="`lsblk` lists block devices.")
            missing.exit_code = 127  # docker's
            raise missing


def _check_memory(limits: Resources) -> None:
    memory, swap, least = limits.memory, limits.memory_swap, limits.memory_reservation
    if memory and memory < _LEAST_MEMORY:
        raise InvalidSpec("Minimum memory limit allowed is 6MB", hint="Write for example 64m.")
    if swap > 0 and not memory:
        raise InvalidSpec("You should always set the Memory limit when using Memoryswap limit, see usage")
    if 0 < swap < memory:
        raise InvalidSpec("Minimum memoryswap limit should be larger than memory limit, see usage")
    if 0 < least < _LEAST_MEMORY:
        raise InvalidSpec("Minimum memory reservation allowed is 6MB")
    if 0 < memory < least:
        raise InvalidSpec("Minimum memory limit can not be less than memory reservation limit, see usage")
    if limits.memory_swappiness > 100 or limits.memory_swappiness < -1:
        raise InvalidSpec(f"invalid value: {limits.memory_swappiness}. Valid memory swappiness range is 0-100")


def _check_processors(limits: Resources) -> None:
    count = os.cpu_count() or 1
    for name, value in (("Period", limits.cpu_period), ("Quota", limits.cpu_quota)):
        if limits.nano_cpus and value:
            raise InvalidSpec(f"Conflicting options: Nano CPUs and CPU {name} cannot both be set")
    if limits.nano_cpus < 0 or limits.nano_cpus > count * 1_000_000_000:
        raise InvalidSpec(f"range of CPUs is from 0.01 to {count:.2f}, as there are only {count} CPUs available")
    if limits.cpu_period and not 1000 <= limits.cpu_period <= 1_000_000:
        raise InvalidSpec("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
    if 0 < limits.cpu_quota < 1000:
        raise InvalidSpec("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    for text, there, what in (
        (limits.cpuset_cpus, "/sys/devices/system/cpu/online", "CPUs"),
        (limits.cpuset_mems, "/sys/devices/system/node/online", "memory nodes"),
    ):
        available = _read(there) or "0"
        if text and not _numbers(text, what) <= _numbers(available, what):
            raise InvalidSpec(f"Requested {what} are not available - requested {text}, available: {available}")


def _numbers(text: str, what: str) -> set[int]:
    """``0-2,7``."""
    found: set[int] = set()
    try:
        for part in text.split(","):
            first, _, last = part.partition("-")
            found |= set(range(int(first), int(last or first) + 1))
    except ValueError:
        raise InvalidSpec(f"Invalid value {text} for cpuset {'cpus' if what == 'CPUs' else 'mems'}") from None
    return found


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as text:
            return text.read().strip()
    except OSError:
        return ""


def refuse_missing(
    record: ContainerRecord, machine: Machine, on_warning: Callable[[str], None] = lambda _: None
) -> None:
    """Raises :class:`Unsupported` for what was asked and this machine cannot give: it is never just left out."""
    limits = record.settings.resources
    for flag, controller in needed(limits).items():
        if controller not in machine.controllers:
            raise Unsupported(
                f"{flag}: this machine gives no control over {controller}",
                cause=machine.cgroups.why or f"the controller {controller} is not to be had here",
                hint=machine.cgroups.cure or f"Leave {flag} out.",
            )
    _warn(limits, machine, on_warning)
    held = caps.permitted() if machine.root else ~0
    for name in record.cap_add:
        full = name.upper() if name.upper().startswith("CAP_") else f"CAP_{name.upper()}"
        if full != "CAP_ALL" and full not in caps.CAPABILITIES:
            raise InvalidSpec(f'invalid CapAdd: unknown capability: "{full}"', hint="capabilities(7) has their names.")
        if full != "CAP_ALL" and full in caps.CAPABILITIES and not held & caps.mask_of([full]):
            raise Unsupported(
                f"--cap-add {name}: this machine's root does not have {full} itself",
                hint="Leave it out, or run minirt where root has it.",
            )
    for name in record.cap_drop:
        full = name.upper() if name.upper().startswith("CAP_") else f"CAP_{name.upper()}"
        if full != "CAP_ALL" and full not in caps.CAPABILITIES:
            raise InvalidSpec(f'invalid CapDrop: unknown capability: "{full}"', hint="capabilities(7) has their names.")
    _refuse_isolation(record, machine, on_warning)


def _warn(limits: Resources, machine: Machine, on_warning: Callable[[str], None]) -> None:
    """What docker takes note of and leaves out, in its words."""
    first = machine.cgroup_version == 1 and "memory" in machine.controllers
    if limits.blkio_weight:
        on_warning("Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.")
    if limits.memory_swappiness >= 0 and not first:
        on_warning(
            "Your kernel does not support memory swappiness capabilities or the cgroup is not mounted."
            " Memory swappiness discarded."
        )
    if limits.oom_kill_disable and not first:
        on_warning("Your kernel does not support OomKillDisable. OomKillDisable discarded.")
    elif limits.oom_kill_disable and not limits.memory:
        on_warning(
            "OOM killer is disabled for the container, but no memory limit is set, this can result in the system"
            " running out of resources."
        )


def _refuse_isolation(record: ContainerRecord, machine: Machine, on_warning: Callable[[str], None]) -> None:
    wanted = record.settings.isolation
    if not -1000 <= wanted.oom_score_adj <= 1000:
        raise InvalidSpec(f"Invalid value {wanted.oom_score_adj}, range for oom score adj is [-1000, 1000]")
    if not machine.root and wanted.oom_score_adj < _own_oom_score():
        raise Unsupported(
            f"--oom-score-adj {wanted.oom_score_adj}: an ordinary user can only raise it",
            hint="Leave it out, or run minirt as root.",
        )
    if wanted.cgroup_parent and not machine.cgroups.ok:
        raise Unsupported(
            "--cgroup-parent: no control groups can be made here", cause=machine.cgroups.why, hint=machine.cgroups.cure
        )
    for device in wanted.devices:
        if set("rw") - set(device.access) and "devices" not in machine.controllers:
            raise Unsupported(
                f"--device {device.path}: access {device.access!r} alone cannot be enforced here",
                cause="that takes control groups that can be kept from devices, as root",
                hint="Leave the last part out: the container may then read and write it, as far as its file mode goes.",
            )
    if machine.isolation != "namespaces":
        _refuse_traced(record, machine, on_warning)


def _refuse_traced(record: ContainerRecord, machine: Machine, on_warning: Callable[[str], None]) -> None:
    wanted = record.settings.isolation
    for flag, wished in (("--privileged", record.privileged), ("--cap-add", bool(record.cap_add))):
        if wished:
            on_warning(f"{flag} gives nothing here: without namespaces a container has the rights of who runs it")
    if record.settings.seccomp_profile:
        raise Unsupported(
            "--security-opt seccomp=FILE: containers are traced here, and the filter would be on the tracer too",
            cause=machine.namespaces.why, hint="Leave it out.",
        )  # fmt: skip
    named = {
        "--shm-size": wanted.shm_size != type(wanted)().shm_size, "--ipc": wanted.ipc not in ("", "private", "host"),
        "--pid": wanted.pid not in ("", "host"), "--sysctl": bool(wanted.sysctls),
        "--domainname": bool(wanted.domainname), "--userns": wanted.user == "private",
    }  # fmt: skip
    for flag, asked in named.items():
        if asked:
            raise Unsupported(
                f"{flag}: no namespaces are allowed on this machine", cause=machine.namespaces.why,
                hint=f"Leave {flag} out.",
            )  # fmt: skip


def _own_oom_score() -> int:
    return int(_read("/proc/self/oom_score_adj") or 0)
