"""The image config: what a container of the image runs, and how the image was made (OCI image-spec, config.md).

Fields keep the names and the spelling of Go's JSON in ``to_json``; in Python they are snake_case. Fields that
minirt does not know are kept as they came (``extra``), so that an image survives a round trip.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from minirt.errors import InvalidDocument
from minirt.model.digest import Digest
from minirt.model.manifest import canonical_json
from minirt.model.platform import Platform

__all__ = ["ContainerConfig", "Healthcheck", "History", "ImageConfig"]


@dataclass(frozen=True, slots=True)
class Healthcheck:
    """``HEALTHCHECK`` (docker image-spec v1.2). Times are in nanoseconds, 0 for the default."""

    test: tuple[str, ...] = ()
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0

    _NAMES = (
        ("interval", "Interval"),
        ("timeout", "Timeout"),
        ("start_period", "StartPeriod"),
        ("start_interval", "StartInterval"),
        ("retries", "Retries"),
    )

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Healthcheck:
        return cls(tuple(data.get("Test") or ()), **{ours: int(data.get(theirs) or 0) for ours, theirs in cls._NAMES})

    def to_json(self) -> dict[str, Any]:
        data: dict[str, Any] = {"Test": list(self.test)} if self.test else {}
        return data | {theirs: getattr(self, ours) for ours, theirs in self._NAMES if getattr(self, ours)}


@dataclass(frozen=True, slots=True)
class ContainerConfig:
    """The ``config`` object: the defaults of a container.

    ``env`` is a tuple of ``NAME=value``, in order; ``cmd`` and ``entrypoint`` are None when unset, which differs
    from empty; ``exposed_ports`` such as ``("80/tcp",)`` and ``volumes`` are sorted sets.
    """

    user: str = ""
    exposed_ports: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    volumes: tuple[str, ...] = ()
    working_dir: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str = ""
    shell: tuple[str, ...] | None = None
    healthcheck: Healthcheck | None = None
    on_build: tuple[str, ...] = ()
    args_escaped: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ContainerConfig:
        known = {
            "User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels", "StopSignal",
            "Shell", "Healthcheck", "OnBuild", "ArgsEscaped",
        }  # fmt: skip
        return cls(
            user=data.get("User") or "",
            exposed_ports=tuple(sorted(data.get("ExposedPorts") or ())),
            env=tuple(data.get("Env") or ()),
            entrypoint=_words(data.get("Entrypoint")),
            cmd=_words(data.get("Cmd")),
            volumes=tuple(sorted(data.get("Volumes") or ())),
            working_dir=data.get("WorkingDir") or "",
            labels=dict(data.get("Labels") or {}),
            stop_signal=data.get("StopSignal") or "",
            shell=_words(data.get("Shell")),
            healthcheck=Healthcheck.from_json(data["Healthcheck"]) if data.get("Healthcheck") else None,
            on_build=tuple(data.get("OnBuild") or ()),
            args_escaped=bool(data.get("ArgsEscaped")),
            extra={k: v for k, v in data.items() if k not in known},
        )

    def to_json(self) -> dict[str, Any]:
        """Only the fields that are set, in the order of Go's struct."""
        data: dict[str, Any] = {}
        if self.user:
            data["User"] = self.user
        if self.exposed_ports:
            data["ExposedPorts"] = {port: {} for port in sorted(self.exposed_ports)}
        if self.env:
            data["Env"] = list(self.env)
        if self.entrypoint is not None:
            data["Entrypoint"] = list(self.entrypoint)
        if self.cmd is not None:
            data["Cmd"] = list(self.cmd)
        if self.healthcheck is not None:
            data["Healthcheck"] = self.healthcheck.to_json()
        if self.volumes:
            data["Volumes"] = {path: {} for path in sorted(self.volumes)}
        if self.working_dir:
            data["WorkingDir"] = self.working_dir
        if self.on_build:
            data["OnBuild"] = list(self.on_build)
        if self.labels:
            data["Labels"] = dict(sorted(self.labels.items()))
        if self.stop_signal:
            data["StopSignal"] = self.stop_signal
        if self.args_escaped:
            data["ArgsEscaped"] = True
        if self.shell is not None:
            data["Shell"] = list(self.shell)
        return data | dict(self.extra)

    def environment(self) -> dict[str, str]:
        """``env`` as a mapping; a later value of a name wins."""
        return dict(entry.partition("=")[::2] for entry in self.env)


@dataclass(frozen=True, slots=True)
class History:
    """One line of ``docker history``. ``created`` is RFC 3339 in UTC; ``empty_layer``: it changed only the config."""

    created: str = ""
    created_by: str = ""
    comment: str = ""
    author: str = ""
    empty_layer: bool = False

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> History:
        texts = {name: str(data.get(name) or "") for name in ("created", "created_by", "comment", "author")}
        return cls(**texts, empty_layer=bool(data.get("empty_layer")))

    def to_json(self) -> dict[str, Any]:
        names = ("created", "created_by", "author", "comment")
        data: dict[str, Any] = {name: getattr(self, name) for name in names if getattr(self, name)}
        return {**data, "empty_layer": True} if self.empty_layer else data


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """The whole document; its digest is the image id."""

    platform: Platform
    config: ContainerConfig = field(default_factory=ContainerConfig)
    diff_ids: tuple[Digest, ...] = ()
    history: tuple[History, ...] = ()
    created: str = ""
    author: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_bytes(cls, raw: bytes) -> ImageConfig:
        """Raises :class:`InvalidDocument`."""
        try:
            data = json.loads(raw)
            rootfs = data.get("rootfs") or {}
            known = {"architecture", "os", "variant", "config", "rootfs", "history", "created", "author"}
            return cls(
                platform=Platform.from_json(data),
                config=ContainerConfig.from_json(data.get("config") or {}),
                diff_ids=tuple(Digest.parse(text) for text in rootfs.get("diff_ids") or ()),
                history=tuple(History.from_json(entry) for entry in data.get("history") or ()),
                created=str(data.get("created") or ""),
                author=str(data.get("author") or ""),
                extra={k: v for k, v in data.items() if k not in known},
            )
        except (ValueError, TypeError, AttributeError) as error:
            raise InvalidDocument(f"not an image config: {error}") from error

    def to_bytes(self) -> bytes:
        data: dict[str, Any] = dict(self.platform.to_json())
        data["config"] = self.config.to_json()
        if self.created:
            data["created"] = self.created
        if self.author:
            data["author"] = self.author
        data["history"] = [entry.to_json() for entry in self.history]
        data["rootfs"] = {"type": "layers", "diff_ids": [str(diff_id) for diff_id in self.diff_ids]}
        return canonical_json(data | dict(self.extra))

    @property
    def digest(self) -> Digest:
        """The image id."""
        return Digest.of(self.to_bytes())


def _words(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    if isinstance(value, str):  # very old images keep a plain string
        return (value,)
    return tuple(str(word) for word in value)
