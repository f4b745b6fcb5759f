"""Network interfaces, addresses and routes (rtnetlink(7)), of the network namespace this process is in."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
from typing import TYPE_CHECKING

from minirt.linux.netlink import Netlink, attribute, attributes, nested, number, text

if TYPE_CHECKING:
    import ipaddress

__all__ = [
    "add_address",
    "add_bridge",
    "add_default_route",
    "add_veth",
    "address_of",
    "alias_of",
    "delete_link",
    "loopback_up",
    "members_of",
    "networks_in_use",
    "set_alias",
    "set_link",
]

_NEWLINK, _DELLINK, _NEWADDR, _NEWROUTE, _GETROUTE = 16, 17, 20, 24, 26
_CREATE, _EXCL = 0x400, 0x200
_UP = 1
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MASTER, _IFLA_LINKINFO, _IFLA_ALIAS, _IFLA_NET_NS_FD = 1, 3, 10, 18, 20, 28
_INFO_KIND, _INFO_DATA, _VETH_PEER = 1, 2, 1
_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST = 1, 2, 4
_RTA_DST, _RTA_OIF, _RTA_GATEWAY = 1, 4, 5
_SIOCGIFADDR = 0x8915


def _link(index: int = 0, *, up: bool = False) -> bytes:
    return struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, _UP if up else 0, _UP if up else 0)


def _index(name: str) -> int:
    try:
        return socket.if_nametoindex(name)
    except OSError as error:
        raise OSError(errno.ENODEV, "no such network interface", name) from error


def _mac(address: str) -> bytes:
    return attribute(_IFLA_ADDRESS, bytes.fromhex(address.replace(":", "")))


def add_bridge(name: str, mac: str) -> int:
    """A bridge that is up; its index. Raises ``OSError`` (EPERM, EOPNOTSUPP, EEXIST)."""
    body = _link(up=True) + text(_IFLA_IFNAME, name) + _mac(mac) + nested(_IFLA_LINKINFO, text(_INFO_KIND, "bridge"))
    with Netlink() as route:
        route.ask(_NEWLINK, _CREATE | _EXCL, body)
    return _index(name)


def set_alias(name: str, note: str) -> None:
    """A note on an interface, as ``ip link`` shows it. The kernel keeps 255 bytes; of a longer one there is none."""
    packed = os.fsencode(note)
    with Netlink() as route:
        route.ask(_NEWLINK, 0, _link(_index(name)) + attribute(_IFLA_ALIAS, packed if len(packed) < 256 else b""))


def alias_of(name: str) -> str:
    """Its note, or an empty text."""
    try:
        with open(f"/sys/class/net/{name}/ifalias", "rb") as file:
            return os.fsdecode(file.read().removesuffix(b"\n"))
    except OSError:
        return ""


def members_of(bridge: str) -> list[str]:
    """The interfaces that are on it; none if it is gone."""
    try:
        return os.listdir(f"/sys/class/net/{bridge}/brif")
    except OSError:
        return []


def add_veth(name: str, bridge: str, peer: str, peer_namespace: int, mac: str) -> None:
    """A pair: ``name`` here, on ``bridge`` and up; ``peer`` with that address in the namespace of a descriptor."""
    other = nested(_VETH_PEER, _link(), text(_IFLA_IFNAME, peer), _mac(mac), number(_IFLA_NET_NS_FD, peer_namespace))
    info = nested(_IFLA_LINKINFO, text(_INFO_KIND, "veth"), nested(_INFO_DATA, other))
    master = number(_IFLA_MASTER, _index(bridge))
    with Netlink() as route:
        route.ask(_NEWLINK, _CREATE | _EXCL, _link(up=True) + text(_IFLA_IFNAME, name) + master + info)


def set_link(name: str, *, up: bool = True) -> None:
    """Bring an interface up (or leave it as it is)."""
    with Netlink() as route:
        route.ask(_NEWLINK, 0, _link(_index(name), up=up))


def delete_link(name: str) -> bool:
    """Take an interface away, and its pair with it; False when there is none of that name."""
    try:
        index = socket.if_nametoindex(name)
    except OSError:
        return False
    try:
        with Netlink() as route:
            route.ask(_DELLINK, 0, _link(index))
    except OSError as error:
        if error.errno != errno.ENODEV:  # the kernel was quicker: it takes a dead namespace's interfaces away
            raise
        return False
    return True


def add_address(name: str, address: str) -> None:
    """``address`` with its prefix length, such as ``172.30.0.1/24``."""
    host, _, length = address.partition("/")
    packed, prefix = socket.inet_aton(host), int(length)
    broadcast = int.from_bytes(packed, "big") | (1 << 32 - prefix) - 1
    index = _index(name)
    head = struct.pack("=BBBBi", socket.AF_INET, prefix, 0, 0, index)
    body = attribute(_IFA_LOCAL, packed) + attribute(_IFA_ADDRESS, packed)
    body += attribute(_IFA_BROADCAST, broadcast.to_bytes(4, "big"))
    with Netlink() as route:
        route.ask(_NEWADDR, _CREATE | _EXCL, head + body)


def add_default_route(gateway: str) -> None:
    """Everything that is not on a network of ours goes to ``gateway``."""
    # Table main, protocol boot, scope universe, kind unicast (rtnetlink(7)).
    head = struct.pack("=BBBBBBBBI", socket.AF_INET, 0, 0, 0, 254, 3, 0, 1, 0)
    with Netlink() as route:
        route.ask(_NEWROUTE, _CREATE | _EXCL, head + attribute(_RTA_GATEWAY, socket.inet_aton(gateway)))


def networks_in_use() -> list[tuple[ipaddress.IPv4Network, str]]:
    """The IPv4 networks that this machine has a route to, with the interface; the default route is not one."""
    import ipaddress  # a container that starts does not wait for it

    found = []
    with Netlink() as route:
        for body in route.dump(_GETROUTE, struct.pack("=B11x", socket.AF_INET)):
            prefix, table = body[1], body[4]
            parts = attributes(body[12:])
            if table == 255 or not prefix or _RTA_DST not in parts:
                continue
            network = ipaddress.IPv4Network((parts[_RTA_DST], prefix), strict=False)
            found.append((network, _name(struct.unpack("=i", parts.get(_RTA_OIF, b"\0\0\0\0"))[0])))
    return found


def _name(index: int) -> str:
    try:
        return socket.if_indextoname(index)
    except OSError:
        return ""


def address_of(name: str) -> str | None:
    """The first IPv4 address of an interface, or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            answer = fcntl.ioctl(sock, _SIOCGIFADDR, struct.pack("16s16x", name.encode()))
        except OSError:
            return None
    return socket.inet_ntoa(answer[20:24])


def loopback_up() -> None:
    """``lo`` of a fresh namespace."""
    with Netlink() as route:
        route.ask(_NEWLINK, 0, _link(1, up=True))
