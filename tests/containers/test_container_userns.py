"""``--userns private``, as root: the container's root is nobody on the machine, and nobody notices on the disk."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from minirt.engine import Engine
from minirt.engine.container import Container
from minirt.errors import ContainerFailed, InvalidSpec, MinirtError, Unsupported
from minirt.linux.idmap import private_maps

BASE = "minirt/base"


@pytest.fixture
def mapped(engine: Engine) -> Engine:
    """An engine whose containers can have other ids than their machine."""
    if not engine.machine.root:
        spaces = engine.machine.namespaces
        pytest.skip("an ordinary user's containers always have a user namespace" if spaces.ok else spaces.why)
    try:
        engine.containers.run(BASE, ["true"], remove=True, userns_mode="private")
    except MinirtError as error:
        if "cannot map ids" in error.cause:
            pytest.skip(f"this file system cannot map ids: {error.cause}")
        raise
    return engine


def _output(engine: Engine, script: str, **options: Any) -> str:
    out = engine.containers.run(BASE, ["sh", "-c", script], remove=True, userns_mode="private", **options)
    assert isinstance(out, bytes)
    return out.decode()


def _detached(engine: Engine, script: str = "sleep 60", **options: Any) -> Container:
    container = engine.containers.run(BASE, ["sh", "-c", script], detach=True, userns_mode="private", **options)
    assert isinstance(container, Container)
    return container


def test_root_inside_is_nobody_outside(mapped: Engine) -> None:
    """Id 0 within, an id of the granted range without; each namespace belongs to the new one."""
    container = _detached(mapped)
    first = private_maps()[0][0].outside
    assert os.stat(f"/proc/{container.state.pid}").st_uid == first
    assert container.exec_run(["id", "-u"]).output == b"0\n"
    assert container.exec_run(["cat", "/proc/self/uid_map"]).output.split() == [b"0", str(first).encode(), b"65536"]
    inside, outside = (
        {kind: os.stat(f"/proc/{pid}/ns/{kind}").st_ino for kind in ("user", "mnt", "pid", "ipc", "uts", "net")}
        for pid in (container.state.pid, os.getpid())
    )
    assert not set(inside.values()) & set(outside.values())
    assert container.attrs["HostConfig"]["UsernsMode"] == "private"


def test_files_keep_their_owners_on_the_disk(mapped: Engine) -> None:
    """What root and others make in it is root's and theirs in diff, commit, cp, and in a container without all this."""
    container = _detached(mapped, "echo a > /own; echo b > /alice; chown 1000:1001 /alice; rm /etc/profile; sleep 60")
    while container.exec_run(["test", "-e", "/etc/profile"]).exit_code == 0:
        pass
    upper = mapped.lifecycle.shelf.directory(container.id) / "upper"
    assert [(os.stat(upper / name).st_uid, os.stat(upper / name).st_gid) for name in ("own", "alice")] == [
        (0, 0), (1000, 1001),
    ]  # fmt: skip
    kinds = {change["Path"]: change["Kind"] for change in container.diff()}
    assert (kinds["/own"], kinds["/etc/profile"]) == (1, 2)
    image = container.commit("userns-commit")
    out = mapped.containers.run(image.id, ["stat", "-c", "%u:%g", "/own", "/alice"], remove=True)
    assert out == b"0:0\n1000:1001\n"
    data, _ = container.get_archive("/alice")
    assert b"".join(data)


def test_stop_loses_nothing_and_start_finds_it(mapped: Engine) -> None:
    """The storage layer is there again, with its owners, also for cp while it is stopped."""
    container = _detached(mapped, "test -e /mark && stat -c %u:%g /mark; echo x > /mark; chown 7 /mark; sleep 60")
    while container.exec_run(["test", "-s", "/mark"]).exit_code:
        pass
    container.stop(timeout=0)
    assert os.stat(mapped.lifecycle.shelf.directory(container.id) / "upper" / "mark").st_uid == 7
    container.start()
    while container.logs() != b"7:0\n":
        pass


def test_volumes_are_mapped_and_directories_of_the_machine_are_not(mapped: Engine, tmp_path: Path) -> None:
    """In a volume the container's root is root; what the machine's root owns in a bound directory it cannot touch."""
    secret = tmp_path / "shared"
    secret.mkdir(mode=0o755)
    (secret / "file").write_text("seen")
    mapped.volumes.create("userns-volume")
    script = "echo v > /vol/made; stat -c %u /vol/made; cat /host/file; stat -c %u /host/file; echo x > /host/new"
    with pytest.raises(ContainerFailed) as caught:
        _output(mapped, script, volumes=["userns-volume:/vol", f"{secret}:/host"])
    assert b"ermission denied" in caught.value.stderr
    assert not (secret / "new").exists()
    made = mapped.volumes.get("userns-volume").stored.directory / "made"
    assert os.stat(made).st_uid == 0
    assert (
        mapped.containers.run(BASE, ["stat", "-c", "%u", "/v/made"], volumes=["userns-volume:/v"], remove=True)
        == b"0\n"
    )


def test_nothing_of_the_machines_root_is_within_reach(mapped: Engine) -> None:
    """Even with every capability, the machine's settings, devices and files stay closed."""
    script = (
        "mkdir -p /tmp /mnt; echo x > /proc/sys/kernel/hostname 2>/dev/null && echo renamed;"
        " echo 1 > /proc/sys/vm/swappiness 2>/dev/null && echo tuned; mknod /tmp/sda b 8 0 2>/dev/null && echo node;"
        " mount -t tmpfs x /mnt 2>/dev/null && echo mounted; cat /proc/1/environ > /dev/null && echo own;"
        " kill -0 1 && echo alive"
    )
    before = Path("/proc/sys/vm/swappiness").read_text()
    told = _output(
        mapped, f"mkdir -p /tmp /mnt; {script}", cap_add=["ALL"], security_opt=["systempaths=unconfined"]
    ).split()
    assert "tuned" not in told and "node" not in told and {"own", "alive"} <= set(told)
    assert Path("/proc/sys/vm/swappiness").read_text() == before


def test_networks_none_and_terminals_work(mapped: Engine) -> None:
    """The usual kinds of network, names, and a terminal of its own."""
    assert _output(mapped, "ls /sys/class/net", network="none").split() == ["lo"]
    assert "eth0" in _output(mapped, "ls /sys/class/net")
    assert _output(mapped, "tty; test -w /dev/null && echo fine", tty=True).split() == ["/dev/pts/0", "fine"]


def test_what_a_private_namespace_rules_out(engine: Engine) -> None:
    """It cannot be had together with the machine's own namespaces; for an ordinary user host is what cannot be had."""
    if not engine.machine.root:
        with pytest.raises(Unsupported, match="--userns host"):
            engine.containers.create(BASE, ["true"], userns_mode="host")
        return
    for options in ({"privileged": True}, {"pid_mode": "host"}, {"network": "host"}, {"ipc_mode": "host"}):
        with pytest.raises(InvalidSpec, match="user namespaces are enabled"):
            engine.containers.create(BASE, ["true"], userns_mode="private", **options)
