"""What ``-v``, ``--mount`` and ``--tmpfs`` ask for, as frozen values.

The grammar is docker's (docs.docker.com, "docker container run", and moby's volume/mounts/linux_parser.go)::

    -v       [HOST-PATH|VOLUME-NAME:]CONTAINER-PATH[:OPTION[,OPTION…]]
    --mount  type=bind|volume|tmpfs,source=…,target=…[,key=value…]
    --tmpfs  CONTAINER-PATH[:OPTION[,OPTION…]]

Nothing here looks at the disk: whether a host path exists is found out when the container starts.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from minirt.errors import InvalidSpec

__all__ = [
    "BindSpec",
    "MountRequest",
    "TmpfsSpec",
    "VolumeSpec",
    "check_volume_name",
    "container_path",
    "parse_mode",
    "parse_size",
    "parse_tmpfs",
    "parse_volume",
]

PROPAGATIONS = ("private", "rprivate", "shared", "rshared", "slave", "rslave")
# Kept by docker for SELinux and for Docker Desktop; they change nothing where neither is.
HARMLESS = ("z", "Z", "cached", "delegated", "consistent", "default", "rw")
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([bkmgtp]?)i?b?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class BindSpec:
    """A path of the machine seen in the container.

    ``long``, here and below: asked for with ``--mount``, whose form ``docker inspect`` keeps; it changes nothing else.
    ``source`` is absolute. With ``create`` a missing source is made as a directory (``-v``), without it is an error
    (``--mount``). ``writable_below``: what is mounted below it stays as it is, although this is ``read_only``.
    """

    source: str
    target: str
    read_only: bool = False
    create: bool = True
    recursive: bool = True
    propagation: str = "rprivate"
    writable_below: bool = False
    long: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class VolumeSpec:
    """A volume; without ``name`` an anonymous one. ``no_copy``: do not fill it from the image's content.

    ``subpath`` is a directory in the volume; ``driver_options`` and ``labels`` are for a volume made on the way.
    """

    name: str
    target: str
    read_only: bool = False
    no_copy: bool = False
    subpath: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    driver_options: Mapping[str, str] = field(default_factory=dict)
    long: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class TmpfsSpec:
    """Memory as a directory. ``size`` in bytes, 0 for no limit of its own; ``options`` as mount(8) spells them.

    Without ``mode`` it has that of the directory it covers.
    """

    target: str
    size: int = 0
    mode: int | None = None
    options: tuple[str, ...] = ("nosuid", "nodev", "noexec")
    read_only: bool = False
    long: bool = field(default=False, compare=False)


MountRequest = BindSpec | VolumeSpec | TmpfsSpec


def parse_volume(text: str, cwd: str = "/") -> BindSpec | VolumeSpec:
    """One ``-v``. A host path may start with ``.``; it is then taken from ``cwd``. Raises :class:`InvalidSpec`."""
    parts = text.split(":")
    if len(parts) > 3:
        raise InvalidSpec(f"invalid spec: {text}: too many colons", hint="Write HOST-PATH:CONTAINER-PATH[:ro].")
    if any(not part for part in parts):
        raise InvalidSpec(f"invalid spec: {text}: empty section between colons")
    if len(parts) == 1:
        return VolumeSpec("", container_path(text, parts[0]))
    source, target, modes = parts[0], container_path(text, parts[1]), parts[2].split(",") if len(parts) == 3 else []
    if source.startswith((".", "/")):
        read_only, propagation, recursive = _bind_modes(modes)
        path = posixpath.normpath(posixpath.join(cwd, source))
        return BindSpec(path, target, read_only, True, recursive, propagation)
    check_volume_name(source)
    unknown = [mode for mode in modes if mode not in (*HARMLESS, "ro", "nocopy")]
    if unknown:
        raise _bad_mode(unknown[0])
    return VolumeSpec(source, target, "ro" in modes, "nocopy" in modes)


def parse_tmpfs(text: str) -> TmpfsSpec:
    """One ``--tmpfs``: ``/run:size=64m,mode=755``. Raises :class:`InvalidSpec`."""
    path, _, options = text.partition(":")
    size, flags = 0, {"nosuid": True, "nodev": True, "noexec": True}
    mode: int | None = None
    read_only = False
    for option in filter(None, options.split(",")):
        key, equals, value = option.partition("=")
        if key == "size":
            size = parse_size(value)
        elif key == "mode":
            mode = parse_mode(value)
        elif key in ("ro", "rw") and not equals:
            read_only = key == "ro"
        elif key in ("suid", "dev", "exec") and not equals:
            flags.pop(f"no{key}", None)
        elif key in ("nosuid", "nodev", "noexec", "noatime", "nodiratime", "relatime", "sync") and not equals:
            flags[key] = True
        elif key in ("uid", "gid", "nr_inodes", "nr_blocks") and value.isdigit():
            flags[option] = True
        else:
            raise InvalidSpec(
                f"invalid tmpfs option {option!r}", hint="Write for example --tmpfs /run:size=64m,mode=755."
            )
    return TmpfsSpec(container_path(text, path), size, mode, tuple(flags), read_only)


def parse_size(text: str) -> int:
    """Bytes from ``64m``, ``1.5g``, ``100kb``, ``4096``: units are powers of 1024, as docker's --memory has them."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise InvalidSpec(f"invalid size: '{text}'", hint="Write a number and a unit: 512k, 64m, 1g.")
    number, unit = match.groups()
    return int(float(number) * 1024 ** " kmgtp".index(unit.lower() if unit.lower() not in ("", "b") else " "))


