"""``RUN --mount``: a type per kind of mount, with only the options that the kind has.

An option may hold variables, so a mount with a ``$`` stays an :class:`UnresolvedMount` until the instruction is
expanded. Source: Dockerfile reference, "RUN --mount"; defaults from BuildKit.
"""

from __future__ import annotations

import csv
import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from minirt.dockerfile.suggest import did_you_mean
from minirt.dockerfile.values import parse_bool, parse_size

__all__ = [
    "BindMount",
    "CacheMount",
    "InvalidMount",
    "Mount",
    "SecretMount",
    "SshMount",
    "TmpfsMount",
    "UnresolvedMount",
    "parse_mount",
]


class InvalidMount(ValueError):
    """``word`` is the part of the flag's text to point at."""

    def __init__(self, what: str, word: str = "", hint: str = ""):
        super().__init__(what)
        self.word = word
        self.hint = hint


@dataclass(frozen=True, slots=True)
class BindMount:
    """``from_`` as in ``COPY --from``. Writes to a writable one are dropped after the command."""

    target: str
    source: str = ""
    from_: str = ""
    read_only: bool = True


@dataclass(frozen=True, slots=True)
class CacheMount:
    """``id`` defaults to the target; ``sharing`` is shared, private or locked; ``mode`` is octal made a number."""

    target: str
    id: str
    sharing: str = "shared"
    from_: str = ""
    source: str = ""
    read_only: bool = False
    mode: int = 0o755
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True, slots=True)
class TmpfsMount:
    """``size`` in bytes, None for no limit."""

    target: str
    size: int | None = None
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class SecretMount:
    """A file at ``target``, an environment variable ``env``, or both; one of them is always set."""

    id: str
    target: str = ""
    env: str = ""
    required: bool = False
    mode: int = 0o400
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True, slots=True)
class SshMount:
    """``target`` is empty for BuildKit's ``/run/buildkit/ssh_agent.N``."""

    id: str = "default"
    target: str = ""
    required: bool = False
    mode: int = 0o600
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True, slots=True)
class UnresolvedMount:
    """The flag's value as written: it holds variables."""

    text: str


Mount: TypeAlias = BindMount | CacheMount | TmpfsMount | SecretMount | SshMount | UnresolvedMount

_ALIASES = {
    "src": "source",
    "dst": "target",
    "destination": "target",
    "ro": "readonly",
    "rw": "readwrite",
}
_COMMON = {"type", "target", "readonly", "readwrite"}
_OWNER = {"mode", "uid", "gid"}
_OPTIONS: Mapping[str, set[str]] = {
    "bind": _COMMON | {"source", "from"},
    "cache": _COMMON | _OWNER | {"id", "sharing", "from", "source"},
    "tmpfs": _COMMON | {"size"},
    "secret": _COMMON | _OWNER | {"id", "source", "required", "env"},
    "ssh": _COMMON | _OWNER | {"id", "source", "required"},
}
_ALL = sorted(set().union(*_OPTIONS.values()) | set(_ALIASES))
_SWITCHES = ("readonly", "readwrite", "required")


def parse_mount(text: str, resolve: Callable[[str], str] | None = None) -> Mount:
    """Read the value of one ``--mount``; ``resolve`` expands the value of each option.

    Without ``resolve``, a text with a ``$`` comes back unresolved. Raises :class:`InvalidMount`, and what
    ``resolve`` raises.
    """
    if resolve is None and "$" in text:
        return UnresolvedMount(text)
    options: dict[str, str] = {}
    for field in _fields(text):
        key, equals, value = field.partition("=")
        name = _ALIASES.get(key.lower(), key.lower())
        if name not in _ALL:
            raise InvalidMount(f"unexpected key {key!r} in {field!r}", field, did_you_mean(key, _ALL))
        if not equals and name not in _SWITCHES:
            raise InvalidMount(f"invalid field {field!r} must be a key=value pair", field)
        options[name] = (resolve(value) if resolve else value) if equals else "true"
        # "ro" and "rw" undo each other; the last one counts.
        options.pop({"readonly": "readwrite", "readwrite": "readonly"}.get(name, ""), None)
    return _build(options)


