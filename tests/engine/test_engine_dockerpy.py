"""Containers and volumes from Python, in docker-py's names, arguments and results."""

from __future__ import annotations

import importlib
import inspect
import io
import json
import re
import struct
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from minirt.engine import Engine
from minirt.engine.container import Container
from minirt.engine.containers import ContainerCollection
from minirt.engine.networks import Network
from minirt.engine.options import make_request
from minirt.engine.volumes import Volume, VolumeCollection
from minirt.errors import CommandNotFound, InvalidInput, InvalidSpec, Unsupported

BASE = "minirt/base"


def _detached(engine: Engine, script: str = "sleep 60", **options: Any) -> Container:
    container = engine.containers.run(BASE, ["sh", "-c", script], detach=True, **options)
    assert isinstance(container, Container)
    return container


def test_exec_run_has_docker_pys_results(engine: Engine) -> None:
    """A pair of code and output; apart with demux; as it comes with stream; nothing with detach."""
    container = _detached(engine)
    script = ["sh", "-c", "echo out; echo err >&2; exit 3"]
    result = container.exec_run(script)
    assert result.exit_code == 3 and set(result.output.split()) == {b"out", b"err"}
    assert container.exec_run(script, demux=True) == (3, (b"out\n", b"err\n"))
    assert container.exec_run(script, stderr=False) == (3, b"out\n")
    code, pieces = container.exec_run(script, stream=True)
    assert code is None and set(b"".join(pieces).split()) == {b"out", b"err"}
    _, pairs = container.exec_run(script, stream=True, demux=True)
    assert set(pairs) == {(b"out\n", None), (None, b"err\n")}
    assert container.exec_run("sh -c 'echo $A; pwd'", environment={"A": "b"}, workdir="/dev").output == b"b\n/dev\n"
    with pytest.raises(CommandNotFound, match="chdir to cwd"):
        container.exec_run("true", workdir="/not/there")


def test_exec_in_the_background(engine: Engine) -> None:
    """It goes on without us and ends with the container; what cannot start is said at once."""
    container = _detached(engine)
    assert container.exec_run(["sh", "-c", "sleep 0.2; echo done > /dev/shm/mark; sleep 50"], detach=True) == (
        None,
        b"",
    )
    deadline = time.monotonic() + 20
    while container.exec_run(["cat", "/dev/shm/mark"]).output != b"done\n":
        assert time.monotonic() < deadline, "the program did not go on"
    with pytest.raises(CommandNotFound):
        container.exec_run(["no-such-program"], detach=True)


def test_exec_over_a_socket(engine: Engine) -> None:
    """What is sent is typed, what comes has docker's eight bytes before each piece."""
    container = _detached(engine)
    _, sock = container.exec_run(["sh", "-c", "read line; echo got $line"], stdin=True, socket=True)
    sock.sendall(b"hello\n")
    data = b""
    while piece := sock.recv(4096):
        data += piece
    sock.close()
    assert data == struct.pack(">BxxxL", 1, 10) + b"got hello\n"


def test_exec_with_every_right(engine: Engine) -> None:
    """Privileged gives one command more than its container has."""
    if engine.machine.isolation != "namespaces":
        pytest.skip("nothing is taken from a traced container, so nothing can be given back")
    container = _detached(engine, cap_drop=["ALL"])
    usual, more = (
        int(container.exec_run(["grep", "CapEff", "/proc/self/status"], privileged=given).output.split()[1], 16)
        for given in (False, True)
    )
    assert usual == 0 and more & 1 << 21  # CAP_SYS_ADMIN


