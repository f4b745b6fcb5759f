"""Containers with networks, and a look at the machine's interfaces before and after."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from minirt.engine import Engine
from minirt.engine.containers import Container
from minirt.engine.networks import Network
from minirt.networks.ability import ability
from minirt.networks.homenet import keeper_of
from minirt.networks.records import PREFIX

# Into the network namespace at a path, which may be an ordinary user's.
_ENTER = """
import ctypes, os, sys
path = sys.argv[1]
ways = [(path, 0x40000000)]
if os.geteuid() and not path.startswith("/proc/self/"):
    ways.insert(0, (path.replace("/ns/net", "/ns/user"), 0x10000000))
doors = [(os.open(way, os.O_RDONLY), flag) for way, flag in ways]
for door, flag in doors:
    assert ctypes.CDLL(None, use_errno=True).setns(door, flag) == 0
"""
# A server in a network namespace: says who called, and gives back what it hears in capitals.
_SERVER = f"""{_ENTER}
import socket
kind = socket.SOCK_STREAM if sys.argv[3] == "tcp" else socket.SOCK_DGRAM
sock = socket.socket(socket.AF_INET, kind)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
sock.bind(("0.0.0.0", int(sys.argv[2])))
if kind == socket.SOCK_STREAM:
    sock.listen()
print("ready", flush=True)
while True:
    if kind == socket.SOCK_STREAM:
        client, caller = sock.accept()
        client.sendall(("from " + caller[0] + "\\n").encode())
        while data := client.recv(65536):
            client.sendall(data.upper())
        client.close()
    else:
        data, caller = sock.recvfrom(65536)
        sock.sendto(data.upper(), caller)
"""
# A client in a network namespace: says what it was greeted with, or nothing when it could not connect.
_CLIENT = f"""{_ENTER}
import socket
try:
    print(socket.create_connection((sys.argv[2], int(sys.argv[3])), 1).makefile().readline(), end="")
except OSError:
    pass
"""


class Look:
    """What the machine has of a home, a container, or neither."""

    base = "minirt/base"

    @staticmethod
    def eventually(condition: Callable[[], object], seconds: float = 8.0) -> bool:
        """Whether ``condition`` comes true in time."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    @staticmethod
    def bridges(home: Path) -> list[str]:
        """What there is of one home's networks: bridges on the machine, or the keeper of an ordinary user's."""
        if os.geteuid():
            keeper = keeper_of(home)
            return [] if keeper is None else [f"/proc/{keeper}"]
        found = []
        for _, name in socket.if_nameindex():
            if name.startswith(PREFIX):
                with contextlib.suppress(OSError):
                    if Path(f"/sys/class/net/{name}/ifalias").read_text().strip() == str(home):
                        found.append(name)
        return found

    @staticmethod
    def needs_default_bridge(engine: Engine) -> None:
        """Skip where a container shares the machine's network unless it is put on one that a user made."""
        able = ability(engine.store.home)
        if not able.by_default:
            pytest.skip(able.why or able.confined)

    @staticmethod
    def helpers(identity: str) -> list[int]:
        """Processes that serve a container's network."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    words = (entry / "stat").read_text()
                    if f"(mrn:{identity[:11]})" in words and ") Z " not in words:
                        found.append(int(entry.name))
        return found

    @staticmethod
    def sleeper(engine: Engine, name: str, **options: object) -> Container:
        container = engine.containers.run(Look.base, ["sleep", "60"], name=name, detach=True, **options)
        assert isinstance(container, Container)
        return container

    @staticmethod
    @contextlib.contextmanager
    def server(namespace: str, port: int, protocol: str = "tcp") -> Iterator[None]:
        """A server in the network namespace at that path."""
        command = [sys.executable, "-c", _SERVER, namespace, str(port), protocol]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline() == "ready\n"
                yield
            finally:
                process.kill()

    @staticmethod
    def greeting(namespace: str, host: str, port: int) -> str:
        """What a TCP client there hears first."""
        command = [sys.executable, "-c", _CLIENT, namespace, host, str(port)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    @staticmethod
    def namespace(container: Container) -> str:
        return str(container.attrs["NetworkSettings"]["SandboxKey"])

    @staticmethod
    def address(container: Container, network: str = "lan") -> str:
        return str(container.attrs["NetworkSettings"]["Networks"][network]["IPAddress"])


@pytest.fixture
def look() -> type[Look]:
    return Look


@pytest.fixture
def bridged(engine: Engine) -> Iterator[Engine]:
    """An engine whose containers can be on bridges; afterwards no interface of this home is left."""
    able = ability(engine.store.home)
    if not able.own:
        pytest.skip(able.why)
    yield engine
    for container in engine.containers.list(all=True):
        container.remove(force=True, v=True)
    for network in engine.networks.list():
        if not network.stored.built_in:
            network.remove()
    assert Look.eventually(lambda: not Look.bridges(engine.store.home)), "a bridge is left"


@pytest.fixture
def lan(bridged: Engine) -> Network:
    """A network that a user made."""
    return bridged.networks.create("lan")


@pytest.fixture
def outside() -> Iterator[str]:
    """Another machine, as a namespace: 198.51.100.2, with a cable to this one, which is 198.51.100.1."""
    from minirt.linux import links

    if os.geteuid():
        pytest.skip("making an interface needs root")
    code = "import ctypes; assert ctypes.CDLL(None).unshare(0x40000000) == 0; print(1, flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        namespace = f"/proc/{holder.pid}/ns/net"
        switch, name = f"mrtsw{os.getpid() % 10**6}", f"mrtve{os.getpid() % 10**6}"
        try:
            links.add_bridge(switch, "02:42:00:00:00:51")
            links.add_address(switch, "198.51.100.1/24")
            with open(namespace) as fd:
                links.add_veth(name, switch, "eth0", fd.fileno(), "02:42:00:00:00:52")
            configure = (
                "import ctypes, os, sys; from minirt.linux import links;"
                "ctypes.CDLL(None).setns(os.open(sys.argv[1], os.O_RDONLY), 0x40000000);"
                "links.add_address('eth0', '198.51.100.2/24'); links.set_link('eth0')"
            )
            subprocess.run([sys.executable, "-c", configure, namespace], check=True)
            yield namespace
        finally:
            links.delete_link(switch)
            links.delete_link(name)
            holder.kill()
