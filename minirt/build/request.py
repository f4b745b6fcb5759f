"""What is asked of a build, and what its bases come as."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

from minirt.errors import InvalidSpec
from minirt.model.cancel import Cancel
from minirt.model.config import ImageConfig
from minirt.model.events import EventSink
from minirt.model.platform import Platform
from minirt.model.reference import Reference
from minirt.model.spec import Rlimit
from minirt.snapshots.contract import LayerSource

__all__ = ["BuildRequest", "Known", "ResolvedImage", "Resolver"]


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """One ``docker build``.

    ``dockerfile`` is the text and ``source`` its name in errors. ``context`` is a directory, None for no context at
    all (as ``docker build -``). ``ignore`` is the text of a .dockerignore to use instead of the context's own.
    ``build_args`` with the value None take nothing (docker takes it from the environment, which only the command
    line reads). ``no_cache_stages`` are docker's ``--no-cache-filter``. ``contexts`` are ``--build-context`` names
    with directories or references (``docker-image://…``), ``images`` such names with an image. ``secrets`` are
    contents by id; ``ssh`` has by id the socket of an agent, or files with keys. ``extra_hosts`` are names and
    addresses for /etc/hosts (``host-gateway``: this machine), ``shm_size`` the bytes of /dev/shm (0: 64 MB).
    ``annotations`` are the manifest's, those with ``index:`` before the key the index's. ``epoch``, in seconds since
    1970, is SOURCE_DATE_EPOCH: all times of the image become that one, or stay if older.
    """

    dockerfile: str | bytes
    source: str = "Dockerfile"
    context: Path | None = None
    ignore: str | None = None
    tags: tuple[Reference, ...] = ()
    target: str = ""
    build_args: Mapping[str, str | None] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    no_cache: bool = False
    no_cache_stages: tuple[str, ...] = ()
    pull: bool = False
    platform: Platform | None = None
    epoch: int | None = None
    network: str = "default"
    extra_hosts: tuple[tuple[str, str], ...] = ()
    rlimits: tuple[Rlimit, ...] = ()
    shm_size: int = 0
    contexts: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, bytes] = field(default_factory=dict)
    ssh: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    name: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, ResolvedImage] = field(default_factory=dict)

    @property
    def shown_name(self) -> str:
        """What events call the image: ``name``, or its first tag."""
        return self.name or (self.tags[0].familiar if self.tags else "")

    def with_epoch(self) -> BuildRequest:
        """The request with ``epoch`` taken from ``--build-arg SOURCE_DATE_EPOCH=…``, as BuildKit takes it.

        Raises :class:`InvalidSpec` if that is not a number of seconds.
        """
        text = self.build_args.get("SOURCE_DATE_EPOCH")
        if self.epoch is not None or not text:
            return self
        if not (text.isascii() and text.isdigit() and len(text) < 12):
            raise InvalidSpec(
                f"invalid SOURCE_DATE_EPOCH: {text}",
                hint="Give a number of seconds since 1970, for example the one that `git log -1 --pretty=%ct` prints.",
            )
        return replace(self, epoch=int(text))


@dataclass(frozen=True, slots=True)
class ResolvedImage:
    """A base image that is here: its config and its layers, base first."""

    config: ImageConfig
    layers: tuple[LayerSource, ...]


Known: TypeAlias = Callable[[Reference, Platform], ResolvedImage | None]
"""Finds an image if it is here already, without a look at any registry."""

Resolver: TypeAlias = Callable[[Reference, Platform, bool, EventSink, Cancel | None], ResolvedImage]
"""Finds (or pulls) an image: reference, platform, whether to look for a newer one, events, cancel.

Raises ImageNotFound, RegistryError and their kin.
"""