def _fields(text: str) -> list[str]:
    if '"' not in text:
        return text.split(",")
    try:
        rows = list(csv.reader([text], strict=True))
    except csv.Error as error:
        raise InvalidMount(f"the mount's commas and quotes cannot be read: {error}") from None
    return rows[0] if rows else [""]


def _build(options: dict[str, str]) -> Mount:
    kind = options.get("type", "bind").lower()
    if kind not in _OPTIONS:
        hint = did_you_mean(kind, _OPTIONS) or "The types are bind, cache, tmpfs, secret and ssh."
        raise InvalidMount(f"unsupported mount type {kind!r}", options.get("type", ""), hint)
    for name in options:
        if name not in _OPTIONS[kind]:
            others = ", ".join(one for one in _OPTIONS if name in _OPTIONS[one])
            raise InvalidMount(f"{name} not allowed for {kind!r} type mounts", name, f"Only these have it: {others}.")
    return _BUILDERS[kind](options)


def _bind(options: dict[str, str]) -> Mount:
    target = _target(options)
    return BindMount(target, options.get("source", ""), options.get("from", ""), _read_only(options, default=True))


def _cache(options: dict[str, str]) -> Mount:
    sharing = options.get("sharing", "shared").lower()
    if sharing not in ("shared", "private", "locked"):
        hint = did_you_mean(sharing, ("shared", "private", "locked"))
        raise InvalidMount(f"unsupported sharing value {sharing!r}", options["sharing"], hint)
    target = _target(options)
    return CacheMount(
        target,
        options.get("id") or posixpath.normpath(target),
        sharing,
        options.get("from", ""),
        options.get("source", ""),
        _read_only(options, default=False),
        **_owner(options, mode=0o755),
    )


def _tmpfs(options: dict[str, str]) -> Mount:
    size = None
    if "size" in options:
        try:
            size = parse_size(options["size"])
        except ValueError:
            raise InvalidMount(
                f"invalid value for size: {options['size']}", options["size"], "Write for example size=64m."
            ) from None
    return TmpfsMount(_target(options), size, _read_only(options, default=False))


def _secret(options: dict[str, str]) -> Mount:
    if options.get("source") and options.get("id"):
        raise InvalidMount("both source and id can't be set", "source")
    target, env = options.get("target", ""), options.get("env", "")
    name = options.get("source") or options.get("id") or posixpath.basename(target)
    if not name:
        raise InvalidMount("invalid secret mount. one of source, target required", hint="Give the secret an id=….")
    if not target and not env:
        target = f"/run/secrets/{posixpath.basename(name)}"
    return SecretMount(name, target, env, _switch(options, "required"), **_owner(options, mode=0o400))


def _ssh(options: dict[str, str]) -> Mount:
    name = options.get("source") or options.get("id") or "default"
    return SshMount(name, options.get("target", ""), _switch(options, "required"), **_owner(options, mode=0o600))


_BUILDERS: Mapping[str, Callable[[dict[str, str]], Mount]] = {
    "bind": _bind,
    "cache": _cache,
    "tmpfs": _tmpfs,
    "secret": _secret,
    "ssh": _ssh,
}


def _target(options: dict[str, str]) -> str:
    target = options.get("target", "")
    if not target:
        raise InvalidMount("the mount has no target", hint="Add target=/a/path, the place in the container.")
    return target


def _switch(options: dict[str, str], name: str) -> bool:
    try:
        return parse_bool(options.get(name, "false"))
    except ValueError:
        raise InvalidMount(f"invalid value for {name}: {options[name]}", options[name], "true or false") from None


def _read_only(options: dict[str, str], *, default: bool) -> bool:
    if "readwrite" in options:
        return not _switch(options, "readwrite")
    return _switch(options, "readonly") if "readonly" in options else default


def _owner(options: dict[str, str], *, mode: int) -> dict[str, int]:
    found = {"mode": mode, "uid": 0, "gid": 0}
    for name in _OWNER & options.keys():
        text = options[name]
        digits = "01234567" if name == "mode" else "0123456789"
        if not text or len(text) > 10 or text.strip(digits):
            hint = "An octal number such as 0755." if name == "mode" else "A number; names are not looked up here."
            raise InvalidMount(f"invalid value {text} for {name}", text, hint)
        found[name] = int(text, 8 if name == "mode" else 10)
    return found
