"""``--network`` and its companions, read into docker-py's arguments (docker/cli, ``opts/network.go``)."""

from __future__ import annotations

from typing import Any

from minirt.errors import InvalidSpec, Unsupported
from minirt.networks.records import Wish

__all__ = ["network_options"]

_HINT = "Write --network NAME, or --network name=NAME,alias=OTHER,ip=ADDRESS."


def network_options(options: dict[str, Any]) -> dict[str, Any]:
    """The first network with --network-alias and --ip, and the others. Raises InvalidSpec, Unsupported."""
    wishes = [_read(text) for text in (*options["network"], *options["net"])]
    first = wishes[0] if wishes else Wish("")
    aliases, ip = (*first.aliases, *options["network_alias"]), first.ip or options["ip"]
    if first.aliases and options["network_alias"]:
        raise InvalidSpec("conflicting options: cannot specify both --network-alias and per-network alias", hint=_HINT)
    if first.ip and options["ip"]:
        raise InvalidSpec("conflicting options: cannot specify both --ip and per-network IPv4 address", hint=_HINT)
    return {"network": first.network or None, "aliases": aliases, "ip": ip, "more_networks": wishes[1:]}


def _read(text: str) -> Wish:
    """A name, or fields with commas between."""
    if "=" not in text:
        return Wish(text)
    name, ip, aliases = "", "", []
    for field in text.split(","):
        key, _, value = field.partition("=")
        if key == "name":
            name = value
        elif key == "alias":
            aliases.append(value)
        elif key == "ip":
            ip = _address(value)
        elif key in ("ip6", "mac-address", "link-local-ip", "driver-opt", "gw-priority"):
            raise Unsupported(f"--network with {key} is not supported", hint=_HINT)
        else:
            raise InvalidSpec(f"invalid field {key}", hint=_HINT)
    if not name:
        raise InvalidSpec("network name/id is not specified", hint=_HINT)
    return Wish(name, tuple(aliases), ip)


def _address(text: str) -> str:
    import ipaddress

    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        raise InvalidSpec(f"{text} is not an ip address", hint=_HINT) from None
