"""docker-py's keyword arguments of ``containers.create`` and ``containers.run``, read into a request."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from minirt.containers.request import CreateRequest, ImageSource
from minirt.engine.settings_options import read_health, read_settings
from minirt.errors import UsageError
from minirt.volumes.mount_flag import mount_of
from minirt.volumes.specs import BindSpec, MountRequest, TmpfsSpec, VolumeSpec, parse_tmpfs, parse_volume

__all__ = ["make_request", "words"]

_PLAIN = {
    "name": "name", "hostname": "hostname", "tty": "terminal", "stdin_open": "stdin_open",
    "auto_remove": "auto_remove", "read_only": "read_only", "privileged": "privileged", "user": "user",
    "stop_signal": "stop_signal", "stop_timeout": "stop_timeout", "publish_all_ports": "publish_all", "ip": "ip",
}  # fmt: skip
_TUPLES = (
    "cap_add", "cap_drop", "volumes_from", "dns", "dns_search", "dns_options", "aliases", "links", "more_networks",
)  # fmt: skip


def words(command: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """A command as docker-py takes it: a string is split as a shell would, a sequence is taken as it is."""
    if command is None:
        return None
    return tuple(shlex.split(command)) if isinstance(command, str) else tuple(command)


def make_request(image: ImageSource, command: str | Sequence[str] | None, options: Mapping[str, Any]) -> CreateRequest:
    """``options``: name, entrypoint, environment, working_dir, user, hostname, tty, stdin_open, volumes, mounts,
    tmpfs, volumes_from, network (or network_mode), labels, auto_remove, read_only, privileged, cap_add, cap_drop,
    extra_hosts, stop_signal, stop_timeout; ports (docker-py's mapping, or a list of ``-p`` texts), publish_all_ports,
    exposed_ports, dns, dns_search, dns_options, links (``NAME:ALIAS`` texts), more_networks (:class:`Wish`), aliases
    and ip (both on the network that is named); mem_limit, memswap_limit, mem_reservation, mem_swappiness,
    oom_kill_disable, nano_cpus, cpu_period, cpu_quota, cpu_shares, cpuset_cpus, cpuset_mems,
    blkio_weight, device_read_bps and its three companions, pids_limit, ulimits, restart_policy, healthcheck,
    log_config, init, security_opt; pid_mode, ipc_mode, uts_mode, userns_mode, cgroupns, cgroup_parent, domainname,
    shm_size, devices, sysctls, group_add, oom_score_adj, annotations; attach (of stdin, stdout, stderr).

    Raises :class:`UsageError` for an option that is not one of these, :class:`InvalidSpec` for a bad value.
    """
    left = dict(options)
    fields: dict[str, Any] = {ours: left.pop(name) for name, ours in _PLAIN.items() if left.get(name) is not None}
    for name in _TUPLES:
        fields[name] = tuple(left.pop(name, None) or ())
    fields["attached"] = tuple(left.pop("attach", None) or ("stdout", "stderr"))
    fields["settings"] = read_settings(left)
    fields["health"] = read_health(left.pop("healthcheck", None))
    fields["entrypoint"] = words(left.pop("entrypoint", None))
    fields["env"] = _environment(left.pop("environment", None))
    fields["cwd"] = left.pop("working_dir", None) or ""
    fields["labels"] = _labels(left.pop("labels", None))
    fields["extra_hosts"] = _pairs(left.pop("extra_hosts", None))
    fields["network"] = left.pop("network_mode", None) or left.pop("network", None) or "default"
    left.pop("network", None)
    fields["exposed_ports"] = tuple(left.pop("exposed_ports", None) or ())
    fields["ports"] = _ports(left.pop("ports", None))
    fields["mounts"] = _mounts(left.pop("volumes", None), left.pop("mounts", None), left.pop("tmpfs", None))
    unknown = [name for name, value in left.items() if name not in _PLAIN and value is not None]
    if unknown:
        raise UsageError(
            f"containers.run() got an option that minirt does not have: {', '.join(sorted(unknown))}",
            hint="help(engine.containers.create) lists the options there are.",
        )
    return CreateRequest(image=image, command=words(command), **fields)


def _environment(given: Mapping[str, str] | Sequence[str] | None) -> tuple[str, ...]:
    if isinstance(given, Mapping):
        return tuple(f"{name}={value}" for name, value in given.items())
    return tuple(given or ())


def _labels(given: Mapping[str, str] | Sequence[str] | None) -> dict[str, str]:
    if isinstance(given, Mapping):
        return {str(name): str(value) for name, value in given.items()}
    return dict(entry.partition("=")[::2] for entry in given or ())


def _pairs(given: Mapping[str, str] | Sequence[str] | None) -> tuple[str, ...]:
    if isinstance(given, Mapping):
        return tuple(f"{name}:{value}" for name, value in given.items())
    return tuple(given or ())


def _ports(given: Mapping[str, Any] | Sequence[str] | None) -> tuple[str, ...]:
    """docker-py: ``{"80/tcp": 8080, "53/udp": ("127.0.0.1", 5353), "81": None, "82": [8082, 8083]}``."""
    from minirt.networks.ports import parse_publish

    if not isinstance(given, Mapping):
        return tuple(str(one) for text in given or () for one in parse_publish(text))
    texts = []
    for port, places in given.items():
        for place in places if isinstance(places, list) else [places]:
            address, host = place if isinstance(place, tuple) else ("", place)
            address = f"[{address}]" if ":" in address else address
            texts.append(f"{address}:{host or ''}:{port}" if address else f"{host or ''}:{port}")
    return _ports(texts)


def _mounts(
    volumes: Mapping[str, Mapping[str, str]] | Sequence[str] | None,
    mounts: Sequence[MountRequest | Mapping[str, Any]] | None,
    tmpfs: Mapping[str, str] | None,
) -> tuple[MountRequest, ...]:
    """``volumes`` is a list of ``-v`` texts, or docker-py's ``{"/host": {"bind": "/inside", "mode": "ro"}}``.

    ``mounts`` are specs, or docker-py's ``Mount``.
    """
    found = [mount_of(one, str(Path.cwd())) if isinstance(one, Mapping) else one for one in mounts or ()]
    if isinstance(volumes, Mapping):
        texts = [f"{source}:{entry['bind']}:{entry.get('mode', 'rw')}" for source, entry in volumes.items()]
    else:
        texts = list(volumes or ())
    # The directory may have been removed under our feet: only who names a volume needs it.
    found += [parse_volume(text, str(Path.cwd())) for text in texts]
    found += [parse_tmpfs(f"{path}:{options}" if options else path) for path, options in (tmpfs or {}).items()]
    assert all(isinstance(mount, BindSpec | VolumeSpec | TmpfsSpec) for mount in found)
    return tuple(found)
