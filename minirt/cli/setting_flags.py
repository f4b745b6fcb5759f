"""The options of ``run``, ``create`` and ``update`` about limits, restarts, health and logs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from minirt.cli.grammar import Flag, number, switch, value, values
from minirt.containers.settings import parse_security, parse_size, parse_ulimit
from minirt.errors import InvalidSpec
from minirt.sandbox.restarts import parse_policy

__all__ = ["limit_flags", "limit_options", "setting_flags", "setting_options"]

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_UNITS = {"ns": 1, "us": 1000, "µs": 1000, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_THROTTLES = {
    "read-bps": "Limit read rate (bytes per second) from a device",
    "read-iops": "Limit read rate (IO per second) from a device",
    "write-bps": "Limit write rate (bytes per second) to a device",
    "write-iops": "Limit write rate (IO per second) to a device",
}


def limit_flags() -> list[Flag]:
    """What ``update`` can change, too."""
    return [
        value("--memory", "m", "Memory limit", word="bytes", parse=parse_size, default=None),
        value("--memory-swap", "", "Swap limit equal to memory plus swap: '-1' to enable unlimited swap", word="bytes",
              parse=parse_size, default=None),
        value("--memory-reservation", "", "Memory soft limit", word="bytes", parse=parse_size, default=None),
        value("--cpus", "", "Number of CPUs", word="decimal", parse=_cpus, default=None),
        number("--cpu-period", "", "Limit CPU CFS (Completely Fair Scheduler) period"),
        number("--cpu-quota", "", "Limit CPU CFS (Completely Fair Scheduler) quota"),
        number("--cpu-shares", "c", "CPU shares (relative weight)"),
        value("--cpuset-cpus", "", "CPUs in which to allow execution (0-3, 0,1)", default=None),
        value("--cpuset-mems", "", "MEMs in which to allow execution (0-3, 0,1)", default=None),
        value("--blkio-weight", "", "Block IO (relative weight), between 10 and 1000, or 0 to disable (default 0)",
              word="uint16", parse=_weight, default=None),
        number("--pids-limit", "", "Tune container pids limit (set -1 for unlimited)"),
        value("--restart", "", "Restart policy to apply when a container exits", parse=_policy, default=None),
    ]  # fmt: skip


def setting_flags() -> list[Flag]:
    """Made anew for each command: click keeps state in them."""
    return [
        *limit_flags(),
        number("--memory-swappiness", "", "Tune container memory swappiness (0 to 100) (default -1)"),
        switch("--oom-kill-disable", "", "Disable OOM Killer"),
        *(values(f"--device-{kind}", "", text, parse=_throttle) for kind, text in _THROTTLES.items()),
        values("--ulimit", "", "Ulimit options", word="ulimit", parse=_ulimit),
        values("--security-opt", "", "Security Options"),
        switch("--init", "", "Run an init inside the container that forwards signals and reaps processes"),
        value("--health-cmd", "", "Command to run to check health"),
        value("--health-interval", "", "Time between running the check (ms|s|m|h) (default 0s)", word="duration",
              parse=_duration, default=0),
        number("--health-retries", "", "Consecutive failures needed to report unhealthy", default=0),
        value("--health-start-period", "", "Start period for the container to initialize before starting"
              " health-retries countdown (ms|s|m|h) (default 0s)", word="duration", parse=_duration, default=0),
        value("--health-start-interval", "", "Time between running the check during the start period (ms|s|m|h)"
              " (default 0s)", word="duration", parse=_duration, default=0),
        value("--health-timeout", "", "Maximum time to allow one check to run (ms|s|m|h) (default 0s)", word="duration",
              parse=_duration, default=0),
        switch("--no-healthcheck", "", "Disable any container-specified HEALTHCHECK"),
        value("--log-driver", "", "Logging driver for the container"),
        values("--log-opt", "", "Log driver options"),
    ]  # fmt: skip


def limit_options(options: dict[str, Any]) -> dict[str, Any]:
    """docker-py's keyword arguments of ``update``; None for what was not given."""
    return {
        "mem_limit": options["memory"],
        "memswap_limit": options["memory_swap"],
        "mem_reservation": options["memory_reservation"],
        "nano_cpus": options["cpus"],
        **{name: options[name] for name in ("cpu_period", "cpu_quota", "cpu_shares", "cpuset_cpus", "cpuset_mems")},
        "blkio_weight": options["blkio_weight"],
        "pids_limit": options["pids_limit"],
        "restart_policy": options["restart"],
    }


