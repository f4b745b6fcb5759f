"""Containers on bridges, as root: who sees whom, by which name, and what is left afterwards."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from minirt.engine import Engine
from minirt.engine.containers import Container
from minirt.engine.networks import Network
from minirt.errors import CommandNotFound, Conflict, InvalidInput, InvalidSpec, NetworkNotFound
from minirt.linux import links
from minirt.linux.processes import start_time
from minirt.networks.ability import ability
from minirt.networks.bridges import sweep_abandoned
from minirt.networks.claims import read_claim, write_claim
from minirt.networks.leaving import End
from minirt.networks.listening import HELPER
from minirt.networks.plan import Wiring

BASE = "minirt/base"
# glibc's way of asking, or busybox's.
_ASK = """ask() {
  if command -v getent >/dev/null; then getent hosts "$1"; else
    nslookup "$1" 2>/dev/null | sed -n '/^Name/,$s/^Address[^:]*: *//p' | grep .
  fi
}
"""


def _names(engine: Engine, *names: str, network: str = "lan") -> str:
    """What a fresh container on the network makes of names."""
    script = _ASK + "; ".join(f"ask {name} || echo no {name}" for name in names)
    output = engine.containers.run(BASE, ["sh", "-c", script], network=network, remove=True)
    assert isinstance(output, bytes)
    return output.decode()


def test_containers_of_one_network_find_each_other_by_name(bridged: Engine, lan: Network, look: Any) -> None:
    """Name, alias, short id, and the name with the network's: all give the address that inspect shows."""
    web = look.sleeper(bridged, "web", network="lan", aliases=["www"])
    asked = ["web", "www", web.short_id, "web.lan", "WEB"]
    lines = _names(bridged, *asked).splitlines()
    assert [line.split()[0] for line in lines] == [look.address(web)] * len(asked)


def test_a_name_is_known_only_while_its_container_runs_and_on_its_network(
    bridged: Engine, lan: Network, look: Any
) -> None:
    """After the end, and on another network, nobody has the name."""
    other = bridged.networks.create("other")
    web = look.sleeper(bridged, "web", network="lan")
    assert "no web" in _names(bridged, "web", network=other.name)
    web.kill()
    assert "no web" in _names(bridged, "web")


def test_the_default_bridge_has_no_names(bridged: Engine, look: Any) -> None:
    """As with docker: addresses yes, names no."""
    look.needs_default_bridge(bridged)
    first = look.sleeper(bridged, "first", network="bridge")
    assert first.attrs["NetworkSettings"]["IPAddress"].startswith("172.30.")
    assert "no first" in _names(bridged, "first", network="bridge")


def test_a_container_reaches_another_over_the_bridge(bridged: Engine, lan: Network, look: Any) -> None:
    """TCP between two containers, with the caller's own address."""
    web, caller = (look.sleeper(bridged, name, network="lan") for name in ("web", "caller"))
    with look.server(look.namespace(web), 8000):
        assert look.greeting(look.namespace(caller), look.address(web), 8000) == f"from {look.address(caller)}\n"


def test_networks_are_kept_apart(bridged: Engine, lan: Network, look: Any) -> None:
    """From another network there is no way in, although the machine forwards packets."""
    bridged.networks.create("other")
    web, stranger = look.sleeper(bridged, "web", network="lan"), look.sleeper(bridged, "stranger", network="other")
    with look.server(look.namespace(web), 8000):
        assert look.greeting(look.namespace(stranger), look.address(web), 8000) == ""
        if not os.geteuid():
            assert look.greeting("/proc/self/ns/net", look.address(web), 8000).startswith("from")


def test_what_goes_out_has_the_machines_address(bridged: Engine, look: Any, outside: str) -> None:
    """Outbound traffic is translated: a server elsewhere sees the machine, not the container."""
    caller = look.sleeper(bridged, "caller")
    with look.server(outside, 9000):
        assert look.greeting(look.namespace(caller), "198.51.100.2", 9000) == "from 198.51.100.1\n"


