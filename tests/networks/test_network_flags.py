"""What --network and its companions ask for, and what a container makes of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import uuid
from typing import Any

import pytest

from minirt.cli.network_flags import network_options
from minirt.engine import Engine
from minirt.engine.networks import Network
from minirt.errors import Conflict, InvalidSpec, MinirtError, Unsupported
from minirt.networks.records import Wish

BASE = "minirt/base"
_ASK = (
    "nslookup %s 2>/dev/null | sed -n '/^Name/,$s/^Address[^:]*: *//p' | grep . || getent hosts %s 2>&- | cut -d' ' -f1"
)


def _options(*networks: str, alias: tuple[str, ...] = (), ip: str | None = None) -> dict[str, Any]:
    return network_options({"network": networks, "net": (), "network_alias": alias, "ip": ip})


def test_networks_are_read_in_both_forms() -> None:
    """A name alone, or fields; the first takes --network-alias and --ip, the others bring their own."""
    assert _options() == {"network": None, "aliases": (), "ip": None, "more_networks": []}
    found = _options("lan", "name=other,alias=a,alias=b,ip=10.0.0.9", alias=("w",))
    assert found == {
        "network": "lan", "aliases": ("w",), "ip": None, "more_networks": [Wish("other", ("a", "b"), "10.0.0.9")]
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("name=lan,ip=x", InvalidSpec, "x is not an ip address"),
        ("alias=a", InvalidSpec, "network name/id is not specified"),
        ("name=lan,foo=1", InvalidSpec, "invalid field foo"),
        ("name=lan,mac-address=02:42:00:00:00:01", Unsupported, "mac-address is not supported"),
    ],
)
def test_what_cannot_be_is_refused_by_name(text: str, kind: type[MinirtError], words: str) -> None:
    """Docker's words for mistakes, and ours for what there is not."""
    with pytest.raises(kind, match=words):
        _options(text)


def test_several_networks_at_once(bridged: Engine, lan: Network, look: Any) -> None:
    """An interface and a place on each from the first moment, each with its own names."""
    bridged.networks.create("second", subnet="10.97.5.0/24")
    more = [Wish("second", ("deep",), "10.97.5.9")]
    web = look.sleeper(bridged, "web", network="lan", more_networks=more)
    assert look.address(web, "second") == "10.97.5.9"
    assert web.exec_run(["cat", "/proc/net/dev"])[1].count(b"eth") == 2
    answer = bridged.containers.run(BASE, ["sh", "-c", _ASK % ("deep", "deep")], network="second", remove=True)
    assert answer == b"10.97.5.9\n"
    with pytest.raises(InvalidSpec, match="specified multiple times"):
        look.sleeper(bridged, "twice", network="lan", more_networks=[Wish("lan")])
    with pytest.raises(InvalidSpec, match="cannot attach both user-defined and non-user-defined"):
        look.sleeper(bridged, "both", network="none", more_networks=[Wish("lan")])


def test_a_link_is_a_name_for_one_container(bridged: Engine, lan: Network, look: Any) -> None:
    """Only who asked for it has it, and it follows the other one to a new address."""
    db = look.sleeper(bridged, "db", network="lan")
    web = look.sleeper(bridged, "web", network="lan", links=["db:store"])
    ask = ["sh", "-c", _ASK % ("store", "store")]
    assert web.exec_run(ask)[1].decode().split() == [look.address(db)]
    assert look.sleeper(bridged, "other", network="lan").exec_run(ask)[1].strip() == b""
    db.stop(timeout=0)
    look.sleeper(bridged, "squatter", network="lan", ip=None)
    db.start()
    assert web.exec_run(ask)[1].decode().split() == [look.address(db)]
    db.stop(timeout=0)
    with pytest.raises(Conflict, match="Cannot link to a non running container: /db AS /late/store"):
        look.sleeper(bridged, "late", network="lan", links=["db:store"])


def test_the_host_name_is_a_name_too(bridged: Engine, lan: Network, look: Any) -> None:
    """As docker's resolver has it since 25."""
    web = look.sleeper(bridged, "web", network="lan", hostname="front")
    answer = bridged.containers.run(BASE, ["sh", "-c", _ASK % ("front", "front")], network="lan", remove=True)
    assert answer.decode().strip() == look.address(web)


