"""The ``--mount`` flag: comma-separated ``key=value`` pairs, read as one line of CSV (docker/cli, opts/mount.go)."""

from __future__ import annotations

import csv
import difflib
import posixpath
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from minirt.errors import InvalidSpec
from minirt.volumes.specs import (
    PROPAGATIONS,
    BindSpec,
    MountRequest,
    TmpfsSpec,
    VolumeSpec,
    check_volume_name,
    container_path,
    parse_mode,
    parse_size,
)

__all__ = ["mount_of", "parse_mount"]

_ALIASES = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly"}
_COMMON = ("type", "source", "target", "readonly", "consistency")
_KEYS = {
    "bind": (*_COMMON, "bind-propagation", "bind-nonrecursive", "bind-recursive"),
    "volume": (*_COMMON, "volume-nocopy", "volume-label", "volume-driver", "volume-opt", "volume-subpath"),
    "tmpfs": (*_COMMON, "tmpfs-size", "tmpfs-mode"),
}
_BOOLEANS = ("readonly", "volume-nocopy", "bind-nonrecursive")
_RECURSIVE = ("enabled", "disabled", "writable", "readonly")
_MANY = ("volume-label", "volume-opt")
# What docker's API calls the fields, and in which group the rest of them are.
_NAMES = {"Type": "type", "Source": "source", "Target": "target", "ReadOnly": "readonly", "Consistency": "consistency"}
_OPTIONS = {
    "BindOptions": {"Propagation": "bind-propagation", "NonRecursive": "bind-nonrecursive"},
    "VolumeOptions": {"NoCopy": "volume-nocopy", "Subpath": "volume-subpath"},
    "TmpfsOptions": {"SizeBytes": "tmpfs-size", "Mode": "tmpfs-mode"},
}


def parse_mount(text: str, cwd: str = "/") -> MountRequest:
    """One ``--mount``. Raises :class:`InvalidSpec`, naming the field and what would be right."""
    return _spec(_fields(text), text, cwd)


def mount_of(data: Mapping[str, Any], cwd: str = "/") -> MountRequest:
    """docker-py's ``Mount``, or a dictionary like it: ``{"Type", "Source", "Target", "ReadOnly", …}``.

    Raises :class:`InvalidSpec`.
    """
    fields = {key: [str(data[name])] for name, key in _NAMES.items() if data.get(name)}
    for options, known in _OPTIONS.items():
        given = data.get(options) or {}
        fields |= {key: [str(given[name])] for name, key in known.items() if given.get(name)}
    extra = data.get("VolumeOptions") or {}
    driver = extra.get("DriverConfig") or {}
    fields |= {"volume-driver": [driver["Name"]]} if driver.get("Name") else {}
    for key, pairs in (("volume-label", extra.get("Labels")), ("volume-opt", driver.get("Options"))):
        fields |= {key: [f"{name}={text}" for name, text in pairs.items()]} if pairs else {}
    if "tmpfs-mode" in fields:
        fields["tmpfs-mode"] = [f"{int(fields['tmpfs-mode'][0]):o}"]
    return _spec(fields, str(dict(data)), cwd)


def _spec(fields: dict[str, list[str]], text: str, cwd: str) -> MountRequest:
    kind = _one(fields, "type") or "volume"
    if kind not in _KEYS:
        raise InvalidSpec(f'invalid mount config for type "{kind}": mount type unknown', hint=_near(kind, tuple(_KEYS)))
    for key in fields:
        if key not in _KEYS[kind]:
            raise InvalidSpec(f"cannot mix '{key}' with mount type '{kind}'", hint=_near(key, _KEYS[kind]))
    if not _one(fields, "target"):
        raise InvalidSpec("target is required", hint="Write target=/path/in/the/container.")
    target = container_path(text, _one(fields, "target"))
    if kind == "bind":
        return replace(_bind(fields, target, cwd), long=True)
    return replace(_volume(fields, target) if kind == "volume" else _tmpfs(fields, target), long=True)


def _fields(text: str) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    known = sorted({key for keys in _KEYS.values() for key in keys})
    try:
        pairs = next(csv.reader([text]), [])
    except csv.Error as error:
        raise InvalidSpec(f"invalid mount {text!r}", cause=str(error), hint="type=bind,source=/x,target=/y") from error
    for pair in pairs:
        key, equals, value = pair.partition("=")
        key = _ALIASES.get(key.strip().lower(), key.strip().lower())
        if not equals and key not in _BOOLEANS:
            raise InvalidSpec(f"invalid field '{pair}' must be a key=value pair", hint="type=bind,source=/x,target=/y")
        if key not in known:
            raise InvalidSpec(f"unexpected key '{key}' in '{pair}'", hint=_near(key, tuple(known)))
        fields.setdefault(key, []).append(value if equals else "true")
    return fields


