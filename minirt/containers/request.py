"""What somebody asks for when a container is created, before names, volumes and defaults are looked up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from minirt.containers.settings import Settings
from minirt.model.config import Healthcheck, ImageConfig
from minirt.model.digest import Digest
from minirt.networks.records import Wish
from minirt.snapshots import LayerSource
from minirt.volumes.specs import MountRequest

__all__ = ["CreateRequest", "ImageSource"]


@dataclass(frozen=True, slots=True)
class ImageSource:
    """The image, found: ``name`` as it was typed, and what a root filesystem needs."""

    name: str
    id: Digest
    config: ImageConfig
    layers: tuple[LayerSource, ...]


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """``docker create``'s flags as values. None means "not given": the image decides."""

    image: ImageSource
    command: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    name: str = ""
    env: tuple[str, ...] = ()
    cwd: str = ""
    user: str | None = None
    hostname: str = ""
    terminal: bool = False
    stdin_open: bool = False
    mounts: tuple[MountRequest, ...] = ()
    volumes_from: tuple[str, ...] = ()
    network: str = "default"
    networks: tuple[Wish, ...] = ()
    aliases: tuple[str, ...] = ()
    ip: str = ""
    ports: tuple[str, ...] = ()
    publish_all: bool = False
    forwards: bool = False
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    more_networks: tuple[Wish, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    auto_remove: bool = False
    read_only: bool = False
    privileged: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    extra_hosts: tuple[str, ...] = ()
    exposed_ports: tuple[str, ...] = ()
    stop_signal: str = ""
    stop_timeout: int | None = None
    attached: tuple[str, ...] = ("stdout", "stderr")
    settings: Settings = field(default_factory=Settings)
    health: Healthcheck | None = None