def test_resolv_conf_has_what_was_asked_for(bridged: Engine, lan: Network) -> None:
    """--dns-search and --dns-option in place of the machine's; servers stay behind the resolver."""
    show = ["cat", "/etc/resolv.conf"]
    options = {"dns_search": ["example.org", "test"], "dns_options": ["ndots:3"], "remove": True}
    assert bridged.containers.run(BASE, show, network="lan", **options) == (
        b"nameserver 127.0.0.11\nsearch example.org test\noptions ndots:3\n"
    )
    words = bridged.containers.run(BASE, show, network="host", dns=["192.0.2.53"], **options)
    assert words == b"nameserver 192.0.2.53\nsearch example.org test\noptions ndots:3\n"


def test_addresses_come_from_the_range(bridged: Engine, look: Any) -> None:
    """--ip-range limits what is given unasked, not what is asked for."""
    net = bridged.networks.create("part", subnet="10.97.6.0/24", ip_range="10.97.6.128/25")
    assert net.attrs["IPAM"]["Config"] == [
        {"Subnet": "10.97.6.0/24", "IPRange": "10.97.6.128/25", "Gateway": "10.97.6.1"}
    ]
    assert look.address(look.sleeper(bridged, "one", network="part"), "part") == "10.97.6.128"
    assert look.address(look.sleeper(bridged, "two", network="part", ip="10.97.6.7"), "part") == "10.97.6.7"
    with pytest.raises(InvalidSpec, match="no matching subnet for range"):
        bridged.networks.create("bad", subnet="10.97.7.0/24", ip_range="10.97.8.0/25")
    with pytest.raises(Conflict, match='only one instance of "host" network is allowed'):
        bridged.networks.create("again", driver="host")


def test_twenty_at_once_on_one_network(bridged: Engine, lan: Network, look: Any) -> None:
    """Each has an address of its own, and each is found by its name."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(lambda n: look.sleeper(bridged, f"c{n}", network="lan"), range(20)))
    addresses = {look.address(container) for container in found}
    assert len(addresses) == len(lan.attrs["Containers"]) == 20
    script = "; ".join(_ASK % (f"c{n}", f"c{n}") for n in range(20))
    answer = bridged.containers.run(BASE, ["sh", "-c", script], network="lan", remove=True)
    assert set(answer.decode().split()) == addresses


@pytest.mark.peer
def test_inspect_has_dockers_shape(bridged: Engine, lan: Network) -> None:
    """Every key of docker's, with a value of the same type."""
    if shutil.which("docker") is None or subprocess.run(["docker", "version"], capture_output=True).returncode:
        pytest.skip("no docker daemon answers here")
    name = f"minirt-{uuid.uuid4().hex[:8]}"
    subprocess.run(["docker", "network", "create", "--subnet", "10.97.9.0/24", name], check=True, capture_output=True)
    try:
        done = subprocess.run(["docker", "network", "inspect", name], check=True, capture_output=True)
    finally:
        subprocess.run(["docker", "network", "rm", name], check=True, capture_output=True)
    theirs = json.loads(done.stdout)[0]
    assert {key: type(value) for key, value in lan.attrs.items() if key in theirs} == {
        key: type(value) for key, value in theirs.items()
    }


def test_the_journal_tells_of_networks(bridged: Engine, look: Any) -> None:
    """create, connect, disconnect, destroy, with docker's attributes; start and end of a container are such, too."""
    net = bridged.networks.create("told")
    web = look.sleeper(bridged, "web", network="told")
    bridged.networks.create("more").connect(web)
    bridged.networks.get("more").disconnect(web)
    web.remove(force=True)
    net.remove()
    events = [event for event in bridged.journal.read() if event["Type"] == "network"]
    mine = [(event["Action"], event["Actor"]["Attributes"]) for event in events][-7:]
    assert mine == [
        ("create", {"name": "told", "type": "bridge"}),
        ("connect", {"container": web.id, "name": "told", "type": "bridge"}),
        ("create", {"name": "more", "type": "bridge"}),
        ("connect", {"container": web.id, "name": "more", "type": "bridge"}),
        ("disconnect", {"container": web.id, "name": "more", "type": "bridge"}),
        ("disconnect", {"container": web.id, "name": "told", "type": "bridge"}),
        ("destroy", {"name": "told", "type": "bridge"}),
    ]