def parse_mode(text: str) -> int:
    """Permission bits from octal text. Raises :class:`InvalidSpec`."""
    if not re.fullmatch(r"[0-7]{1,4}", text):
        raise InvalidSpec(f"invalid mode {text!r}", hint="Write octal digits, for example 1777 or 755.")
    return int(text, 8)


def check_volume_name(name: str) -> str:
    """The name itself. Raises :class:`InvalidSpec` unless docker would take it for a local volume."""
    if _NAME.fullmatch(name):
        return name
    hint = "For a directory of this machine, write an absolute path, or one that starts with ./"
    if name.startswith("~"):
        hint = "~ is the shell's; write the home directory out."
    raise InvalidSpec(
        f'"{name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed',
        hint=hint,
    )


def _bind_modes(modes: list[str]) -> tuple[bool, str, bool]:
    read_only, propagation, recursive = False, "rprivate", True
    for mode in modes:
        if mode == "ro":
            read_only = True
        elif mode in PROPAGATIONS:
            propagation = mode
        elif mode in ("bind", "rbind"):
            recursive = mode == "rbind"
        elif mode not in HARMLESS:
            raise _bad_mode(mode)
    return read_only, propagation, recursive


def _bad_mode(mode: str) -> InvalidSpec:
    hint = "nocopy is for named volumes only." if mode == "nocopy" else "After the second colon stands ro or rw."
    return InvalidSpec(f"invalid mode: {mode}", hint=hint)


def container_path(text: str, path: str) -> str:
    """``path`` made clean; ``text`` is the whole specification, for the message. Raises :class:`InvalidSpec`."""
    if "\0" in text:
        raise InvalidSpec(f"invalid mount {text!r}: it holds a zero byte, which no path can")
    if not path.startswith("/"):
        raise InvalidSpec(f"invalid mount path: '{path}' mount path must be absolute", hint=_swapped(text, path))
    clean = "/" + posixpath.normpath(path).lstrip("/")
    if clean == "/":
        raise InvalidSpec(f"invalid volume specification: '{text}': destination can't be '/'")
    return clean


def _swapped(text: str, path: str) -> str:
    first = text.partition(":")[0]
    if first.startswith("/") and first != path:
        return f"The host comes first, the container second: {path}:{first}?"
    return "Paths in the container start with /."