def test_attach_and_logs(engine: Engine) -> None:
    """Attach follows to the end, with what was before if asked; logs know since, until, tail and stream."""
    container = _detached(engine, "echo one; echo two >&2; sleep 1; echo three")
    deadline = time.monotonic() + 20
    while container.logs() not in (b"one\ntwo\n", b"two\none\n"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    between = datetime.now(UTC)
    assert b"".join(container.attach(stream=True, logs=True, stderr=False)) == b"one\nthree\n"
    assert container.wait() == {"StatusCode": 0, "Error": None}
    assert container.logs(since=between) == b"three\n"
    assert container.logs(until=between.timestamp(), stderr=False) == b"one\n"
    assert container.logs(tail=1) == b"three\n"
    assert container.logs(tail="all", stdout=False) == b"two\n"
    lines = container.logs(stream=True, timestamps=True)
    assert isinstance(lines, Iterator)
    assert re.fullmatch(rb"\d{4}-\d\d-\d\dT[\d:.]+Z three\n", list(lines)[-1])


def test_log_drivers(engine: Engine) -> None:
    """None keeps nothing and says so; details come from labels and variables that were asked for."""
    silent = _detached(engine, "echo hi", log_config={"type": "none"})
    silent.wait()
    with pytest.raises(Unsupported, match="does not support reading"):
        silent.logs()
    told = _detached(
        engine, "echo hi", labels={"a": "1", "b": "2"}, environment={"Q": "3"},
        log_config={"type": "json-file", "config": {"labels": "a", "env": "Q"}},
    )  # fmt: skip
    told.wait()
    assert [line.details for line in told.log_lines()] == [{"a": "1", "Q": "3"}]


def test_wait_conditions(engine: Engine) -> None:
    """not-running is the default; removed waits for the directory to go."""
    container = _detached(engine, "exit 4")
    assert container.wait(timeout=30)["StatusCode"] == 4
    with pytest.raises(TimeoutError):
        container.wait(timeout=0.2, condition="removed")
    with pytest.raises(TimeoutError):
        container.wait(timeout=0.2, condition="next-exit")


def test_stats(engine: Engine) -> None:
    """One reading as a dict; a stream of them, decoded or as lines; what is busy shows."""
    container = _detached(engine, "while :; do :; done")
    one = container.stats(stream=False)
    assert isinstance(one, dict)
    assert {
        "read",
        "preread",
        "cpu_stats",
        "precpu_stats",
        "memory_stats",
        "pids_stats",
        "blkio_stats",
        "name",
        "id",
    } <= (one.keys())
    assert one["memory_stats"]["usage"] > 0 and one["pids_stats"]["current"] >= 1
    stream = container.stats(decode=True)
    assert isinstance(stream, Iterator)
    first, second = next(stream), next(stream)
    assert isinstance(first, dict) and isinstance(second, dict)
    assert second["cpu_stats"]["cpu_usage"]["total_usage"] > first["cpu_stats"]["cpu_usage"]["total_usage"]
    assert second["precpu_stats"] == first["cpu_stats"]
    lines = container.stats()
    assert isinstance(lines, Iterator)
    line = next(lines)
    assert isinstance(line, bytes) and json.loads(line)["name"] == f"/{container.name}"
    container.kill()
    ended = container.stats(stream=False)
    assert isinstance(ended, dict) and ended["memory_stats"] == {}


def test_lists_take_docker_pys_filters(engine: Engine) -> None:
    """A value, a list, or a truth; several values are alternatives, several labels must all hold."""
    first = engine.containers.create(BASE, ["true"], name="filter-one", labels={"a": "1", "b": "2"})
    second = _detached(engine, "exit 3", name="filter-two", labels={"a": "1"})
    second.wait()

    def names(**filters: Any) -> list[str]:
        return [container.name for container in engine.containers.list(all=True, filters=filters)]

    assert names(label="a=1") == ["filter-two", "filter-one"]
    assert names(label=["a=1", "b"]) == ["filter-one"]
    assert names(name="^filter-t") == ["filter-two"]
    assert names(status=["created", "paused"]) == ["filter-one"]
    assert names(exited=3) == ["filter-two"]
    assert names(ancestor=BASE, id=first.short_id) == ["filter-one"]
    assert names(since="filter-one") == ["filter-two"] and names(before="filter-two") == ["filter-one"]
    assert [one.name for one in engine.containers.list(limit=1)] == ["filter-two"]
    with pytest.raises(InvalidInput, match="invalid filter 'colour'"):
        engine.containers.list(filters={"colour": "red"})
    with pytest.raises(InvalidInput, match="must be one of created, running"):
        engine.containers.list(filters={"status": "sleepy"})
    assert engine.containers.prune(filters={"label": "b"})["ContainersDeleted"] == [first.id]


# docker-py's own words that mean nothing without its daemon: each would be refused or is the client's own business.
_NOT_OURS = {
    "containers.create": {
        "blkio_weight_device", "cpu_count", "cpu_percent", "cpu_rt_period", "cpu_rt_runtime", "device_cgroup_rules",
        "device_requests", "dns_opt", "dns_search", "domainname", "init_path", "isolation", "kernel_memory", "links",
        "lxc_conf", "mac_address", "network_disabled", "networking_config", "runtime", "storage_opt",
        "use_config_proxy", "version", "volume_driver", "detach", "command", "host_config",
    },
}  # fmt: skip


@pytest.mark.peer
@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("models.containers.Container", Container),
        ("models.containers.ContainerCollection", ContainerCollection),
        ("models.volumes.Volume", Volume),
        ("models.volumes.VolumeCollection", VolumeCollection),
        ("models.networks.Network", Network),
    ],
)
def test_methods_are_docker_pys(theirs: str, ours: type) -> None:
    """Every public method is there, and takes docker-py's arguments in its order under its names."""
    pytest.importorskip("docker", reason="docker-py is not installed")
    module, _, name = theirs.rpartition(".")
    peer = getattr(importlib.import_module(f"docker.{module}"), name)
    for method, function in inspect.getmembers(peer, inspect.isfunction):
        if method.startswith("_") or method == "prepare_model":
            continue
        own = getattr(ours, method, None)
        assert own is not None, f"{theirs}.{method}"
        wanted = [
            parameter for parameter in list(inspect.signature(function).parameters.values())[1:]
            if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        ]  # fmt: skip
        have = inspect.signature(own).parameters
        for parameter in wanted:
            known = parameter.name in have or any(one.kind is one.VAR_KEYWORD for one in have.values())
            same_place = parameter.name in ("container_id", "volume_id", "network_id", "encode_stream")
            assert known or same_place, f"{theirs}.{method}({parameter.name})"


