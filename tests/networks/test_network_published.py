"""Published ports: the machine answers, the container gets it, and the end of one is the end of the other."""

from __future__ import annotations

import os
import socket
import time
from typing import Any

import pytest

from minirt.engine import Engine
from minirt.engine.networks import Network
from minirt.errors import InvalidSpec, SandboxError

BASE = "minirt/base"


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def test_a_published_tcp_port_leads_into_the_container(bridged: Engine, look: Any) -> None:
    """Both ways, megabytes, and the end of the sending side is passed on."""
    look.needs_default_bridge(bridged)
    port = _free_port()
    web = look.sleeper(bridged, "web", network="bridge", ports={"80/tcp": ("127.0.0.1", port)})
    assert web.ports == {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}
    data = b"abcdefgh" * 250_000
    with look.server(look.namespace(web), 80), socket.create_connection(("127.0.0.1", port), 5) as client:
        reader = client.makefile("rb")
        assert reader.readline().startswith(b"from ")
        for start in range(0, len(data), 50_000):
            client.sendall(data[start : start + 50_000])
            assert reader.read(50_000) == data[start : start + 50_000].upper()
        client.shutdown(socket.SHUT_WR)
        assert reader.read() == b""


def test_a_published_udp_port_leads_into_the_container(bridged: Engine, look: Any) -> None:
    """Several clients at once, each gets its own answers; port 53 is free also where names are resolved."""
    bridged.networks.create("lan")
    web = look.sleeper(bridged, "web", network="lan", ports={"53/udp": ("127.0.0.1", None)})
    port = int(web.ports["53/udp"][0]["HostPort"])
    with look.server(look.namespace(web), 53, "udp"):
        clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(5)]
        for number, client in enumerate(clients):
            client.settimeout(5)
            client.sendto(f"hello {number}".encode(), ("127.0.0.1", port))
        assert [client.recv(100) for client in clients] == [f"HELLO {number}".encode() for number in range(5)]
        for client in clients:
            client.close()


def test_a_port_is_free_again_when_its_container_has_ended(bridged: Engine, lan: Network, look: Any) -> None:
    """Also after a kill; and inspect says so."""
    port = _free_port()
    web = look.sleeper(bridged, "web", network="lan", ports={"80/tcp": port})
    web.kill()
    assert web.ports == {}
    again = look.sleeper(bridged, "again", network="lan", ports={"80/tcp": port})
    assert again.ports["80/tcp"][0]["HostPort"] == str(port)


def test_a_busy_port_is_refused_and_nothing_is_left(bridged: Engine, lan: Network, look: Any) -> None:
    """Docker's sentence and exit code; no claim, no container with remove."""
    with socket.socket() as sock:
        sock.bind(("0.0.0.0", 0))
        sock.listen()
        port = sock.getsockname()[1]
        with pytest.raises(SandboxError, match="port is already allocated") as caught:
            bridged.containers.run(BASE, ["true"], network="lan", ports={"80/tcp": port}, remove=True)
    assert caught.value.exit_code == 125
    # From a user namespace nobody looks into processes outside of it.
    who = "another program" if os.geteuid() else f"(process {os.getpid()})"
    assert who in caught.value.cause
    assert bridged.containers.list(all=True) == []
    assert lan.attrs["Containers"] == {}


def test_a_port_of_another_container_is_refused_with_its_id(bridged: Engine, lan: Network, look: Any) -> None:
    """Who has the port can be found and stopped."""
    first = look.sleeper(bridged, "first", network="lan", ports={"80/tcp": None})
    port = int(first.ports["80/tcp"][0]["HostPort"])
    with pytest.raises(SandboxError) as caught:
        look.sleeper(bridged, "second", network="lan", ports={"81/tcp": port})
    assert f"container {first.id[:11]}" in caught.value.cause


def test_ports_are_found_by_their_numbers_on_the_machine(bridged: Engine, lan: Network, look: Any) -> None:
    """The filter `publish` looks at the machine's ports, `expose` at the container's: docker's daemon does so."""
    web = look.sleeper(bridged, "web", network="lan", ports={"80/tcp": None})
    port = web.ports["80/tcp"][0]["HostPort"]

    def names(**filters: str) -> list[str]:
        return [one.name for one in bridged.containers.list(filters=filters)]

    assert names(publish=port) == names(publish=f"{port}/tcp") == names(expose="80") == ["web"]
    assert names(publish="80") == names(publish=f"{port}/udp") == names(expose=port) == []


def test_publish_all_takes_what_is_exposed_and_expose_alone_publishes_nothing(
    bridged: Engine, lan: Network, look: Any
) -> None:
    """-P gives every exposed port one of the machine's; without it there is none."""
    quiet = look.sleeper(bridged, "quiet", network="lan", exposed_ports=["80/tcp"])
    assert quiet.ports == {"80/tcp": None}
    loud = look.sleeper(bridged, "loud", network="lan", exposed_ports=["80/tcp", "53/udp"], publish_all_ports=True)
    assert all(int(loud.ports[port][0]["HostPort"]) > 1023 for port in ("80/tcp", "53/udp"))


def test_on_the_machines_network_ports_are_discarded_with_a_warning(engine: Engine) -> None:
    """Docker's warning, as an event and on the container."""
    container = engine.containers.create(BASE, ["true"], network="host", ports={"80/tcp": 80})
    assert container.warnings == ("Published ports are discarded when using host network mode",)
    container.start()
    container.wait()
    assert container.ports == {}


def test_ports_of_a_shared_network_belong_to_its_owner(bridged: Engine, look: Any) -> None:
    """Publishing with container:NAME is a contradiction, and refused as one."""
    look.sleeper(bridged, "web")
    with pytest.raises(InvalidSpec, match="conflicting options: port publishing"):
        bridged.containers.create(BASE, ["true"], network="container:web", ports={"80/tcp": 80})


def test_nobody_listens_inside(bridged: Engine, lan: Network, look: Any) -> None:
    """The connection is made and closed at once, as docker's proxy does it."""
    web = look.sleeper(bridged, "web", network="lan", ports={"80/tcp": None})
    port = int(web.ports["80/tcp"][0]["HostPort"])
    begin = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        client.settimeout(5)
        try:
            assert client.recv(1) == b""
        except ConnectionResetError:
            pass
    assert time.monotonic() - begin < 2
