"""The network of RUN steps: their own by default, the machine's or none where that is asked for."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from minirt.errors import RunFailed
from minirt.model.events import StepOutput
from minirt.model.spec import Rlimit
from minirt.networks.ability import ability

if TYPE_CHECKING:
    from minirt.engine import Engine

pytestmark = pytest.mark.usefixtures("nothing_left")

INTERFACES = "RUN {} cut -s -d: -f1 /proc/net/dev | tr -d ' '\n"


def said(events: list[Any]) -> str:
    return b"".join(event.data for event in events if isinstance(event, StepOutput)).decode()


@pytest.fixture
def own(engine: Engine) -> None:
    """Where a container can have a network of its own that leads out."""
    able = ability(engine.home)
    if engine.machine.isolation != "namespaces" or not able.own or able.confined:
        pytest.skip(able.why or able.confined or "no namespaces here")


@pytest.fixture
def namespaces(engine: Engine) -> None:
    if engine.machine.isolation != "namespaces":
        pytest.skip("a traced command shares the machine's network and memory")


@pytest.mark.usefixtures("own")
def test_a_step_has_a_network_of_its_own(build: Any, engine: Engine, events: list[Any]) -> None:
    """Two interfaces and a way out; several steps, and several stages at once, each find one; all of it goes."""
    text = "FROM minirt/base AS a\n" + INTERFACES.format("") * 2 + "FROM minirt/base AS b\n" + INTERFACES.format("")
    build(text + "FROM scratch\nCOPY --from=a /etc /a\nCOPY --from=b /etc /b\n", no_cache=True)
    assert sorted(said(events).split()) == ["eth0"] * 3 + ["lo"] * 3
    assert not list(engine.home.glob("networks/*/endpoints/*"))


def test_none_and_the_machines_own(build: Any, events: list[Any], namespaces: None) -> None:
    """``--network`` of RUN goes before that of the build."""
    machine = {name for _, name in socket.if_nameindex()}
    build("FROM minirt/base\n" + INTERFACES.format("--network=none"), no_cache=True)
    assert said(events).split() == ["lo"]
    events.clear()
    build("FROM minirt/base\n" + INTERFACES.format(""), network="none", no_cache=True)
    assert said(events).split() == ["lo"]
    events.clear()
    build("FROM minirt/base\n" + INTERFACES.format("--network=host"), network="none", no_cache=True)
    found = set(said(events).split())
    # Other tests make and remove interfaces meanwhile; the lasting ones are there.
    assert found >= {name for name in machine if not name.startswith(("mrt", "veth"))}


@pytest.mark.usefixtures("own")
def test_a_step_reaches_the_machine_and_beyond(build: Any, tmp_path: Path, events: list[Any]) -> None:
    """``host-gateway`` leads to a server of the machine's; nothing reaches it without a network."""
    busybox = shutil.which("busybox")
    if busybox is None or b"ld-linux" in Path(busybox).read_bytes()[:4096] or os.geteuid():
        pytest.skip("needs root and a static busybox to talk from inside")
    shutil.copy(busybox, tmp_path / "busybox")
    text = "FROM minirt/base\nCOPY busybox /busybox\nRUN {} /busybox nc machine {} </dev/null\n"
    with socket.create_server(("0.0.0.0", 0)) as server:
        port = server.getsockname()[1]
        threading.Thread(target=_greet, args=(server,), daemon=True).start()
        hosts = (("machine", "host-gateway"),)
        build(text.format("", port), tmp_path, extra_hosts=hosts, no_cache=True)
        assert said(events) == "hello\n"
        with pytest.raises(RunFailed):
            build(text.format("--network=none", port), tmp_path, extra_hosts=hosts)


def _greet(server: socket.socket) -> None:
    client = server.accept()[0]
    client.sendall(b"hello\n")
    client.close()


@pytest.mark.usefixtures("namespaces")
def test_hosts_limits_and_memory_of_the_command_line(build: Any, events: list[Any]) -> None:
    """--add-host, --ulimit and --shm-size reach each RUN, and a cached step is not taken for another."""
    text = "FROM minirt/base\nRUN cat /etc/hosts; ulimit -n; df -k /dev/shm | tail -1\n"
    limits = (Rlimit("RLIMIT_NOFILE", 100, 200),)
    build(text, no_cache=True)
    plain = said(events)
    events.clear()
    build(text, extra_hosts=(("a", "1.2.3.4"), ("b", "::1")), rlimits=limits, shm_size=1 << 20)
    lines = said(events).splitlines()
    assert lines[:4] == [
        "127.0.0.1\tlocalhost buildkitsandbox",
        "::1\tlocalhost ip6-localhost ip6-loopback",
        "1.2.3.4\ta",
        "::1\tb",
    ]
    assert lines[4] == "100" and lines[5].split()[1] == "1024"
    assert "1.2.3.4" not in plain and plain.splitlines()[3].split()[1] == "65536"