def test_an_internal_network_leads_nowhere_else(bridged: Engine, look: Any, outside: str) -> None:
    """With internal=True there is no way out."""
    bridged.networks.create("inner", internal=True)
    caller = look.sleeper(bridged, "caller", network="inner")
    with look.server(outside, 9000):
        assert look.greeting(look.namespace(caller), "198.51.100.2", 9000) == ""


def test_none_has_only_loopback_and_host_has_the_machines(engine: Engine, isolated: bool) -> None:
    """Docker's two networks without addresses of their own. A pod's container sees the machine's interfaces in both,
    and is refused sockets with "none" (test_sandbox_traced.py).
    """
    script = ["sh", "-c", "cut -d: -f1 -s /proc/net/dev | tr -d ' '"]
    if isolated:
        assert engine.containers.run(BASE, script, network="none", remove=True) == b"lo\n"
    mine = {line.split(":")[0].strip() for line in open("/proc/net/dev") if ":" in line}  # noqa: SIM115
    seen = engine.containers.run(BASE, script, network="host", remove=True)
    assert "lo" in set(seen.decode().split()) & mine


def test_two_containers_share_one_network(bridged: Engine, lan: Network, look: Any) -> None:
    """container:NAME: the same interfaces and the same names."""
    web = look.sleeper(bridged, "web", network="lan")
    output = bridged.containers.run(
        BASE, ["sh", "-c", f"{_ASK}readlink /proc/self/ns/net; ask web"], network="container:web", remove=True
    )
    namespace, line = output.decode().splitlines()
    assert namespace == os.readlink(f"/proc/{web.state.pid}/ns/net")
    assert line.split()[0] == look.address(web)
    web.kill()
    with pytest.raises(Conflict, match="non running container"):
        bridged.containers.run(BASE, ["true"], network="container:web", remove=True)


def test_a_running_container_joins_and_leaves_networks(bridged: Engine, lan: Network, look: Any) -> None:
    """An interface and a name come and go at once, and a restart keeps what was decided."""
    bridged.networks.create("second")
    web = look.sleeper(bridged, "web", network="lan")
    second = bridged.networks.get("second")
    second.connect(web, aliases=["w2"])
    assert "172." in _names(bridged, "w2", network="second")
    assert b"eth1" in web.exec_run(["cat", "/proc/net/dev"])[1]
    with pytest.raises(Conflict, match="already exists in network"):
        second.connect(web)
    web.reload()
    web.restart(timeout=0)
    assert set(web.attrs["NetworkSettings"]["Networks"]) == {"lan", "second"}
    second.disconnect("web")
    assert b"eth1" not in web.exec_run(["cat", "/proc/net/dev"])[1]
    assert "no w2" in _names(bridged, "w2", network="second")


def test_names_at_once_in_a_container_of_the_default_bridge(bridged: Engine, lan: Network, look: Any) -> None:
    """Connected while it runs, it finds others at once; docker leaves the resolver there when the network is left."""
    _need_default_bridge(bridged)
    web = look.sleeper(bridged, "web", network="lan")
    late = look.sleeper(bridged, "late", read_only=True)

    def seen(script: str) -> str:
        return late.exec_run(["sh", "-c", _ASK + script])[1].decode()

    address, before = look.address(late, "bridge"), seen("cat /etc/resolv.conf")
    assert "no" in seen("ask web || echo no")
    lan.connect(late)
    late.reload()
    assert look.address(web) in seen("ask web")
    assert "nameserver 127.0.0.11\n" in seen("cat /etc/resolv.conf")
    hosts = seen("cat /etc/hosts").splitlines()
    assert hosts[-2:] == [f"{address}\t{late.short_id}", f"{look.address(late, 'lan')}\t{late.short_id}"]
    other = bridged.networks.create("other")
    other.connect(late)
    assert len(_helpers_of(late)) == 1
    for network in (other, lan):
        network.disconnect(late)
    assert "no" in seen("ask web || echo no")
    assert seen("cat /etc/hosts").splitlines() == hosts[:-1]
    assert seen("cat /etc/resolv.conf") != before or "127.0.0.11" in before
    helpers = _helpers_of(late)
    late.kill()
    assert look.eventually(lambda: not any(start_time(pid) for pid in helpers))


