"""``docker inspect CONTAINER``: the facts under docker's names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from minirt.containers.network_settings import network_settings, port_bindings
from minirt.containers.records import ContainerRecord
from minirt.containers.state import State
from minirt.containers.volume_points import shadows_of

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
        "LogPath": str(directory / "log"),
        "HostsPath": "",
        "Name": f"/{record.name}",
        "RestartCount": state.restarts,
        "Driver": "overlay",
        "Platform": "linux",
        "HostConfig": _host_config(record),
        "GraphDriver": {"Name": "overlay", "Data": _storage(record, directory)},
        "Mounts": [point.to_docker() for point in record.mounts],
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


def _host_config(record: ContainerRecord) -> dict[str, Any]:
    return {
        "Binds": [
            f"{point.name or point.source}:{point.destination}" + ("" if point.read_write else ":ro")
            for point in record.mounts
            if point.kind != "tmpfs" and not point.anonymous
        ]
        or None,
        "NetworkMode": record.network,
        "PortBindings": port_bindings(record),
        "PublishAllPorts": record.publish_all,
        "Dns": list(record.dns) or None,
        "DnsSearch": list(record.dns_search) or None,
        "DnsOptions": list(record.dns_options) or None,
        "Links": [f"/{link.partition(':')[0][:12]}:/{record.name}/{link.partition(':')[2]}" for link in record.links]
        or None,
        "AutoRemove": record.auto_remove,
        "CapAdd": list(record.cap_add) or None,
        "CapDrop": list(record.cap_drop) or None,
        "ExtraHosts": list(record.extra_hosts) or None,
        "Privileged": record.privileged,
        "ReadonlyRootfs": record.read_only,
        **record.settings.to_docker(),
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
    return {
        "Hostname": record.hostname,
        "User": record.user,
        "Tty": record.terminal,
        "OpenStdin": record.stdin_open,
        "ExposedPorts": {port: {} for port in record.exposed_ports} or None,
        "Env": list(record.env),
        "Cmd": list(record.command) or None,
        "Image": record.image,
        "WorkingDir": record.cwd,
        "Entrypoint": list(record.entrypoint) or None,
        "Labels": dict(record.labels),
        "StopSignal": record.stop_signal,
        "StopTimeout": record.stop_timeout,
    }
