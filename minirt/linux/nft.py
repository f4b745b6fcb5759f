"""nf_tables (the kernel's packet filter): the few rules a bridge of containers needs, as one transaction.

``nft list ruleset`` shows them in words. The numbers are those of ``linux/netfilter/nf_tables.h``.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import struct
from collections.abc import Iterator, Mapping

from minirt.linux.netlink import NETFILTER, Netlink, attribute, attributes, nested, number, text

__all__ = ["NAMES_TABLE", "add_bridge_rules", "has_table", "redirect_local", "remove_bridge_rules"]

NAMES_TABLE = "minirt-names"  # in a container's network namespace: what leads to its resolver
_INET4 = 2
_SUBSYSTEM = 10
_NEWTABLE, _GETTABLE, _DELTABLE, _NEWCHAIN, _GETCHAIN, _NEWRULE, _GETRULE, _DELRULE = 0, 1, 2, 3, 4, 6, 7, 8
_CREATE, _APPEND = 0x400, 0x800
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_FORWARD, _OUTPUT, _POSTROUTING = 2, 3, 4
_META_INPUT, _META_OUTPUT, _META_PROTOCOL = 6, 7, 16
_PROTOCOLS = {"tcp": 6, "udp": 17}
_EQUAL, _UNEQUAL = 0, 1
_DROP, _ACCEPT = 0, 1
_KNOWN_CONNECTION = struct.pack("=I", 2 | 4)  # established, related
# Where docker on the same machine lets others have a say before its own policy, which is to drop what is not its own.
_DOCKERS_CHAINS = ("DOCKER-USER", "FORWARD")

Expression = bytes


def add_bridge_rules(bridge: str, subnet: str, *, internal: bool) -> None:
    """Let containers behind ``bridge`` out under the machine's address, and nobody else in.

    ``internal``: not out either. The table has the bridge's name. Raises ``OSError`` where the kernel has no nf_tables
    or this process may not.
    """
    messages = [
        _message(_NEWTABLE, _CREATE, text(1, bridge)),
        _chain(bridge, "forward", "filter", _FORWARD, -1),
        *_forward_rules(bridge, internal=internal),
    ]
    if not internal:
        messages.append(_chain(bridge, "postrouting", "nat", _POSTROUTING, 100))
        messages.append(
            _rule(bridge, "postrouting", _from_subnet(subnet), _meta(_META_OUTPUT, _UNEQUAL, bridge), _masquerade())
        )
    with Netlink(NETFILTER) as filters:
        chain = _foreign_chain(filters)
        if chain is not None:
            for direction in (_META_INPUT, _META_OUTPUT):
                rule = _rule("filter", chain, _meta(direction, _EQUAL, bridge), _verdict(_ACCEPT), first=True)
                messages.append(rule)
        _commit(filters, messages)


def remove_bridge_rules(bridge: str) -> None:
    """Take them away, and those in docker's chain; nothing happens when there are none."""
    with Netlink(NETFILTER) as filters:
        try:
            _commit(filters, [_message(_DELTABLE, 0, text(1, bridge))])
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
        for chain in _DOCKERS_CHAINS:
            for handle in _handles(filters, chain, bridge):
                place = text(1, "filter") + text(2, chain) + attribute(3, handle)
                _commit(filters, [_message(_DELRULE, 0, place)])


def redirect_local(address: str, port: int, places: Mapping[str, int]) -> None:
    """In this network namespace: what goes to ``address`` and ``port`` arrives at another port of that address.

    ``places`` is that port by protocol. So the port itself stays free for programs. Raises ``OSError``.
    """
    table = NAMES_TABLE
    messages = [_message(_NEWTABLE, _CREATE, text(1, table)), _chain(table, "output", "nat", _OUTPUT, -100)]
    for protocol, arrival in places.items():
        transport = _expression("meta", number(1, 1, order="!"), number(2, _META_PROTOCOL, order="!"))
        transport += _compare(_EQUAL, bytes([_PROTOCOLS[protocol]]))
        wanted = _load(1, 16, 4) + _compare(_EQUAL, socket.inet_aton(address))
        wanted += _load(2, 2, 2) + _compare(_EQUAL, struct.pack("!H", port))
        messages.append(_rule(table, "output", transport, wanted, _destination(address, arrival)))
    with Netlink(NETFILTER) as filters:
        _commit(filters, messages)


def _load(header: int, offset: int, size: int) -> Expression:
    """Bytes of the network (1) or the transport header (2)."""
    values = ((1, 1), (2, header), (3, offset), (4, size))
    return _expression("payload", *(number(kind, value, order="!") for kind, value in values))


def _destination(address: str, port: int) -> Expression:
    """A new destination: the address from register 1, the port from register 2."""
    data = ((1, socket.inet_aton(address)), (2, struct.pack("!H", port)))
    load = b"".join(
        _expression("immediate", number(1, one, order="!"), nested(2, attribute(1, raw))) for one, raw in data
    )
    values = ((1, 1), (2, _INET4), (3, 1), (5, 2))
    return load + _expression("nat", *(number(kind, value, order="!") for kind, value in values))


