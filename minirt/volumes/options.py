"""What the local driver's options mean: mount(8)'s ``type``, ``device`` and ``o`` (docker's "volume create")."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass

from minirt.errors import InvalidSpec, Unsupported
from minirt.volumes.specs import parse_mode, parse_size

__all__ = ["Backing", "BoundDirectory", "Memory", "OwnDirectory", "backing"]

_KEYS = ("type", "device", "o", "size")


@dataclass(frozen=True, slots=True)
class OwnDirectory:
    """The volume's own ``_data``: the usual case."""


@dataclass(frozen=True, slots=True)
class BoundDirectory:
    """A directory of the machine under a volume's name."""

    path: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory, fresh in every container that starts. ``size`` in bytes, 0 for no limit of its own."""

    size: int = 0
    mode: int = 0o1777
    options: tuple[str, ...] = ()


Backing = OwnDirectory | BoundDirectory | Memory


def backing(options: Mapping[str, str]) -> Backing:
    """What stands behind a volume with these options. Raises :class:`InvalidSpec`, :class:`Unsupported`."""
    for key in options:
        if key not in _KEYS:
            raise InvalidSpec(f'invalid option: "{key}"', hint=f"The local driver knows {', '.join(_KEYS[:3])}.")
    kind, device = options.get("type", ""), options.get("device", "")
    words = [word for word in options.get("o", "").split(",") if word]
    if not kind and not device and not words:
        return OwnDirectory()
    if kind == "tmpfs":
        return _memory(words)
    if kind in ("none", "") and ("bind" in words or "rbind" in words):
        if not device:
            raise InvalidSpec("missing device in volume options", hint="Add --opt device=/a/directory.")
        if not device.startswith("/"):
            raise InvalidSpec(f"invalid device {device!r}: not an absolute path")
        return BoundDirectory(posixpath.normpath(device), "ro" in words)
    if not kind:
        raise InvalidSpec("missing type in volume options", hint="For a directory: --opt type=none --opt o=bind.")
    raise Unsupported(
        f"volumes of type {kind}: minirt mounts directories (type=none, o=bind) and memory (type=tmpfs)",
        hint="Mount it on the machine and name the directory.",
    )


def _memory(words: list[str]) -> Memory:
    size, mode, rest = 0, 0o1777, []
    for word in words:
        key, _, value = word.partition("=")
        if key == "size":
            size = parse_size(value)
        elif key == "mode":
            mode = parse_mode(value)
        else:
            rest.append(word)
    return Memory(size, mode, tuple(rest))