@pytest.mark.peer
def test_options_are_docker_pys() -> None:
    """Every keyword of docker-py's run and create is read, or one of those that mean nothing here."""
    models = pytest.importorskip("docker.models.containers", reason="docker-py is not installed")
    keywords = {*models.RUN_CREATE_KWARGS, *models.RUN_HOST_CONFIG_KWARGS} - _NOT_OURS["containers.create"]
    documented = set(re.findall(r"\w+", str(make_request.__doc__)))
    # Read by create() itself, or named there together with their kin.
    elsewhere = {"image", "platform", "device_write_bps", "device_read_iops", "device_write_iops"}
    assert keywords - documented <= elsewhere


def test_volumes_take_docker_pys_filters(engine: Engine) -> None:
    """By label, part of the name, and whether a container has them."""
    used = engine.volumes.create("filter-used", labels={"a": "1"})
    engine.volumes.create("filter-free", labels={"a": "2"})
    engine.containers.create(BASE, ["true"], volumes={used.name: {"bind": "/data"}})

    def names(**filters: Any) -> list[str]:
        return [volume.name for volume in engine.volumes.list(filters=filters) if volume.name.startswith("filter-")]

    assert names(label="a=1") == ["filter-used"]
    assert names(dangling=True) == ["filter-free"] and names(dangling="false") == ["filter-used"]
    assert names(name="er-fr") == ["filter-free"]
    assert engine.volumes.prune(filters={"all": True, "label": "a"})["VolumesDeleted"] == ["filter-free"]


