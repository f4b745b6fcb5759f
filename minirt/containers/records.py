"""What a container is: the part that is written once, when it is created (``containers/<id>/config.json``)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from minirt.containers.settings import Settings
from minirt.errors import InvalidDocument
from minirt.model.digest import Digest
from minirt.networks.records import Wish

__all__ = ["ContainerRecord", "MountPoint"]


@dataclass(frozen=True, slots=True)
class MountPoint:
    """One entry of ``Mounts`` in ``docker inspect``. ``kind`` is volume, bind or tmpfs; ``name`` a volume's.

    ``memory``: a volume that is a fresh tmpfs at each start. ``long``: it was asked for with ``--mount``.
    """

    kind: str
    destination: str
    source: str = ""
    name: str = ""
    read_write: bool = True
    anonymous: bool = False
    size: int = 0
    mode: int | None = None
    propagation: str = "rprivate"
    no_copy: bool = False
    recursive: bool = True
    memory: bool = False
    writable_below: bool = False
    options: tuple[str, ...] = ("nosuid", "nodev", "noexec")
    inherited: bool = False
    long: bool = False

    def to_docker(self) -> dict[str, Any]:
        """As docker prints it."""
        head: dict[str, Any] = {"Type": self.kind}
        if self.name:
            head["Name"] = self.name
        return head | {
            "Source": self.source,
            "Destination": self.destination,
            **({"Driver": "local"} if self.kind == "volume" else {}),
            "Mode": self._written(),
            "RW": self.read_write,
            "Propagation": self.propagation if self.kind == "bind" else "",
        }

    def _written(self) -> str:
        """What stood behind the last colon of ``-v``; docker notes ``z`` for a volume where nothing did."""
        if self.inherited:
            return ""
        if not (self.long or self.read_write):
            return "ro"
        if self.kind != "volume" or (self.anonymous and not self.long):
            return ""
        return "nocopy" if self.no_copy and not (self.long or self.memory) else "z"


@dataclass(frozen=True, slots=True)
class ContainerRecord:
    """Everything that starting the container needs and that does not change while it lives.

    ``network`` is docker's NetworkMode, ``networks`` are those it joins at each start; ``ports`` as ``-p`` takes them.
    ``argv`` is entrypoint and command joined; ``created`` RFC 3339 in UTC; ``user`` as written (looked up at
    each start, because /etc/passwd may change inside); ``stop_timeout`` in seconds. ``links`` are texts ``container
    id:alias``. ``forwards``: it got the machine's network without asking for it, so its published ports are still
    seen to. ``attached`` are the streams that who starts it in the foreground wants.
    """

    id: str
    name: str
    created: str
    image: str
    image_id: Digest
    diff_ids: tuple[Digest, ...]
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    env: tuple[str, ...] = ()
    cwd: str = "/"
    user: str = ""
    hostname: str = ""
    terminal: bool = False
    stdin_open: bool = False
    mounts: tuple[MountPoint, ...] = ()
    network: str = "host"
    networks: tuple[Wish, ...] = ()
    ports: tuple[str, ...] = ()
    publish_all: bool = False
    forwards: bool = False
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    auto_remove: bool = False
    read_only: bool = False
    privileged: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    extra_hosts: tuple[str, ...] = ()
    exposed_ports: tuple[str, ...] = ()
    stop_signal: str = "SIGTERM"
    stop_timeout: int = 10
    attached: tuple[str, ...] = ("stdout", "stderr")
    settings: Settings = field(default_factory=Settings)

    @property
    def argv(self) -> tuple[str, ...]:
        return self.entrypoint + self.command

    @property
    def short_id(self) -> str:
        return self.id[:12]

    def to_bytes(self) -> bytes:
        data = asdict(self)
        data["image_id"] = str(self.image_id)
        data["diff_ids"] = [str(diff_id) for diff_id in self.diff_ids]
        # Any bytes may be in a command line and in the environment: they come back as they were.
        return json.dumps(data, indent=1, ensure_ascii=False).encode("utf-8", "surrogatepass")

    @classmethod
    def from_bytes(cls, raw: bytes) -> ContainerRecord:
        """Raises :class:`InvalidDocument`; unknown fields, of a newer version, are left out."""
        try:
            data = {k: v for k, v in json.loads(raw).items() if k in cls.__dataclass_fields__}
            lists = {k: tuple(v) for k, v in data.items() if isinstance(v, list)}
            return cls(
                **{
                    **data,
                    **lists,
                    "settings": Settings.from_json(data.get("settings") or {}),
                    "image_id": Digest.parse(data["image_id"]),
                    "diff_ids": tuple(Digest.parse(text) for text in data["diff_ids"]),
                    "networks": tuple(
                        Wish(**{**wish, "aliases": tuple(wish["aliases"])}) for wish in data.get("networks", ())
                    ),
                    "mounts": tuple(
                        MountPoint(**{**mount, "options": tuple(mount["options"])}) for mount in data["mounts"]
                    ),
                }
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidDocument(f"not a container's config.json: {error!r}") from error


def _mount_point(data: Mapping[str, Any]) -> MountPoint:
    return MountPoint(**{**data, "options": tuple(data["options"])})
