"""The functions of ``--format``: Go's own (text/template) and docker's (docker/cli, templates/templates.go)."""

from __future__ import annotations

import html
import json
import re
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = ["FUNCTIONS", "HEADER_FUNCTIONS", "go_json", "go_text", "nil_text", "omitted", "truth"]


# What docker's inspect has as a nil of its own type: such a list prints as [], a map as map[], a pointer as <nil>.
_LISTS = (
    "Aliases Binds BlkioDeviceReadBps BlkioDeviceReadIOps BlkioDeviceWriteBps BlkioDeviceWriteIOps BlkioWeightDevice"
    " CapAdd CapDrop Cmd DeviceCgroupRules DeviceRequests Devices Dns DnsOptions DnsSearch DNSNames Entrypoint Env"
    " ExecIDs ExtraHosts GroupAdd Links MaskedPaths Mounts OnBuild ReadonlyPaths SecondaryIPAddresses"
    " SecondaryIPv6Addresses SecurityOpt Shell Ulimits VolumesFrom"
)
_MAPS = "Annotations Config DriverOpts ExposedPorts Labels Options PortBindings StorageOpt Sysctls Tmpfs Volumes"
_POINTERS = "Health Healthcheck IPAMConfig Init MemorySwappiness OomKillDisable PidsLimit SizeRootFs SizeRw StopTimeout"
_NILS = {
    name: text for names, text in ((_LISTS, "[]"), (_MAPS, "map[]"), (_POINTERS, "<nil>")) for name in names.split()
}


# What docker's structures have and its JSON leaves out while it is empty, by a field that tells such a structure.
_OMITTED: dict[str, dict[str, Any]] = {
    "NetworkMode": dict.fromkeys(("Annotations", "Init", "Mounts", "StorageOpt", "Sysctls", "Tmpfs")),
    "HostConfig": dict.fromkeys(("SizeRootFs", "SizeRw")),
    "OpenStdin": {
        **dict.fromkeys(("ExposedPorts", "Healthcheck", "Shell", "StopTimeout")), "MacAddress": "", "StopSignal": "",
    },
    "OOMKilled": {"Health": None},
    "Propagation": {"Driver": "", "Name": ""},
}  # fmt: skip


def omitted(value: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that ``value`` of docker's inspect could hold and does not, as Go has them."""
    return next((fields for mark, fields in _OMITTED.items() if mark in value), {})


def nil_text(field: str) -> str:
    """How Go prints the nil that ``field`` of docker's inspect holds."""
    return _NILS.get(field, "<no value>")


def truth(value: Any) -> bool:
    """False, 0, nil and the empty are false, as in Go's templates."""
    return bool(value)


def go_text(value: Any, *, top: bool = False) -> str:
    """As Go's ``fmt.Print`` writes it: ``[a b]``, ``map[k:v]``, ``true``, ``<no value>`` at the top for nil."""
    if value is None:
        return "<no value>" if top else "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        return "map[" + " ".join(f"{key}:{go_text(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + " ".join(go_text(item) for item in value) + "]"
    return str(value)


def go_json(value: Any) -> str:
    """One line, as Go's encoder writes it: no spaces; fields that are functions are left out."""
    if isinstance(value, Mapping) and any(callable(item) for item in value.values()):
        value = {key: item for key, item in value.items() if not callable(item)}
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _index(collection: Any, *keys: Any) -> Any:
    for key in keys:
        if collection is None:
            return None
        collection = collection.get(key) if isinstance(collection, Mapping) else collection[key]
    return collection


def _slice(value: Any, *bounds: int) -> Any:
    return value[slice(bounds[0] if bounds else None, bounds[1] if len(bounds) > 1 else None)]


def _length(value: Any) -> int:
    if value is None or isinstance(value, str):
        return len((value or "").encode())  # Go counts bytes
    return len(value)


def _print(*values: Any) -> str:
    """Spaces only between two that are not strings (Go's fmt.Sprint)."""
    out = ""
    for i, value in enumerate(values):
        if i and not isinstance(value, str) and not isinstance(values[i - 1], str):
            out += " "
        out += go_text(value)
    return out


def _println(*values: Any) -> str:
    return " ".join(go_text(value) for value in values) + "\n"


def _printf(form: str, *values: Any) -> str:
    rest = list(values)

    def one(match: re.Match[str]) -> str:
        flags, verb = match.groups()
        if verb == "%":
            return "%"
        if not rest:
            return f"%!{verb}(MISSING)"
        value = rest.pop(0)
        if verb == "q":
            return json.dumps(go_text(value), ensure_ascii=False)
        if verb in "dxXofeg" and isinstance(value, int | float):
            return f"%{flags}{verb}" % value
        return f"%{flags}s" % go_text(value)

    return re.sub(r"%([-+ #0]*\d*(?:\.\d+)?)([a-zA-Z%])", one, form)


def _equal(first: Any, *others: Any) -> bool:
    return any(first == other for other in others)


def _join(values: Any, separator: str) -> str:
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise TypeError("join wants a list and a separator")
    return separator.join(go_text(value) for value in values)


def _pad(text: str, before: int, after: int) -> str:
    return " " * before + text + " " * after if text else text


def _truncate(text: str, length: int) -> str:
    return text[:length]


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "not": lambda value: not truth(value),
    "len": _length,
    "index": _index,
    "slice": _slice,
    "print": _print,
    "println": _println,
    "printf": _printf,
    "eq": _equal,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "html": lambda value: html.escape(go_text(value)),
    "urlquery": lambda value: urllib.parse.quote_plus(go_text(value)),
    "json": go_json,
    "split": lambda text, separator: text.split(separator),
    "join": _join,
    "title": lambda text: text[:1].upper() + text[1:],
    "lower": lambda text: go_text(text).lower(),
    "upper": lambda text: go_text(text).upper(),
    "pad": _pad,
    "truncate": _truncate,
}

# In the title row a function must not change the title.
HEADER_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    **FUNCTIONS,
    **{name: (lambda value: value) for name in ("json", "title", "lower", "upper", "html", "urlquery")},
    "split": lambda value, _separator: value,
    "join": lambda value, _separator: value,
    "pad": _pad,
    "truncate": lambda value, _length: value,
}