def _need_default_bridge(engine: Engine) -> None:
    able = ability(engine.store.home)
    if not able.by_default:
        pytest.skip(f"no bridge by default: {able.why or able.confined}")


def _helpers_of(container: Container) -> list[int]:
    names = {path: path.read_text().strip() for path in Path("/proc").glob("[0-9]*/comm")}
    return [int(path.parent.name) for path, name in names.items() if name == f"{HELPER}{container.id}"[:15]]


def test_a_resolv_conf_that_was_changed_stays(bridged: Engine, lan: Network, look: Any) -> None:
    """As docker's: whoever wrote their own servers keeps them, and the resolver can be asked all the same."""
    _need_default_bridge(bridged)
    late = look.sleeper(bridged, "late")
    late.exec_run(["sh", "-c", "echo nameserver 192.0.2.1 > /etc/resolv.conf"])
    lan.connect(late)
    assert late.exec_run(["cat", "/etc/resolv.conf"])[1] == b"nameserver 192.0.2.1\n"


def test_a_network_joined_later_is_left_at_the_end_too(bridged: Engine, lan: Network, look: Any) -> None:
    """The moment the container has ended, its claim on both networks is gone: the name, the address, the network."""
    second = bridged.networks.create("second")
    web = look.sleeper(bridged, "web", network="lan")
    second.connect(web)
    web.remove(force=True)
    second.remove()
    assert [network.name for network in bridged.networks.list()] == ["bridge", "host", "lan", "none"]


def test_the_end_of_one_run_takes_nothing_from_the_next(bridged: Engine, lan: Network, look: Any) -> None:
    """What was claimed after a run's networks were given back belongs to the next start of the same container."""
    web = look.sleeper(bridged, "web", network="lan")
    claim = read_claim(bridged.home, "lan", web.id)
    assert claim is not None
    ended = End(Wiring(web.id, str(bridged.home)), -1, [], told=False)
    ended.release()
    assert read_claim(bridged.home, "lan", web.id) is None
    write_claim(bridged.home, claim)
    ended.release()
    assert read_claim(bridged.home, "lan", web.id) == claim


def test_a_container_starts_again_at_once(bridged: Engine, lan: Network, look: Any) -> None:
    """Also while the kernel still takes the interfaces of its run before away."""
    web = look.sleeper(bridged, "web", network="lan")
    for _ in range(60):
        web.kill()
        web.start()
    assert _names(bridged, "web") != "no web\n"


def test_addresses_are_given_once_and_given_again(bridged: Engine, look: Any) -> None:
    """A chosen address is kept for its container, refused to others, and free after its end."""
    bridged.networks.create("fixed", subnet="10.213.7.0/24")
    one = look.sleeper(bridged, "one", network="fixed", ip="10.213.7.77")
    assert look.address(one, "fixed") == "10.213.7.77"
    with pytest.raises(Conflict, match="Address already in use"):
        look.sleeper(bridged, "two", network="fixed", ip="10.213.7.77")
    with pytest.raises(InvalidSpec, match="not among the addresses"):
        look.sleeper(bridged, "three", network="fixed", ip="10.1.2.3")
    one.kill()
    again = look.sleeper(bridged, "four", network="fixed", ip="10.213.7.77")
    assert look.address(again, "fixed") == "10.213.7.77"


def test_prune_with_filters(bridged: Engine) -> None:
    """docker-py's filters choose among the unused networks; a name that is none of them is refused."""
    bridged.networks.create("marked", labels={"lesson": "5"})
    bridged.networks.create("plain")
    assert bridged.networks.prune({"until": "24h"}) == {"NetworksDeleted": []}
    assert bridged.networks.prune({"label": "lesson=5"}) == {"NetworksDeleted": ["marked"]}
    with pytest.raises(InvalidInput):
        bridged.networks.prune({"colour": "red"})
    assert bridged.networks.prune(filters={"label!": ["lesson"]}) == {"NetworksDeleted": ["plain"]}


