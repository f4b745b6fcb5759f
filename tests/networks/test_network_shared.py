"""Published ports where containers share the machine's network, as in a pod."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any

import pytest

from minirt.engine import Engine

BASE = "minirt/base"


def _free() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _hears(port: int) -> str:
    for _ in range(100):
        try:
            with socket.create_connection(("127.0.0.1", port), 2) as client:
                client.settimeout(2)
                if said := client.recv(100).decode():
                    return said
        except OSError:
            pass
        time.sleep(0.1)
    return ""


# The base image has no server on every machine, so this one is the machine's own.
_PYTHON = "/usr/bin/python3"
_LENT = ["/usr:/usr:ro"]
_SERVER = """
import socket, sys
with socket.create_server(("0.0.0.0", int(sys.argv[1]))) as server:
    while True:
        client, _ = server.accept()
        with client:
            client.sendall(b"hello\\n")
"""
lends = pytest.mark.skipif(not Path(_PYTHON).exists(), reason=f"no {_PYTHON} to lend as a server")


def _serve(port: int) -> list[str]:
    return [_PYTHON, "-c", _SERVER, str(port)]


@lends
def test_another_port_of_the_machine_leads_to_the_programs(pod: Engine) -> None:
    """-p 8080:80 where the program listens on the machine's own port 80: a forwarder stands in front."""
    outer, inner = _free(), _free()
    web = pod.containers.run(BASE, _serve(inner), volumes=_LENT, name="web", detach=True, ports={f"{inner}/tcp": outer})
    assert web.ports == {f"{inner}/tcp": [  # type: ignore[union-attr]
        {"HostIp": "0.0.0.0", "HostPort": str(outer)}, {"HostIp": "::", "HostPort": str(outer)}
    ]}  # fmt: skip
    assert _hears(outer) == "hello\n"
    web.remove(force=True)  # type: ignore[union-attr]
    with socket.create_server(("127.0.0.1", outer)):
        pass


@lends
def test_the_same_port_needs_no_forwarder(pod: Engine, look: Any) -> None:
    """The program answers by itself; docker ps tells of the port all the same."""
    port = _free()
    web = pod.containers.run(BASE, _serve(port), volumes=_LENT, name="same", detach=True, ports={f"{port}/tcp": port})
    assert web.ports == {f"{port}/tcp": [{"HostIp": "0.0.0.0", "HostPort": str(port)}]}  # type: ignore[union-attr]
    assert _hears(port) == "hello\n"
    assert look.helpers(web.id) == []  # type: ignore[union-attr]


def test_who_asks_for_the_machines_network_has_his_ports_discarded(pod: Engine) -> None:
    """Docker's warning and docker's behaviour."""
    container = pod.containers.create(BASE, ["true"], network="host", ports={"80/tcp": 8080})
    assert container.warnings == ("Published ports are discarded when using host network mode",)


def test_a_port_that_a_user_may_not_have_is_told(pod: Engine) -> None:
    """The program will be refused on port 80; which port would do is said before."""
    lowest = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    container = pod.containers.create(BASE, ["true"], ports={"80/tcp": 8080})
    import os

    told = [warning for warning in container.warnings if "may not answer on port 80" in warning]
    assert bool(told) is (os.geteuid() != 0 and lowest > 80)
