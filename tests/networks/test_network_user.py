"""Networks of ordinary users: the home's own namespace, its keeper and its way out, and what a kill leaves."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from minirt.engine import Engine
from minirt.engine.networks import Network
from minirt.networks.homenet import keeper_of
from minirt.networks.usermode import in_order

BASE = "minirt/base"
ROOT = Path(__file__).resolve().parent.parent.parent
NOBODY = 65534
user = pytest.mark.skipif(os.geteuid() == 0, reason="root's bridges are on the machine itself")


def test_where_there_can_be_none_the_reason_is_told() -> None:
    """A pod allows no namespaces: that is said, in words."""
    code = "from minirt.networks.trials import try_as_user; print(try_as_user())"
    pod = [sys.executable, "tests/pod.py", "--user", str(os.geteuid()), sys.executable, "-c", code]
    said = subprocess.run(pod, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert "needs a user namespace (Operation not permitted)" in said.stdout, said.stderr


@user
def test_containers_of_two_programs_find_each_other(bridged: Engine, lan: Network, look: Any) -> None:
    """Two engines on one home, as a notebook and a terminal: their containers are on one network, and share one."""
    web = look.sleeper(bridged, "web", network="lan")
    with Engine(bridged.home) as other:
        caller = look.sleeper(other, "caller", network="lan")
        with look.server(look.namespace(web), 8000):
            assert look.greeting(look.namespace(caller), look.address(web), 8000) == f"from {look.address(caller)}\n"
        shared = other.containers.run(BASE, ["readlink", "/proc/self/ns/net"], network="container:web", remove=True)
    assert shared.decode().strip() == os.readlink(f"/proc/{web.state.pid}/ns/net")  # type: ignore[union-attr]


@user
def test_a_new_program_finds_the_user_namespace_of_what_still_runs(bridged: Engine, lan: Network, look: Any) -> None:
    """The program that started a container is gone, as after a kernel's restart: the next one still connects it."""
    bridged.networks.create("second")
    with Engine(bridged.home) as first:
        look.sleeper(first, "web", network="lan")
    bridged.close()
    with Engine(bridged.home) as other:
        other.networks.get("second").connect("web")
        assert b"eth1" in other.containers.get("web").exec_run(["cat", "/proc/net/dev"])[1]


@user
def test_a_killed_keeper_parts_nobody_and_is_replaced(bridged: Engine, lan: Network, look: Any) -> None:
    """Those who are connected stay so; the next one to come finds them, and a new keeper holds the same namespace."""
    web, caller = (look.sleeper(bridged, name, network="lan") for name in ("web", "caller"))
    keeper = keeper_of(bridged.store.home)
    assert keeper is not None
    os.kill(keeper, signal.SIGKILL)
    assert look.eventually(lambda: keeper_of(bridged.store.home) is None)
    with look.server(look.namespace(web), 8000):
        assert look.greeting(look.namespace(caller), look.address(web), 8000).startswith("from ")
        late = look.sleeper(bridged, "late", network="lan")
        assert keeper_of(bridged.store.home) not in (None, keeper)
        assert look.greeting(look.namespace(late), look.address(web), 8000).startswith("from ")


@user
def test_killing_everything_leaves_nothing(bridged: Engine, lan: Network, look: Any) -> None:
    """Kill -9 of monitor and keeper at once: no process, no claim, and the network can be used again."""
    web = look.sleeper(bridged, "web", network="lan", ports={"80/tcp": None})
    keeper = keeper_of(bridged.store.home)
    assert keeper is not None
    for pid in (web.state.monitor_pid, keeper):
        os.kill(pid, signal.SIGKILL)
    assert look.eventually(lambda: not web.state.alive and not look.helpers(web.id))
    assert lan.attrs["Containers"] == {}
    assert bridged.containers.run(BASE, ["true"], network="lan", remove=True) == b""
    assert look.eventually(lambda: keeper_of(bridged.store.home) is None)


def test_the_better_program_comes_first(tmp_path: Path) -> None:
    """pasta, unless it is one of those that lose the end of a connection."""
    found = []
    for name, version in (("slirp4netns", ""), ("old/pasta", "unknown version"), ("new/pasta", "0.0~git20261002.cba")):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\necho pasta {version}\n")
        path.chmod(0o755)
        found.append(str(path))
    slirp, old, new = found
    assert in_order([old, slirp]) == [slirp, old]
    assert in_order([slirp, new]) == [new, slirp]


# As an ordinary user with a tun device that everybody may open: reach the machine's server at the given address.
_OUT = """
import json, os, sys
from minirt.engine import Engine
from minirt.networks.ability import ability
home, port, command = sys.argv[1:]
with Engine(home) as engine:
    engine.networks.create("lan")
    said = {}
    for network in ("bridge", "lan"):
        # The base image has no client on every machine, so this one is the machine's own.
        code = f"import socket; print(socket.create_connection(('198.51.100.1', {port}), 5).recv(99).decode(), end='')"
        words, lent = ["/usr/bin/python3", "-c", code], ["/usr:/usr:ro"]
        said[network] = engine.containers.run(
            "minirt/base", words, network=network, volumes=lent, remove=True
        ).decode()
    print(json.dumps([os.path.basename(ability(engine.store.home).program), said]))
"""
_PRIVATE_TUN = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
assert libc.unshare(0x20000) == 0
assert libc.mount(b"none", b"/", None, 0x44000, None) == 0
os.mknod(sys.argv[1], 0o020666, os.makedev(10, 200))
os.chmod(sys.argv[1], 0o666)
assert libc.mount(sys.argv[1].encode(), b"/dev/net/tun", None, 0x1000, None) == 0
os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
os.execv(sys.argv[2], sys.argv[2:])
"""
_GREETER = """
import socket
server = socket.create_server(("198.51.100.1", 0))
print(server.getsockname()[1], flush=True)
while True:
    client, _ = server.accept()
    client.sendall(b"hello from outside")
    client.close()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="lending a tun device to an ordinary user needs root")
def test_the_way_out_of_an_ordinary_user(outside: str) -> None:
    """Through pasta or slirp4netns, from the default network and from one that was made; nothing stays behind."""
    if not Path("/dev/net/tun").exists() or not (shutil.which("pasta") or shutil.which("slirp4netns")):
        pytest.skip("no /dev/net/tun, or neither pasta nor slirp4netns")
    with tempfile.TemporaryDirectory(prefix="minirt-out-", ignore_cleanup_errors=True) as directory:
        os.chown(directory, NOBODY, NOBODY)
        path = os.pathsep.join((str(ROOT), *(one for one in sys.path if one.endswith("site-packages"))))
        environment = {"PATH": os.environ["PATH"], "HOME": directory, "PYTHONPATH": path}
        python = f"/usr/bin/python3.{sys.version_info.minor}"
        check = subprocess.run([python, "-c", "import minirt"], user=NOBODY, env=environment, check=False, cwd="/")
        if check.returncode:
            pytest.skip(f"user {NOBODY} cannot run {python} with minirt")
        with subprocess.Popen([sys.executable, "-c", _GREETER], stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            port = server.stdout.readline().strip()
            command = [sys.executable, "-c", _PRIVATE_TUN, f"{directory}/tun", python, "-c", _OUT]
            done = subprocess.run(
                [*command, f"{directory}/home", port, python], env=environment, capture_output=True, text=True,
                timeout=60, check=False,
            )  # fmt: skip
            server.kill()
        assert done.returncode == 0, done.stderr
        program, said = json.loads(done.stdout)
        assert program in ("pasta", "slirp4netns")
        assert said == {"bridge": "hello from outside", "lan": "hello from outside"}