def test_networks_are_made_once_and_removed_when_unused(bridged: Engine, lan: Network, look: Any) -> None:
    """A second of the name is refused, so is removing one in use; prune takes those that no container names."""
    with pytest.raises(Conflict, match="already exists"):
        bridged.networks.create("lan")
    web = look.sleeper(bridged, "web", network="lan")
    with pytest.raises(Conflict, match="active endpoints"):
        lan.remove()
    bridged.networks.create("idle")
    assert bridged.networks.prune() == {"NetworksDeleted": ["idle"]}
    web.remove(force=True)
    lan.remove()
    with pytest.raises(NetworkNotFound):
        bridged.networks.get("lan")
    with pytest.raises(Conflict, match="pre-defined"):
        bridged.networks.get("bridge").remove()


def test_the_bridge_goes_with_the_last_container(bridged: Engine, lan: Network, look: Any) -> None:
    """One container leaves: the bridge stays. The last one leaves: nothing of it is left, rules included."""
    home = bridged.store.home
    one, two = (look.sleeper(bridged, name, network="lan") for name in ("one", "two"))
    one.kill()
    assert look.bridges(home)
    two.kill()
    assert look.eventually(lambda: not look.bridges(home))
    assert not look.helpers(one.id) + look.helpers(two.id)


def test_a_killed_monitor_leaves_nothing_for_good(bridged: Engine, lan: Network, look: Any) -> None:
    """After kill -9 helper and interface end with the container, and the next sweep takes the empty bridge."""
    web = look.sleeper(bridged, "web", network="lan", ports={"80/tcp": None})
    assert look.helpers(web.id)
    os.kill(web.state.monitor_pid, signal.SIGKILL)
    assert look.eventually(lambda: not look.helpers(web.id))
    assert look.eventually(lambda: not web.state.alive)
    bridged.networks.prune()
    assert look.eventually(lambda: not look.bridges(bridged.store.home))
    assert "no web" in _names(bridged, "web")


def test_a_start_that_fails_gives_everything_back(bridged: Engine, lan: Network, look: Any) -> None:
    """A program that is not there: no claim on an address, and no bridge for nobody."""
    with pytest.raises(CommandNotFound):
        bridged.containers.run(BASE, ["no-such-program"], network="lan", remove=True)
    assert lan.attrs["Containers"] == {}
    assert look.eventually(lambda: not look.bridges(bridged.store.home))


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's bridges go with their keeper")
def test_a_bridge_whose_home_is_gone_is_taken_down(bridged: Engine, lan: Network, look: Any) -> None:
    """Somebody removed a whole home: the next network that comes up tidies after it. A bridge that somebody is on
    stays: its home may be one that is seen from another mount namespace only.
    """
    names = [f"mrt-{kind}{os.getpid() % 10**6}" for kind in ("lost", "kept")]
    for name in names:
        links.add_bridge(name, "02:42:00:00:00:99")
        links.set_alias(name, "/nowhere/at/all")
    with open("/proc/self/ns/net", "rb") as here:
        links.add_veth("mrt-veth-test", names[1], "mrt-peer-test", here.fileno(), "02:42:00:00:00:98")
    try:
        look.sleeper(bridged, "web", network="lan")
        assert look.bridges("/nowhere/at/all") == names[1:]
    finally:
        for name in ("mrt-veth-test", *names):
            links.delete_link(name)


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's bridges go with their keeper")
def test_bridges_of_a_home_with_a_long_or_odd_name_stay(tmp_path: Path) -> None:
    """A bridge says whose it is in 255 bytes. Where they do not do, no other home takes it for one that is gone."""
    bridge = f"mrt-odd{os.getpid() % 10**6}"
    for name in ("x" * 240, "odd \udcff\n"):
        (tmp_path / name / "networks").mkdir(parents=True)
        links.add_bridge(bridge, "02:42:00:00:00:99")
        try:
            links.set_alias(bridge, str(tmp_path / name))
            sweep_abandoned()
            assert bridge in [there for _, there in socket.if_nameindex()]
        finally:
            links.delete_link(bridge)