def setting_options(options: dict[str, Any]) -> dict[str, Any]:
    """docker-py's keyword arguments of ``containers.create``. Raises :class:`InvalidSpec`."""
    security = tuple(_with_profile(option) for option in options["security_opt"])
    parse_security(security)
    return {
        **limit_options(options),
        "mem_swappiness": options["memory_swappiness"],
        "oom_kill_disable": options["oom_kill_disable"],
        **{name: list(options[name]) for name in (f"device_{kind.replace('-', '_')}" for kind in _THROTTLES)},
        "ulimits": options["ulimit"],
        "security_opt": security,
        "init": options["init"],
        "healthcheck": _health(options),
        "log_config": _log(options),
    }


def _with_profile(option: str) -> str:
    """``seccomp=FILE`` with what is in the file, as docker's client does it. Raises :class:`InvalidSpec`."""
    name, _, path = option.partition("=") if "=" in option else option.partition(":")
    if name != "seccomp" or not path or path in ("unconfined", "builtin"):
        return option
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = str(error.strerror).lower() if isinstance(error, OSError) else "it is not text in UTF-8"
        raise InvalidSpec(
            f"opening seccomp profile ({path}) failed: open {path}: {why}",
            hint="seccomp= takes a file with a profile, unconfined, or builtin.",
        ) from None
    from minirt.model.seccomp import parse_profile

    parse_profile(text, path)
    return f"seccomp={json.dumps(json.loads(text), separators=(',', ':'))}"


def _log(options: dict[str, Any]) -> dict[str, Any] | None:
    if not options["log_driver"] and not options["log_opt"]:
        return None
    pairs = (text.partition("=")[::2] for text in options["log_opt"])
    return {"type": options["log_driver"] or "json-file", "config": dict(pairs)}


def _health(options: dict[str, Any]) -> dict[str, Any] | None:
    if options["no_healthcheck"]:
        if options["health_cmd"]:
            raise InvalidSpec("--no-healthcheck conflicts with --health-* options")
        return {"test": ["NONE"]}
    found = {
        "test": ["CMD-SHELL", options["health_cmd"]] if options["health_cmd"] else [],
        "interval": options["health_interval"],
        "timeout": options["health_timeout"],
        "start_period": options["health_start_period"],
        "start_interval": options["health_start_interval"],
        "retries": options["health_retries"],
    }
    return found if any(found.values()) else None


def _cpus(text: str) -> int:
    try:
        count = float(text)
    except ValueError:
        raise ValueError(f"failed to parse {text} as a rational number") from None
    if count < 0:
        raise ValueError("the number of CPUs cannot be negative")
    return int(count * 1_000_000_000)


def _duration(text: str) -> int:
    parts = _DURATION.findall(text)
    if text == "0":
        return 0
    if not parts or "".join(amount + unit for amount, unit in parts) != text:
        raise ValueError(f'time: invalid duration "{text}"')
    return int(sum(float(amount) * _UNITS[unit] for amount, unit in parts))


def _policy(text: str) -> str:
    return str(parse_policy(text))


def _ulimit(text: str) -> str:
    parse_ulimit(text)
    return text


def _weight(text: str) -> int:
    if not text.isdigit():
        raise ValueError(f'strconv.ParseUint: parsing "{text}": invalid syntax')
    return int(text)


def _throttle(text: str) -> str:
    path, colon, rate = text.rpartition(":")
    if not colon:
        raise ValueError(f"bad format: {text}")
    if not path.startswith("/dev/"):
        raise ValueError(f"bad format for device path: {text}")
    if not re.match(r"\d", rate):
        raise ValueError(f"invalid rate for device: {text}. The correct format is <device-path>:<number>[<unit>]")
    return text