def _bind(fields: dict[str, list[str]], target: str, cwd: str) -> BindSpec:
    source = _one(fields, "source")
    if not source:
        raise InvalidSpec('invalid mount config for type "bind": field Source must not be empty')
    if source.startswith("."):
        source = posixpath.join(cwd, source)
    if not source.startswith("/"):
        raise InvalidSpec(
            f"invalid mount config for type \"bind\": invalid mount path: '{source}' mount path must be absolute",
            hint="Start it with / or ./, or use type=volume for a named volume.",
        )
    propagation = _one(fields, "bind-propagation") or "rprivate"
    if propagation not in PROPAGATIONS:
        raise InvalidSpec(f"invalid propagation mode: {propagation}", hint=_near(propagation, PROPAGATIONS))
    read_only, below = _boolean(fields, "readonly"), _below(fields, propagation)
    recursive = not _boolean(fields, "bind-nonrecursive") and below != "disabled"
    return BindSpec(
        posixpath.normpath(source), target, read_only, False, recursive, propagation, writable_below=below == "writable"
    )


def _below(fields: dict[str, list[str]], propagation: str) -> str:
    """``bind-recursive``: what holds for the mounts below the one that is bound."""
    below = _one(fields, "bind-recursive") or "enabled"
    if below not in _RECURSIVE:
        raise InvalidSpec(
            f'invalid value for bind-recursive: {below} (must be "enabled", "disabled", "writable", or "readonly")'
        )
    if below in ("writable", "readonly") and not _boolean(fields, "readonly"):
        raise InvalidSpec(f"option 'bind-recursive={below}' requires 'readonly' to be specified in conjunction")
    if below == "readonly" and "bind-propagation" in fields and propagation != "rprivate":
        raise InvalidSpec(
            "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction"
        )
    return below


def _volume(fields: dict[str, list[str]], target: str) -> VolumeSpec:
    name = _one(fields, "source")
    if name:
        check_volume_name(name)
    driver = _one(fields, "volume-driver")
    if driver not in ("", "local"):
        raise InvalidSpec(f'plugin "{driver}" not found', hint="minirt has one volume driver: local.")
    subpath = _one(fields, "volume-subpath")
    if subpath and not name:
        raise InvalidSpec(
            'invalid mount config for type "volume": must not set Subpath when using anonymous volumes',
            hint="Name the volume: source=NAME.",
        )
    if subpath.startswith("/") or ".." in subpath.split("/"):
        raise InvalidSpec(f"invalid volume subpath {subpath!r}", hint="It is a relative path inside the volume.")
    labels, options = (dict(pair.partition("=")[::2] for pair in fields.get(key, [])) for key in _MANY)
    read_only, no_copy = _boolean(fields, "readonly"), _boolean(fields, "volume-nocopy")
    if read_only and not name:
        raise InvalidSpec(
            'invalid mount config for type "volume": must not set ReadOnly mode when using anonymous volumes',
            hint="Nobody could ever write to it. Name the volume: source=NAME.",
        )
    return VolumeSpec(name, target, read_only, no_copy, subpath, labels, options)


def _tmpfs(fields: dict[str, list[str]], target: str) -> TmpfsSpec:
    if "source" in fields:
        raise InvalidSpec('invalid mount config for type "tmpfs": field Source must not be specified')
    size, mode = _one(fields, "tmpfs-size"), _one(fields, "tmpfs-mode")
    return TmpfsSpec(
        target,
        parse_size(size) if size else 0,
        parse_mode(mode) if mode else None,
        read_only=_boolean(fields, "readonly"),
    )


def _one(fields: dict[str, list[str]], key: str) -> str:
    return fields.get(key, [""])[-1]


def _boolean(fields: dict[str, list[str]], key: str) -> bool:
    value = _one(fields, key)
    if value.lower() in ("true", "1", "t"):
        return True
    if value.lower() in ("", "false", "0", "f"):
        return False
    raise InvalidSpec(f"invalid value for {key}: {value}", hint="Write true or false.")


def _near(word: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f"Did you mean {near[0]}?" if near else f"One of: {', '.join(known)}."
