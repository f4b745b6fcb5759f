"""What a container may use and what its monitor does for it: docker's HostConfig, as far as it is about that."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from minirt.errors import InvalidSpec
from minirt.model.config import Healthcheck
from minirt.model.spec import HealthCheck, LogLimits, Resources, Rlimit
from minirt.sandbox.restarts import parse_policy

__all__ = ["Settings", "health_of", "parse_log_options", "parse_security", "parse_size", "parse_ulimit"]

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([bkmgt]?)(?:i?b)?", re.IGNORECASE)
_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_LIMITS = {
    "core", "cpu", "data", "fsize", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio", "rttime",
    "sigpending", "stack",
}  # fmt: skip
_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Settings:
    """``restart`` as ``--restart`` writes it; ``health`` None for no check. Some may change while it lives."""

    resources: Resources = field(default_factory=Resources)
    rlimits: tuple[Rlimit, ...] = ()
    restart: str = "no"
    health: HealthCheck | None = None
    log: LogLimits = field(default_factory=LogLimits)
    init: bool = False
    no_new_privileges: bool = False
    seccomp: bool = True

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Settings:
        """What ``dataclasses.asdict`` made. Raises ``TypeError``, ``KeyError``."""
        health = data.get("health")
        return cls(
            **{
                **data,
                "resources": Resources(**data.get("resources", {})),
                "rlimits": tuple(Rlimit(**limit) for limit in data.get("rlimits", ())),
                "health": None if health is None else HealthCheck(**{**health, "argv": tuple(health["argv"])}),
                "log": LogLimits(**data.get("log", {})),
            }
        )

    def to_docker(self) -> dict[str, Any]:
        """The fields of ``HostConfig``."""
        limits, policy = self.resources, parse_policy(self.restart)
        options = {"max-size": str(self.log.max_size), "max-file": str(self.log.max_files)} if self.log.max_size else {}
        security = ["no-new-privileges"] * self.no_new_privileges + ["seccomp=unconfined"] * (not self.seccomp)
        return {
            "Memory": limits.memory,
            "MemorySwap": limits.memory_and_swap if limits.memory else 0,
            "MemoryReservation": limits.memory_reservation,
            "NanoCpus": limits.nano_cpus,
            "CpuShares": limits.cpu_shares,
            "CpusetCpus": limits.cpuset_cpus,
            "PidsLimit": limits.pids_limit or None,
            "Ulimits": [
                {"Name": limit.name.removeprefix("RLIMIT_").lower(), "Soft": limit.soft, "Hard": limit.hard}
                for limit in self.rlimits
            ],
            "RestartPolicy": {"Name": policy.name, "MaximumRetryCount": policy.most},
            "LogConfig": {"Type": "json-file", "Config": options},
            "Init": self.init,
            "SecurityOpt": security or None,
        }


def parse_size(text: str | int) -> int:
    """``64m``, ``1.5g``, ``1048576`` in bytes; -1 stays. Raises :class:`InvalidSpec`."""
    found = _SIZE.fullmatch(str(text).strip())
    if str(text).strip() == "-1":
        return -1
    if found is None:
        raise InvalidSpec(f"invalid size: '{text}'", hint="Write for example 64m or 1g.")
    return int(float(found[1]) * _UNITS[found[2].lower()])


def parse_ulimit(text: str) -> Rlimit:
    """``nofile=1024`` or ``nofile=1024:2048``. Raises :class:`InvalidSpec`."""
    name, _, values = text.partition("=")
    soft, _, hard = values.partition(":")
    if name not in _LIMITS:
        raise InvalidSpec(f"invalid ulimit type: {name}", hint=f"One of: {', '.join(sorted(_LIMITS))}.")
    try:
        limit = Rlimit(f"RLIMIT_{name.upper()}", int(soft), int(hard or soft))
    except ValueError:
        raise InvalidSpec(f"invalid ulimit value: {text}", hint="Write for example nofile=1024:2048.") from None
    if 0 <= limit.hard < limit.soft:
        raise InvalidSpec(f"ulimit soft limit must be less than or equal to hard limit: {limit.soft} > {limit.hard}")
    return limit


def parse_security(options: tuple[str, ...]) -> dict[str, bool]:
    """``no-new-privileges`` and ``seccomp=unconfined``; others are refused by name. Raises :class:`InvalidSpec`."""
    found: dict[str, bool] = {}
    for text in options:
        name, _, value = text.replace(":", "=", 1).partition("=")
        if name == "no-new-privileges" and value in ("", "true", "false"):
            found["no_new_privileges"] = value != "false"
        elif (name, value) == ("seccomp", "unconfined"):
            found["seccomp"] = False
        elif (name, value) != ("seccomp", "builtin"):
            raise InvalidSpec(
                f"invalid --security-opt: {text!r}",
                cause="minirt knows no-new-privileges, seccomp=unconfined and seccomp=builtin",
            )
    return found


def parse_log_options(options: Mapping[str, str]) -> LogLimits:
    """``max-size`` and ``max-file`` of the json-file driver. Raises :class:`InvalidSpec`."""
    unknown = sorted(set(options) - {"max-size", "max-file"})
    if unknown:
        raise InvalidSpec(f"unknown log opt '{unknown[0]}' for json-file log driver", hint="max-size and max-file.")
    size, files = options.get("max-size", "0"), str(options.get("max-file", "1"))
    if not files.isdigit() or int(files) < 1:
        raise InvalidSpec("max-file cannot be less than 1")
    limits = LogLimits(max(parse_size(size), 0), int(files))
    if limits.max_files > 1 and not limits.max_size:
        raise InvalidSpec("max-file cannot be set without max-size", hint="Add --log-opt max-size=10m.")
    return limits


def health_of(check: Healthcheck | None, shell: tuple[str, ...] = ("/bin/sh", "-c")) -> HealthCheck | None:
    """An image's or a user's check with docker's defaults filled in; None for none, or for ``NONE``."""
    if check is None or not check.test or check.test[0] == "NONE":
        return None
    kind, *words = check.test
    argv = (*shell, " ".join(words)) if kind == "CMD-SHELL" else tuple(words if kind == "CMD" else check.test)
    return HealthCheck(
        argv,
        (check.interval or 30 * _SECOND) / _SECOND,
        (check.timeout or 30 * _SECOND) / _SECOND,
        check.start_period / _SECOND,
        (check.start_interval or 5 * _SECOND) / _SECOND,
        check.retries or 3,
    )
