"""What a container may use and what its monitor does for it: docker's HostConfig, as far as it is about that."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from minirt.containers.isolation import Isolation
from minirt.errors import InvalidSpec
from minirt.model.config import Healthcheck
from minirt.model.spec import HealthCheck, LogLimits, Resources, Rlimit

__all__ = [
    "LOG_DRIVERS",
    "Settings",
    "health_of",
    "log_attributes",
    "parse_log_options",
    "parse_security",
    "parse_size",
    "parse_ulimit",
]

LOG_DRIVERS = ("json-file", "local", "none")

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([bkmgt]?)(?:i?b)?", re.IGNORECASE)
_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_LIMITS = {
    "core", "cpu", "data", "fsize", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio", "rttime",
    "sigpending", "stack",
}  # fmt: skip
_SECOND = 1_000_000_000
_NOTHING_TO_DO = (("seccomp", "builtin"), ("apparmor", "unconfined"), ("label", "disable"))
_LOG_OPTIONS = ("max-size", "max-file", "labels", "labels-regex", "env", "env-regex", "tag")


@dataclass(frozen=True, slots=True)
class Settings:
    """``restart`` as ``--restart`` writes it; ``health`` None for no check. Some may change while it lives.

    ``seccomp_profile`` is JSON, empty for the built-in one.
    ``security_options``, ``log_options`` and ``volumes_from`` are as written, for ``docker inspect``.
    """

    resources: Resources = field(default_factory=Resources)
    rlimits: tuple[Rlimit, ...] = ()
    restart: str = "no"
    health: HealthCheck | None = None
    log: LogLimits = field(default_factory=LogLimits)
    init: bool = False
    no_new_privileges: bool = False
    seccomp: bool = True
    seccomp_profile: str = ""
    isolation: Isolation = field(default_factory=Isolation)
    security_options: tuple[str, ...] = ()
    log_options: Mapping[str, str] = field(default_factory=dict)
    volumes_from: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Settings:
        """What ``dataclasses.asdict`` made. Raises ``TypeError``, ``KeyError``."""
        health = data.get("health")
        lists = {name: tuple(data.get(name, ())) for name in ("security_options", "volumes_from")}
        return cls(
            **{
                **data,
                **lists,
                "resources": Resources.from_json(data.get("resources", {})),
                "isolation": Isolation.from_json(data.get("isolation", {})),
                "rlimits": tuple(Rlimit(**limit) for limit in data.get("rlimits", ())),
                "health": None if health is None else HealthCheck(**{**health, "argv": tuple(health["argv"])}),
                "log": LogLimits(**data.get("log", {})),
            }
        )


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


def parse_security(options: tuple[str, ...]) -> dict[str, Any]:
    """``no-new-privileges``, ``seccomp=unconfined`` or a profile's JSON, ``systempaths=unconfined``, as fields.

    Others are refused by name. Raises :class:`InvalidSpec`.
    """
    found: dict[str, Any] = {}
    for text in options:
        name, _, value = text.partition("=") if "=" in text else text.partition(":")
        if name == "no-new-privileges" and value in ("", "true", "false"):
            found["no_new_privileges"] = value != "false"
        elif (name, value) == ("seccomp", "unconfined"):
            found["seccomp"] = False
        elif name == "seccomp" and value not in ("", "builtin"):
            from minirt.model.seccomp import parse_profile  # seldom, and an import takes a few milliseconds

            parse_profile(value)
            found["seccomp_profile"] = value
        elif (name, value) == ("systempaths", "unconfined"):
            found["masked"] = False
        elif (name, value) not in _NOTHING_TO_DO:
            raise _security_refused(name, value, text)
    return found


def _security_refused(name: str, value: str, text: str) -> InvalidSpec:
    if name in ("apparmor", "label"):
        return InvalidSpec(
            f"--security-opt {text}: minirt sets no {'AppArmor profile' if name == 'apparmor' else 'SELinux label'}",
            hint=f"Leave it out; {name}={'unconfined' if name == 'apparmor' else 'disable'} is how it is.",
        )
    return InvalidSpec(
        f'Invalid --security-opt: "{text}"',
        hint="no-new-privileges, seccomp=FILE, seccomp=unconfined and systempaths=unconfined are known.",
    )


def parse_log_options(options: Mapping[str, str], driver: str = "json-file") -> LogLimits:
    """``max-size`` and ``max-file``, and for ``logs --details`` what :func:`log_attributes` reads.

    Raises :class:`InvalidSpec`.
    """
    unknown = sorted(set(options) - set(_LOG_OPTIONS))
    if unknown and driver != "none":
        raise InvalidSpec(
            f"unknown log opt '{unknown[0]}' for {driver} log driver", hint=f"Known: {', '.join(_LOG_OPTIONS)}."
        )
    default_size, default_files = ("20m", "5") if driver == "local" else ("0", "1")
    size, files = options.get("max-size", default_size), str(options.get("max-file", default_files))
    if not files.isdigit() or int(files) < 1:
        raise InvalidSpec("max-file cannot be less than 1")
    limits = LogLimits(max(parse_size(size), 0), int(files), driver)
    if limits.max_files > 1 and not limits.max_size:
        raise InvalidSpec("max-file cannot be set without max-size", hint="Add --log-opt max-size=10m.")
    return limits


def log_attributes(options: Mapping[str, str], labels: Mapping[str, str], env: Mapping[str, str]) -> dict[str, str]:
    """``--log-opt labels=a,b`` and ``env=A,B``, or by pattern: what ``docker logs --details`` shows."""
    found = {}
    for known, listed, pattern in ((labels, "labels", "labels-regex"), (env, "env", "env-regex")):
        names = [name for name in options.get(listed, "").split(",") if name in known]
        if options.get(pattern):
            names += [name for name in known if re.search(options[pattern], name)]
        found.update({name: known[name] for name in names})
    if options.get("tag"):
        found["tag"] = options["tag"]
    return found


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