def test_what_docker_pys_pages_show(engine: Engine) -> None:
    """Equality by id, health, lines of run, warnings of update; networks and images with docker-py's keywords."""
    container = _detached(engine, name="shown")
    assert container == engine.containers.get("shown") and len({container, engine.containers.get(container.id)}) == 1
    assert container.health == "unknown"
    assert list(engine.containers.run(BASE, ["printf", "a\\nb\\n"], stream=True, remove=True)) == [b"a\n", b"b\n"]
    assert engine.containers.run(BASE, ["true"], stream=False, remove=True) == b""
    volume = engine.volumes.create("a-long-name-of-a-volume")
    assert volume == engine.volumes.get(volume.name) and volume.short_id == "a-long-name-"
    pool = {"Driver": "default", "Config": [{"Subnet": "10.211.7.0/24", "Gateway": "10.211.7.9"}]}
    lan = engine.networks.create("py-lan", driver="bridge", check_duplicate=True, ipam=pool, labels={"a": "1"})
    assert lan.attrs["IPAM"]["Config"] == [{"Subnet": "10.211.7.0/24", "Gateway": "10.211.7.9"}]
    assert engine.networks.list(filters={"label": "a=1"}) == engine.networks.list(ids=[lan.short_id]) == [lan]
    assert lan not in engine.networks.list(filters={"driver": ["host", "null"]})
    with pytest.raises(Unsupported, match="enable_ipv6"):
        engine.networks.create("py-six", enable_ipv6=True)
    lan.remove()
    assert engine.ping() is True


@pytest.mark.parametrize("asked", [{"scope": "swarm"}, {"ingress": True}, {"options": {"mtu": "9"}}])
def test_networks_that_cannot_be(engine: Engine, asked: dict[str, Any]) -> None:
    """What one machine's bridge is not is refused by name."""
    with pytest.raises(Unsupported, match=r"networks\.create"):
        engine.networks.create("py-no", **asked)


def test_images_take_docker_pys_words(engine: Engine) -> None:
    """Filters of list and prune, an archive as bytes, and the old builder's rm."""
    text = io.BytesIO(b"FROM minirt/base\nLABEL colour=red\n")
    red = engine.images.build(fileobj=text, tag="words/red:1", rm=True, forcerm=True, quiet=False)
    assert engine.images.list(filters={"label": "colour=red"}) == [red]
    assert engine.images.list(filters={"reference": "words/*"}) == [red]
    assert red not in engine.images.list(filters={"dangling": True}) + engine.images.list(
        filters={"since": "words/red:1"}
    )
    with pytest.raises(InvalidInput, match="invalid filter 'colour'"):
        engine.images.list(filters={"colour": "red"})
    archive = b"".join(red.save(named=True))
    assert engine.images.prune(filters={"dangling": False, "label": "colour=blue"}).deleted == ()
    assert engine.images.prune(filters={"dangling": True, "label": "colour=red"}).deleted == ()
    assert str(engine.images.prune(filters={"dangling": False, "label": "colour=red"}).deleted[0]) == red.id
    assert engine.images.load(archive) == [red]


def test_mounts_are_docker_pys_too(engine: Engine) -> None:
    """Its Mount is a dictionary: of a volume, of memory; a kind that is none is refused."""
    mounts: list[Any] = [
        {"Type": "volume", "Source": "py-kept", "Target": "/kept", "ReadOnly": True},
        {"Type": "tmpfs", "Target": "/memory", "TmpfsOptions": {"SizeBytes": 1 << 20, "Mode": 0o700}},
    ]
    script = "touch /kept/x 2>/dev/null || stat -c %a /memory"
    assert engine.containers.run(BASE, ["sh", "-c", script], mounts=mounts, remove=True) == b"700\n"
    made = engine.containers.create(BASE, ["true"], mounts=mounts)
    assert made.attrs["HostConfig"]["Mounts"] == mounts
    with pytest.raises(InvalidSpec, match="mount type unknown"):
        engine.containers.create(BASE, ["true"], mounts=[{"Type": "cluster", "Target": "/x"}])


def test_words_that_change_nothing_or_are_refused(engine: Engine) -> None:
    """auto_remove beside remove, decode of events, an empty conf of commit; one that asks for something is refused."""
    assert engine.containers.run(BASE, ["echo", "x"], auto_remove=True) == b"x\n"
    gone = _detached(engine, "true", auto_remove=True, remove=False)
    gone.wait(condition="removed")
    assert engine.containers.list(all=True) == []
    assert list(engine.events(since=0, until=1, decode=True)) == []
    kept = engine.containers.create(BASE, ["true"])
    assert kept.commit("words", "1", conf={}).tags == ["words:1"]
    with pytest.raises(Unsupported, match="conf"):
        kept.commit(conf={"Cmd": ["ls"]})
