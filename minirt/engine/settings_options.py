"""docker-py's keyword arguments about limits, policies and checks, read into :class:`Settings`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from minirt.containers.settings import Settings, parse_log_options, parse_security, parse_size, parse_ulimit
from minirt.errors import InvalidSpec
from minirt.model.config import Healthcheck
from minirt.model.spec import LogLimits, Resources, Rlimit
from minirt.sandbox.restarts import parse_policy

__all__ = ["LIMITS", "read_health", "read_limits", "read_settings"]

LIMITS = (
    "mem_limit", "memswap_limit", "mem_reservation", "nano_cpus", "cpu_shares", "cpuset_cpus", "pids_limit",
)  # fmt: skip
_LEAST_MEMORY = 6 << 20  # docker's (moby, daemon/daemon_unix.go)


def read_settings(left: dict[str, Any]) -> Settings:
    """Takes its own options out of ``left``. Raises :class:`InvalidSpec`."""
    restart = left.pop("restart_policy", None) or "no"
    if isinstance(restart, Mapping):
        most = restart.get("MaximumRetryCount") or 0
        restart = f"{restart.get('Name') or 'no'}" + (f":{most}" if most else "")
    security = parse_security(tuple(left.pop("security_opt", None) or ()))
    return Settings(
        resources=Resources(**read_limits(left)),
        rlimits=tuple(_ulimit(entry) for entry in left.pop("ulimits", None) or ()),
        restart=str(parse_policy(restart)),
        log=_log(left.pop("log_config", None)),
        init=bool(left.pop("init", None)),
        no_new_privileges=security.get("no_new_privileges", False),
        seccomp=security.get("seccomp", True),
    )


def read_limits(left: dict[str, Any]) -> dict[str, Any]:
    """Fields of :class:`Resources`, of those that are given. Raises :class:`InvalidSpec`."""
    given = {name: value for name in LIMITS if (value := left.pop(name, None)) is not None}
    names = {"mem_limit": "memory", "memswap_limit": "memory_swap", "mem_reservation": "memory_reservation"}
    found: dict[str, Any] = {}
    for name, value in given.items():
        found[names.get(name, name)] = parse_size(value) if name in names else value
    memory, swap = found.get("memory", 0), found.get("memory_swap", 0)
    if memory and memory < _LEAST_MEMORY:
        raise InvalidSpec("Minimum memory limit allowed is 6MB", hint="Write for example 64m.")
    if swap > 0 and not memory:
        raise InvalidSpec("You should always set the Memory limit when using Memoryswap limit")
    if 0 < swap < memory:
        raise InvalidSpec("Minimum memoryswap limit should be larger than memory limit")
    return found


def read_health(given: Mapping[str, Any] | None) -> Healthcheck | None:
    """docker-py: ``{"test": … or "Test": …, "interval": nanoseconds, …}``; a text is a line for the shell."""
    if not given:
        return None
    spelled = {name.replace("_", "").lower(): value for name, value in given.items()}
    test = spelled.get("test") or ()
    words = ("CMD-SHELL", test) if isinstance(test, str) else tuple(test)
    times = {ours: int(spelled.get(ours.replace("_", "")) or 0) for ours in ("interval", "timeout", "start_period")}
    return Healthcheck(
        words, **times, start_interval=int(spelled.get("startinterval") or 0), retries=int(spelled.get("retries") or 0)
    )


def _ulimit(entry: Any) -> Rlimit:
    if isinstance(entry, Mapping):
        spelled = {name.lower(): value for name, value in entry.items()}
        return parse_ulimit(f"{spelled['name']}={spelled['soft']}:{spelled.get('hard', spelled['soft'])}")
    return parse_ulimit(str(entry))


def _log(given: Mapping[str, Any] | Sequence[str] | None) -> LogLimits:
    if isinstance(given, Mapping):
        kind = given.get("type") or given.get("Type") or "json-file"
        if kind != "json-file":
            raise InvalidSpec(f"logger: no log driver named '{kind}' is registered", hint="There is json-file.")
        return parse_log_options(given.get("config") or given.get("Config") or {})
    return parse_log_options(dict(entry.partition("=")[::2] for entry in given or ()))
