"""docker-py's keyword arguments about limits, policies and checks, read into :class:`Settings`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from minirt.containers.checks import check_resources
from minirt.containers.isolation import Isolation, check_sysctl, parse_device, parse_mode
from minirt.containers.settings import (
    LOG_DRIVERS,
    Settings,
    parse_log_options,
    parse_security,
    parse_size,
    parse_ulimit,
)
from minirt.errors import InvalidSpec
from minirt.model.config import Healthcheck
from minirt.model.isolation import Device
from minirt.model.resources import Resources, Throttle
from minirt.model.spec import LogLimits, Rlimit
from minirt.sandbox.restarts import parse_policy

__all__ = ["LIMITS", "read_health", "read_limits", "read_settings"]

LIMITS = (
    "mem_limit", "memswap_limit", "mem_reservation", "mem_swappiness", "oom_kill_disable", "nano_cpus", "cpu_period",
    "cpu_quota", "cpu_shares", "cpuset_cpus", "cpuset_mems", "blkio_weight", "pids_limit",
)  # fmt: skip
_OURS = {
    "mem_limit": "memory", "memswap_limit": "memory_swap", "mem_reservation": "memory_reservation",
    "mem_swappiness": "memory_swappiness",
}  # fmt: skip
_SIZES = ("mem_limit", "memswap_limit", "mem_reservation")
_THROTTLES = ("device_read_bps", "device_write_bps", "device_read_iops", "device_write_iops")
_MODES = {"pid_mode": "pid", "ipc_mode": "ipc", "uts_mode": "uts", "cgroupns": "cgroupns", "userns_mode": "userns"}
_FIELDS = {"cgroupns": "cgroup", "userns": "user"}


def read_settings(left: dict[str, Any]) -> Settings:
    """Takes its own options out of ``left``. Raises :class:`InvalidSpec`."""
    restart = left.pop("restart_policy", None) or "no"
    if isinstance(restart, Mapping):
        most = restart.get("MaximumRetryCount") or 0
        restart = f"{restart.get('Name') or 'no'}" + (f":{most}" if most else "")
    options = tuple(left.pop("security_opt", None) or ())
    security = parse_security(options)
    log, log_options = _log(left.pop("log_config", None))
    resources = Resources(**read_limits(left))
    check_resources(resources)
    return Settings(
        resources=resources,
        rlimits=tuple(_ulimit(entry) for entry in left.pop("ulimits", None) or ()),
        restart=str(parse_policy(restart)),
        log=log,
        log_options=log_options,
        init=bool(left.pop("init", None)),
        no_new_privileges=security.get("no_new_privileges", False),
        seccomp=security.get("seccomp", True),
        seccomp_profile=security.get("seccomp_profile", ""),
        isolation=replace(_isolation(left), masked=security.get("masked", True)),
        security_options=options,
    )


def read_limits(left: dict[str, Any]) -> dict[str, Any]:
    """Fields of :class:`Resources`, of those that are given. Raises :class:`InvalidSpec`."""
    given = {name: value for name in LIMITS if (value := left.pop(name, None)) is not None}
    found = {_OURS.get(name, name): parse_size(value) if name in _SIZES else value for name, value in given.items()}
    throttles = [_throttle(name, entry) for name in _THROTTLES for entry in left.pop(name, None) or ()]
    if throttles:
        found["throttles"] = tuple(throttles)
    return found


def _throttle(name: str, entry: Any) -> Throttle:
    """docker-py: ``{"Path": "/dev/sda", "Rate": 1000}``; or ``/dev/sda:1mb``."""
    kind = name.removeprefix("device_")
    if isinstance(entry, Mapping):
        return Throttle(kind, str(entry["Path"]), int(entry["Rate"]))
    path, colon, rate = str(entry).rpartition(":")
    if not colon or not path.startswith("/dev/"):
        raise InvalidSpec(f"bad format: {entry}", hint="Write /dev/NAME:RATE, for example /dev/sda:1mb.")
    return Throttle(kind, path, parse_size(rate) if kind.endswith("bps") else int(rate))


def _isolation(left: dict[str, Any]) -> Isolation:
    found: dict[str, Any] = {}
    for name, kind in _MODES.items():
        mode = left.pop(name, None)
        if mode:
            found[_FIELDS.get(kind, kind)] = parse_mode(kind, mode)
    for name in ("domainname", "oom_score_adj", "cgroup_parent"):
        value = left.pop(name, None)
        if value is not None:
            found[name] = value
    if (size := left.pop("shm_size", None)) is not None:
        found["shm_size"] = _shm_size(size)
    found["devices"] = tuple(_device(entry) for entry in left.pop("devices", None) or ())
    found["groups"] = tuple(str(group) for group in left.pop("group_add", None) or ())
    sysctls = left.pop("sysctls", None) or {}
    pairs = (f"{name}={value}" for name, value in sysctls.items()) if isinstance(sysctls, Mapping) else sysctls
    found["sysctls"] = dict(check_sysctl(pair) for pair in pairs)
    found["annotations"] = dict(left.pop("annotations", None) or {})
    return Isolation(**found)


def _shm_size(text: str | int) -> int:
    size = parse_size(text)
    if size <= 0:
        raise InvalidSpec("SHM size can not be less than 0", hint="Write for example 128m.")
    return size


def _device(entry: Any) -> Device:
    return entry if isinstance(entry, Device) else parse_device(str(entry))


def read_health(given: Mapping[str, Any] | None) -> Healthcheck | None:
    """docker-py: ``{"test": … or "Test": …, "interval": nanoseconds, …}``; a text is a line for the shell."""
    if not given:
        return None
    spelled = {name.replace("_", "").lower(): value for name, value in given.items()}
    test = spelled.get("test") or ()
    words = ("CMD-SHELL", test) if isinstance(test, str) else tuple(test)
    times = {ours: int(spelled.get(ours.replace("_", "")) or 0) for ours in ("interval", "timeout", "start_period")}
    start_interval = int(spelled.get("startinterval") or 0)
    for name, value in (*times.items(), ("start_interval", start_interval)):
        if 0 < value < 1_000_000:
            shown = "".join(part.capitalize() for part in name.split("_"))
            raise InvalidSpec(f"{shown} in Healthcheck cannot be less than 1ms", hint="Write for example 30s.")
    return Healthcheck(words, **times, start_interval=start_interval, retries=int(spelled.get("retries") or 0))


def _ulimit(entry: Any) -> Rlimit:
    if isinstance(entry, Mapping):
        spelled = {name.lower(): value for name, value in entry.items()}
        return parse_ulimit(f"{spelled['name']}={spelled['soft']}:{spelled.get('hard', spelled['soft'])}")
    return parse_ulimit(str(entry))


def _log(given: Mapping[str, Any] | Sequence[str] | None) -> tuple[LogLimits, dict[str, str]]:
    """docker-py's ``{"type": …, "config": {…}}`` or LogConfig, or a list of ``--log-opt`` texts."""
    if given is None:
        return LogLimits(), {}
    if isinstance(given, Mapping):
        kind = given.get("type") or given.get("Type") or "json-file"
        config = given.get("config") or given.get("Config") or {}
    else:
        kind, config = "json-file", dict(entry.partition("=")[::2] for entry in given)
    if kind not in LOG_DRIVERS:
        raise InvalidSpec(
            f'error looking up logging plugin {kind}: plugin "{kind}" not found',
            hint=f"There are {', '.join(LOG_DRIVERS)}.",
        )
    return parse_log_options(config, kind), {str(name): str(value) for name, value in config.items()}