def has_table(bridge: str) -> bool:
    """Whether the rules of this bridge are there. Raises ``OSError`` where the kernel has no nf_tables."""
    with Netlink(NETFILTER) as filters:
        wanted = bridge.encode() + b"\0"
        return wanted in [attributes(body[4:]).get(1) for body in filters.dump(*_dump(_GETTABLE))]


def _forward_rules(bridge: str, *, internal: bool) -> Iterator[tuple[int, int, bytes]]:
    coming = (_meta(_META_INPUT, _UNEQUAL, bridge), _meta(_META_OUTPUT, _EQUAL, bridge))
    if internal:
        yield _rule(
            bridge,
            "forward",
            _meta(_META_INPUT, _EQUAL, bridge),
            _meta(_META_OUTPUT, _UNEQUAL, bridge),
            _verdict(_DROP),
        )
    else:
        yield _rule(bridge, "forward", *coming, _answers(), _verdict(_ACCEPT))
    yield _rule(bridge, "forward", *coming, _verdict(_DROP))


def _commit(filters: Netlink, messages: list[tuple[int, int, bytes]]) -> None:
    body = struct.pack("!BBH", 0, 0, _SUBSYSTEM)
    filters.batch(messages, (_BATCH_BEGIN, body), (_BATCH_END, body))


def _message(kind: int, flags: int, *parts: bytes) -> tuple[int, int, bytes]:
    return _SUBSYSTEM << 8 | kind, flags, struct.pack("!BBH", _INET4, 0, 0) + b"".join(parts)


def _chain(table: str, name: str, kind: str, hook: int, priority: int) -> tuple[int, int, bytes]:
    place = nested(4, number(1, hook, order="!"), number(2, priority & 0xFFFFFFFF, order="!"))
    return _message(_NEWCHAIN, _CREATE, text(1, table), text(3, name), place, text(7, kind))


def _rule(table: str, chain: str, *expressions: Expression, first: bool = False) -> tuple[int, int, bytes]:
    parts = b"".join(expressions)
    return _message(_NEWRULE, _CREATE | (0 if first else _APPEND), text(1, table), text(2, chain), nested(4, parts))


def _expression(name: str, *parts: bytes) -> Expression:
    return nested(1, text(1, name), nested(2, *parts))


def _compare(operator: int, value: bytes) -> Expression:
    return _expression("cmp", number(1, 1, order="!"), number(2, operator, order="!"), nested(3, attribute(1, value)))


def _meta(key: int, operator: int, interface: str) -> Expression:
    load = _expression("meta", number(1, 1, order="!"), number(2, key, order="!"))
    return load + _compare(operator, interface.encode().ljust(16, b"\0"))


def _mask(mask: bytes) -> Expression:
    registers = number(1, 1, order="!") + number(2, 1, order="!") + number(3, len(mask), order="!")
    nothing = b"\0" * len(mask)
    return _expression("bitwise", registers, nested(4, attribute(1, mask)), nested(5, attribute(1, nothing)))


def _from_subnet(subnet: str) -> Expression:
    network = ipaddress.IPv4Network(subnet)
    # Four bytes of the network header, from its twelfth on: the sender's address.
    compare = _compare(_EQUAL, network.network_address.packed)
    return _load(1, 12, 4) + _mask(network.netmask.packed) + compare


def _answers() -> Expression:
    state = _expression("ct", number(1, 1, order="!"), number(2, 0, order="!"))
    return state + _mask(_KNOWN_CONNECTION) + _compare(_UNEQUAL, b"\0\0\0\0")


def _masquerade() -> Expression:
    return _expression("masq")


def _verdict(code: int) -> Expression:
    return _expression("immediate", number(1, 0, order="!"), nested(2, nested(2, number(1, code, order="!"))))


def _foreign_chain(filters: Netlink) -> str | None:
    found = set()
    try:
        for body in filters.dump(*_dump(_GETCHAIN)):
            parts = attributes(body[4:])
            if parts.get(1) == b"filter\0":
                found.add(parts.get(3, b"").rstrip(b"\0").decode())
    except OSError:
        return None
    return next((chain for chain in _DOCKERS_CHAINS if chain in found), None)


def _handles(filters: Netlink, chain: str, bridge: str) -> list[bytes]:
    """The rules of ``chain`` that compare with the bridge's name."""
    name = bridge.encode().ljust(16, b"\0")
    found = []
    try:
        for body in filters.dump(*_dump(_GETRULE, text(1, "filter") + text(2, chain))):
            parts = attributes(body[4:])
            if name in parts.get(4, b"") and parts.get(2) == chain.encode() + b"\0":
                found.append(parts[3])
    except OSError:
        return []
    return found


def _dump(kind: int, body: bytes = b"") -> tuple[int, bytes]:
    return _SUBSYSTEM << 8 | kind, struct.pack("!BBH", _INET4, 0, 0) + body
