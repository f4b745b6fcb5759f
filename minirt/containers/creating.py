"""From a request to a record: what the image gives, what the user overrides, which volumes it gets."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from minirt.containers.records import ContainerRecord, MountPoint
from minirt.containers.request import CreateRequest
from minirt.containers.settings import Settings, health_of, log_attributes
from minirt.containers.volume_points import volume_point
from minirt.errors import InvalidSpec, PathNotFound, UsageError
from minirt.model.config import ContainerConfig, Healthcheck
from minirt.model.spec import HealthCheck
from minirt.networks.ports import parse_publish
from minirt.volumes import Volumes
from minirt.volumes.specs import BindSpec, MountRequest, TmpfsSpec, VolumeSpec

__all__ = ["make_record"]

_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def make_record(
    request: CreateRequest,
    volumes: Volumes,
    created: str,
    mounts_of: Callable[[str], tuple[MountPoint, ...]],
) -> ContainerRecord:
    """Raises InvalidSpec, PathNotFound, UsageError. Volumes that do not exist yet are made."""
    image = request.image.config.config
    entrypoint, command = _program(request, image)
    identity = secrets.token_hex(32)
    return ContainerRecord(
        id=identity,
        name=request.name,
        created=created,
        image=request.image.name,
        image_id=request.image.id,
        diff_ids=request.image.config.diff_ids,
        entrypoint=entrypoint,
        command=command,
        env=_environment(request, image),
        cwd=request.cwd or image.working_dir or "/",
        user=image.user if request.user is None else request.user,
        hostname=request.hostname or identity[:12],
        terminal=request.terminal,
        stdin_open=request.stdin_open,
        mounts=_mounts(request, image, volumes, created, mounts_of),
        network=request.network,
        networks=request.networks,
        ports=request.ports,
        publish_all=request.publish_all,
        forwards=request.forwards,
        dns=request.dns,
        dns_search=request.dns_search,
        dns_options=request.dns_options,
        links=request.links,
        labels={**image.labels, **request.labels},
        auto_remove=request.auto_remove,
        read_only=request.read_only,
        privileged=request.privileged,
        cap_add=request.cap_add,
        cap_drop=request.cap_drop,
        extra_hosts=request.extra_hosts,
        exposed_ports=tuple(sorted({*image.exposed_ports, *request.exposed_ports, *_published(request)})),
        stop_signal=request.stop_signal or image.stop_signal or "SIGTERM",
        settings=_settings(request, image),
        attached=request.attached,
        stop_timeout=10 if request.stop_timeout is None else request.stop_timeout,
    )


def _program(request: CreateRequest, image: ContainerConfig) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Entrypoint and command. A new entrypoint drops the image's CMD, which was meant for the old one."""
    if request.entrypoint is not None:
        entrypoint, command = request.entrypoint, request.command or ()
    else:
        entrypoint = image.entrypoint or ()
        command = request.command if request.command else image.cmd or ()
    if not entrypoint + command:
        raise UsageError(
            "no command specified",
            cause=f"the image {request.image.name} has neither CMD nor ENTRYPOINT",
            hint="Name a program after the image.",
        )
    return entrypoint, command


def _health(request: CreateRequest, image: ContainerConfig) -> HealthCheck | None:
    """The user's check; what it leaves open is the image's."""
    own, below = request.health, image.healthcheck
    if own is not None and below is not None:
        names = ("test", "interval", "timeout", "start_period", "start_interval", "retries")
        own = Healthcheck(**{name: getattr(own, name) or getattr(below, name) for name in names})
    return health_of(own or below, image.shell or ("/bin/sh", "-c"))


def _settings(request: CreateRequest, image: ContainerConfig) -> Settings:
    """What the image adds, and what is worked out from labels and environment."""
    asked = request.settings
    env = dict(entry.partition("=")[::2] for entry in _environment(request, image))
    attributes = log_attributes(asked.log_options, {**image.labels, **request.labels}, env)
    return replace(
        asked,
        health=_health(request, image),
        log=replace(asked.log, attributes=attributes),
        volumes_from=request.volumes_from,
    )


