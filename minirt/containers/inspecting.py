"""``docker inspect CONTAINER``: the facts under docker's names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from minirt.containers.host_config import host_config
from minirt.containers.network_settings import network_settings
from minirt.containers.records import ContainerRecord
from minirt.containers.state import State
from minirt.containers.volume_points import shadows_of
from minirt.model.spec import HealthCheck

__all__ = ["container_attributes"]

_NEVER = "0001-01-01T00:00:00Z"  # Go's zero time, which docker prints for "not yet"


def container_attributes(record: ContainerRecord, state: State, directory: Path) -> dict[str, Any]:
    """The object that ``docker inspect`` prints, without the fields that would always be empty here."""
    argv = record.argv
    return {
        "Id": record.id,
        "Created": record.created,
        "Path": argv[0],
        "Args": list(argv[1:]),
        "State": _state(state),
        "Image": str(record.image_id),
        "ResolvConfPath": "",
        "HostnamePath": "",
        "HostsPath": "",
        "LogPath": "" if record.settings.log.driver == "none" else str(directory / "log"),
        "Name": f"/{record.name}",
        "RestartCount": state.restarts,
        "Driver": "overlay",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": None,
        "HostConfig": host_config(record),
        "GraphDriver": {"Name": "overlay", "Data": _storage(record, directory)},
        # What --tmpfs asked for stands in HostConfig.Tmpfs alone, as with docker.
        "Mounts": [point.to_docker() for point in record.mounts if point.kind != "tmpfs" or point.long],
        "Config": _config(record),
        # Ours: what each mount hides, of the image or of a mount around it.
        "Shadows": shadows_of(record, directory),
        "NetworkSettings": network_settings(record, state, directory),
    }


def _state(state: State) -> dict[str, Any]:
    return {
        "Status": state.status,
        "Running": state.alive,
        "Paused": state.paused,
        "Restarting": state.status == "restarting",
        "OOMKilled": state.oom_killed,
        "Dead": state.status == "dead",
        "Pid": state.pid if state.alive else 0,
        "ExitCode": state.exit_code,
        "Error": state.error,
        "StartedAt": state.started_at or _NEVER,
        "FinishedAt": state.finished_at or _NEVER,
        **({"Health": dict(state.health)} if state.health is not None else {}),
    }


def _storage(record: ContainerRecord, directory: Path) -> dict[str, str]:
    layers = directory.parent.parent / "layers"
    # docker lists the lower directories topmost first, as the mount option does.
    lowers = [str(layers / diff_id.hex / "diff") for diff_id in reversed(record.diff_ids)]
    return {
        "LowerDir": ":".join(lowers),
        "UpperDir": str(directory / "upper"),
        "WorkDir": str(directory / "work"),
    }


def _config(record: ContainerRecord) -> dict[str, Any]:
    check = record.settings.health
    return {
        "Hostname": record.hostname,
        "Domainname": record.settings.isolation.domainname,
        "User": record.user,
        "AttachStdin": "stdin" in record.attached,
        "AttachStdout": "stdout" in record.attached,
        "AttachStderr": "stderr" in record.attached,
        **({"ExposedPorts": {port: {} for port in record.exposed_ports}} if record.exposed_ports else {}),
        "Tty": record.terminal,
        "OpenStdin": record.stdin_open,
        "StdinOnce": "stdin" in record.attached,
        "Env": list(record.env),
        "Cmd": list(record.command) or None,
        **({"Healthcheck": _health(check)} if check is not None else {}),
        "Image": record.image,
        "Volumes": {point.destination: {} for point in record.mounts if point.anonymous and not point.inherited}
        or None,
        "WorkingDir": record.cwd,
        "Entrypoint": list(record.entrypoint) or None,
        "OnBuild": None,
        "Labels": dict(record.labels),
        "StopSignal": record.stop_signal,
        "StopTimeout": record.stop_timeout,
    }


def _health(check: HealthCheck) -> dict[str, Any]:
    times = {
        "Interval": check.interval,
        "Timeout": check.timeout,
        "StartPeriod": check.start_period,
        "StartInterval": check.start_interval,
    }
    named = {name: int(seconds * 1_000_000_000) for name, seconds in times.items()}
    return {"Test": ["CMD", *check.argv], **named, "Retries": check.retries}
