"""What stands in the flags of ``build`` that have a form of their own (docker/buildx, commands/build.go)."""

from __future__ import annotations

import csv
import ipaddress
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from minirt.containers.settings import parse_size, parse_ulimit
from minirt.errors import InvalidSpec, PathNotFound, Unsupported
from minirt.model.spec import Rlimit

__all__ = [
    "Call",
    "agents",
    "annotation",
    "attestation",
    "call_method",
    "entitlement",
    "error_mode",
    "extra_hosts",
    "limit",
    "memory_size",
    "network_mode",
    "no_attestation",
    "progress_mode",
]

MODES = ("auto", "none", "plain", "quiet", "rawjson", "tty")
_CALLS = ("build", "check", "outline", "targets")


@dataclass(frozen=True, slots=True)
class Call:
    """What ``--call`` asks for; ``json``: as a document."""

    name: str
    json: bool = False


def call_method(text: str) -> Call:
    """``check``, ``outline``, ``targets`` or ``build``, with ``,format=json``. Raises ValueError."""
    name, *options = text.split(",")
    name = {"lint": "check"}.get(name, name)
    if name not in _CALLS:
        raise ValueError(f"unsupported request frontend.{name}: there are {', '.join(_CALLS)}")
    for option in options:
        if option not in ("format=json", "format=text", "format="):
            raise ValueError(f"invalid option {option!r} for --call={name}")
    return Call(name, "format=json" in options)


def progress_mode(text: str) -> str:
    """What ``--progress`` may be."""
    if text not in MODES:
        raise ValueError(f"invalid progress mode {text}: must be one of {', '.join(MODES)}")
    return text


def network_mode(text: str) -> str:
    """What ``--network`` may be."""
    if text not in ("default", "host", "none"):
        raise Unsupported(
            f'network mode "{text}" not supported by build',
            hint="Use default for a network of their own, host for the machine's, none for no network.",
        )
    return text


def error_mode(text: str) -> str:
    """What ``--on-error`` may be."""
    if text not in ("fail", "shell"):
        raise ValueError(f"invalid mode {text}: must be one of fail, shell")
    return text


def entitlement(text: str) -> str:
    """``--allow``: the machine's network may be used without it, more rights may not."""
    if text == "network.host":
        return text
    name = text.partition("=")[0]
    if name in ("security.insecure", "device", "fs", "fs.read", "fs.write", "ssh"):
        raise Unsupported(f"granting entitlement {text} is not allowed here", hint="Leave --allow out.")
    raise ValueError(f"unknown entitlement {text}")


def annotation(text: str) -> tuple[str, str]:
    """``[manifest:|index:]KEY=VALUE`` as a pair, the key with its prefix. Raises ValueError."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ValueError("expected key=value")
    kind, colon, rest = key.partition(":")
    base = kind.partition("[")[0]
    if colon and base in ("manifest-descriptor", "index-descriptor"):
        raise Unsupported(f"{base} annotations are not kept here", hint="Annotate the manifest or the index.")
    if colon and base in ("manifest", "index"):
        if "[" in kind:
            raise Unsupported("annotations for one platform only are not kept here", hint="Leave the [platform] out.")
        return (f"index:{rest}" if base == "index" else rest), value
    return key, value


def attestation(text: str) -> str:
    """``--attest``: minirt makes none, so only ``disabled=true`` is possible."""
    fields = dict(pair.partition("=")[::2] for pair in next(csv.reader([text]), []))
    kind = fields.get("type", "")
    if kind not in ("sbom", "provenance"):
        raise ValueError("attestation type not specified" if not kind else f"unknown attestation type {kind}")
    if fields.get("disabled", "").lower() not in ("true", "1"):
        raise _no_attestation(kind)
    return text


def no_attestation(kind: str) -> Callable[[str], str]:
    """``--provenance`` and ``--sbom``: false, or a refusal."""

    def parse(text: str) -> str:
        if text.lower() not in ("false", "0", "disabled=true"):
            raise _no_attestation(kind)
        return text

    return parse


def _no_attestation(kind: str) -> Unsupported:
    return Unsupported(
        f"minirt attaches no {kind} to images",
        cause="attestations are signed statements of a build service; a notebook is none",
        hint=f"Leave it out, or write --{kind}=false.",
    )


def memory_size(text: str) -> int:
    """``64m`` in bytes. Raises :class:`InvalidSpec`."""
    size = parse_size(text)
    if size < 0:
        raise InvalidSpec(f"invalid size: '{text}'")
    return size


def limit(text: str) -> Rlimit:
    """``nofile=1024:2048``. Raises :class:`InvalidSpec`."""
    if "=" not in text:
        raise InvalidSpec(f"invalid ulimit argument: {text}", hint="Write for example nofile=1024:2048.")
    return parse_ulimit(text)


def extra_hosts(texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """``--add-host NAME:IP``, ``NAME=IP`` or ``NAME:host-gateway``. Raises :class:`InvalidSpec`."""
    found = []
    for text in (part for given in texts for part in given.split(",")):
        name, mark, address = text.partition("=" if "=" in text.partition(":")[0] else ":")
        address = address.removeprefix("[").removesuffix("]")
        try:
            if not name or not mark:
                raise ValueError
            if address != "host-gateway":
                ipaddress.ip_address(address)
        except ValueError:
            raise InvalidSpec(f"invalid host {text}", hint="Write NAME:ADDRESS, such as db:10.0.0.5.") from None
        found.append((name, address))
    return tuple(found)


def agents(texts: Sequence[str], environment: Mapping[str, str], cwd: Path) -> dict[str, tuple[str, ...]]:
    """``default``, or ``ID=SOCKET``, or ``ID=KEY,KEY``: paths by id. Raises :class:`InvalidSpec`, PathNotFound."""
    found: dict[str, tuple[str, ...]] = {}
    for text in texts:
        name, equals, rest = text.partition("=")
        paths = [str(cwd / Path(path).expanduser()) for path in rest.split(",") if path]
        if not paths:
            own = environment.get("SSH_AUTH_SOCK", "")
            if equals or not own:
                raise InvalidSpec(
                    "invalid empty ssh agent socket: make sure SSH_AUTH_SOCK is set",
                    hint="Start an agent (eval $(ssh-agent); ssh-add), or name a key: --ssh default=~/.ssh/id_ed25519.",
                )
            paths = [own]
        sockets = [path for path in paths if _is_socket(path, name)]
        if sockets and len(paths) > 1:
            raise InvalidSpec(f"only single socket allowed: {text}")
        found[name or "default"] = tuple(paths)
    return found


def _is_socket(path: str, name: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError as error:
        reason = (error.strerror or "").lower()
        raise PathNotFound(f'failed to convert agent config for ID: "{name}": stat {path}: {reason}') from error