def _published(request: CreateRequest) -> Iterator[str]:
    """A port that is published is exposed, too."""
    return (one.port for text in request.ports for one in parse_publish(text))


def _environment(request: CreateRequest, image: ContainerConfig) -> tuple[str, ...]:
    merged: dict[str, str] = {}
    for entry in (_PATH, *image.env, *request.env):
        name, equals, value = entry.partition("=")
        if equals:
            merged[name] = value
        else:
            merged.pop(name, None)  # `-e NAME` of a variable that the caller does not have takes it away
    return tuple(f"{name}={value}" for name, value in merged.items())


def _mounts(
    request: CreateRequest,
    image: ContainerConfig,
    volumes: Volumes,
    created: str,
    mounts_of: Callable[[str], tuple[MountPoint, ...]],
) -> tuple[MountPoint, ...]:
    """One mount a target: what the user names wins over ``--volumes-from``, and that over the image's VOLUME."""
    points: dict[str, MountPoint] = {}
    for mount in request.mounts:
        target = _target(mount.target)
        if target in points:
            raise InvalidSpec(f"Duplicate mount point: {target}", hint="Give each place in the container one mount.")
        points[target] = _point(mount, target, volumes, created)
    for text in request.volumes_from:
        name, _, mode = text.partition(":")
        for inherited in mounts_of(name):
            points.setdefault(inherited.destination, _limited(inherited, mode))
    for path in image.volumes:
        target = _target(path)
        if target not in points:
            points[target] = _point(VolumeSpec("", target), target, volumes, created)
    return tuple(points[target] for target in sorted(points))


def _limited(point: MountPoint, mode: str) -> MountPoint:
    if mode not in ("", "ro", "rw", "z"):
        raise InvalidSpec(f"invalid mode: {mode}", hint="After --volumes-from NAME comes :ro, :rw or nothing.")
    return replace(point, read_write=point.read_write and mode != "ro", inherited=True)


def _target(path: str) -> str:
    if not path.startswith("/"):
        raise InvalidSpec(
            f"invalid mount path: '{path}' mount path must be absolute",
            hint="The place inside the container starts with '/'.",
        )
    clean = os.path.normpath(path).replace("//", "/")
    if clean == "/":
        raise InvalidSpec("invalid specification: destination can't be '/'", hint="Mount below the root.")
    return clean


def _point(mount: MountRequest, target: str, volumes: Volumes, created: str) -> MountPoint:
    return replace(_short_point(mount, target, volumes, created), long=mount.long)


def _short_point(mount: MountRequest, target: str, volumes: Volumes, created: str) -> MountPoint:
    if isinstance(mount, TmpfsSpec):
        return MountPoint(
            "tmpfs", target, read_write=not mount.read_only, size=mount.size, mode=mount.mode, options=mount.options
        )
    if isinstance(mount, BindSpec):
        source = _host_path(mount)
        return MountPoint(
            "bind",
            target,
            source,
            "",
            not mount.read_only,
            propagation=mount.propagation,
            recursive=mount.recursive,
            writable_below=mount.writable_below,
        )
    volume = volumes.create(mount.name, created=created, labels=mount.labels, options=mount.driver_options)
    return volume_point(volume, mount, target)


def _host_path(mount: BindSpec) -> str:
    source = Path(mount.source)
    if source.exists():
        return str(source)
    if not mount.create:
        raise PathNotFound(
            f'invalid mount config for type "bind": bind source path does not exist: {source}',
            hint="Create it first; only -v creates missing directories.",
        )
    try:
        source.mkdir(parents=True)
    except OSError as error:
        raise PathNotFound(
            f"cannot create the directory {source}: {error.strerror}",
            cause="-v creates a directory of the machine that is missing, and here that is not allowed",
            hint="Name a directory that exists, or one below your home; or use a volume: -v NAME:/place.",
        ) from error
    return str(source)
