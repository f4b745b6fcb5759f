"""What a container shares with the machine and with other containers, and the devices it is given."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from minirt.containers.isolation import check_sysctl, parse_device, parse_mode
from minirt.engine import Engine
from minirt.engine.containers import Container
from minirt.errors import Conflict, InvalidSpec, MinirtError, PathNotFound, Unsupported
from minirt.linux.processes import is_alive
from minirt.model.isolation import Device

BASE = "minirt/base"


@pytest.fixture(autouse=True)
def _namespaces(request: pytest.FixtureRequest) -> None:
    if "engine" not in request.fixturenames:
        return
    engine = request.getfixturevalue("engine")
    if engine.machine.isolation != "namespaces":
        pytest.skip(f"no namespaces here: {engine.machine.namespaces.why}")


def _output(engine: Engine, script: str, **options: Any) -> str:
    out = engine.containers.run(BASE, ["sh", "-c", script], remove=True, **options)
    assert isinstance(out, bytes)
    return out.decode()


def _detached(engine: Engine, script: str = "sleep 60", **options: Any) -> Container:
    container = engine.containers.run(BASE, ["sh", "-c", script], detach=True, **options)
    assert isinstance(container, Container)
    return container


@pytest.mark.parametrize(
    ("text", "device"),
    [
        ("/dev/fuse", Device("/dev/fuse", "/dev/fuse", "rwm")),
        ("/dev/fuse:r", Device("/dev/fuse", "/dev/fuse", "r")),
        ("/dev/a:/dev/b", Device("/dev/a", "/dev/b", "rwm")),
        ("/dev/a:/dev/b:rw", Device("/dev/a", "/dev/b", "rw")),
    ],
)
def test_device_texts(text: str, device: Device) -> None:
    """One, two and three parts are read as docker reads them."""
    assert parse_device(text) == device


@pytest.mark.parametrize("text", ["", "/dev/a:/dev/b:q", "/dev/a:/dev/b:rr", "fuse", "/dev/a::r", "a:b:c:d"])
def test_bad_devices_are_refused(text: str) -> None:
    """Anything else is a mistake, told before anything is made."""
    with pytest.raises(InvalidSpec):
        parse_device(text)


@pytest.mark.parametrize("text", ["vm.swappiness=1", "net", "kernel.hostname=x", "net.ipv4/../../vm/x=1", "net..x=1"])
def test_machine_settings_cannot_be_reached_by_sysctl(text: str) -> None:
    """Only settings of the container's own namespaces may be written, and no path leads elsewhere."""
    with pytest.raises(InvalidSpec):
        check_sysctl(text)


@pytest.mark.parametrize(
    ("kind", "mode"), [("pid", "private"), ("ipc", "container:"), ("uts", "container:x"), ("userns", "x")]
)
def test_unknown_modes_are_refused(kind: str, mode: str) -> None:
    """Each namespace has its own words."""
    with pytest.raises(InvalidSpec):
        parse_mode(kind, mode)


def test_pid_namespace_of_another_container(engine: Engine) -> None:
    """It sees the other's processes, and its own are no longer there when it has ended."""
    first = _detached(engine)
    seen = _output(engine, "cat /proc/1/cmdline | tr '\\0' ' '", pid_mode=f"container:{first.name}")
    assert seen.strip().endswith("sleep 60")
    assert first.status == "running"
    again = engine.containers.create(BASE, ["true"], pid_mode=f"container:{first.id}")
    first.kill()
    with pytest.raises(MinirtError, match="non running container"):
        again.start()


def test_pid_namespace_of_the_machine(engine: Engine) -> None:
    """It sees every process; pausing and ending reach its own ones and no others."""
    container = _detached(engine, "sleep 61 & sleep 62; :", pid_mode="host")
    own: set[int] = set()
    while len(own) < 2:
        own = {int(row[0]) for row in container.top(["-o", "pid"])["Processes"]}
    assert os.getpid() not in own
    assert f"/proc/{os.getpid()}\n" in container.exec_run(["ls", "-d", f"/proc/{os.getpid()}"])[1].decode()
    container.pause()
    container.unpause()
    starts = {pid: int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]) for pid in own}
    container.stop(timeout=0)
    assert not [pid for pid, start in starts.items() if is_alive(pid, start)]


def test_shared_memory_is_shared_on_request(engine: Engine) -> None:
    """/dev/shm goes with the IPC namespace, and only a shareable one can be joined."""
    donor = _detached(engine, "echo here > /dev/shm/note; sleep 60", ipc_mode="shareable", shm_size="1m")
    while not donor.exec_run(["cat", "/dev/shm/note"])[1]:
        pass
    assert _output(engine, "cat /dev/shm/note", ipc_mode=f"container:{donor.name}") == "here\n"
    assert donor.exec_run(["sh", "-c", "df -k /dev/shm | tail -1 | tr -s ' ' | cut -d' ' -f2"])[1] == b"1024\n"
    private = _detached(engine)
    with pytest.raises(Conflict, match="non-shareable IPC"):
        engine.containers.create(BASE, ["true"], ipc_mode=f"container:{private.name}")
    assert _output(engine, "ls -d /dev/shm 2>&1 || true", ipc_mode="none").startswith("ls:")


def test_names_of_the_machine(engine: Engine) -> None:
    """A domain of its own; or the machine's names, and then none can be given."""
    told = _output(engine, "cat /proc/sys/kernel/hostname /proc/sys/kernel/domainname; tail -1 /etc/hosts",
                   hostname="web", domainname="example.org")  # fmt: skip
    assert told.split()[:2] == ["web", "example.org"]
    assert told.splitlines()[-1].split()[1:] == ["web.example.org", "web"]
    assert _output(engine, "cat /proc/sys/kernel/hostname", uts_mode="host").strip() == os.uname().nodename
    with pytest.raises(InvalidSpec, match="hostname and the UTS mode"):
        engine.containers.create(BASE, ["true"], uts_mode="host", hostname="x")


def test_sysctls_are_the_containers_own(engine: Engine) -> None:
    """They hold inside and change nothing outside."""
    before = Path("/proc/sys/kernel/shmmni").read_text()
    assert _output(engine, "cat /proc/sys/kernel/shmmni", sysctls={"kernel.shmmni": "777"}) == "777\n"
    assert Path("/proc/sys/kernel/shmmni").read_text() == before
    with pytest.raises(InvalidSpec, match="host network namespace"):
        engine.containers.create(BASE, ["true"], sysctls={"net.core.somaxconn": "9"}, network="host")


def test_further_groups(engine: Engine) -> None:
    """By number, and by a name that the image must have."""
    if engine.machine.single_id:
        pytest.skip("with one id there are no other groups")
    assert set(_output(engine, "grep Groups: /proc/self/status", group_add=["4321"]).split()) >= {"4321"}
    with pytest.raises(InvalidSpec, match="unable to find group nosuch"):
        _output(engine, "true", group_add=["nosuch"])


def test_given_devices(engine: Engine) -> None:
    """What is given is in /dev under the name asked for; what does not exist is named; nothing else opens."""
    found = _output(engine, "ls -l /dev/other && head -c 2 /dev/other | wc -c", devices=["/dev/zero:/dev/other"])
    assert "1," in found and found.split()[-1] == "2"
    with pytest.raises(PathNotFound, match='custom device "/dev/nosuch"') as caught:
        _output(engine, "true", devices=["/dev/nosuch"])
    assert caught.value.exit_code == 127
    with pytest.raises(PathNotFound, match="not a device node"):
        _output(engine, "true", devices=["/etc/passwd:/dev/passwd"])


def test_who_may_mount_opens_no_other_device(engine: Engine) -> None:
    """With CAP_SYS_ADMIN a node on a tmpfs of one's own opens only if docker's list has it, or --device gave it."""
    if not engine.machine.root or "devices" not in engine.machine.controllers:
        pytest.skip("that takes control groups that can be kept from devices, as root")
    device = next((path for path in ("/dev/fuse", "/dev/net/tun") if os.path.exists(path)), None)
    if device is None:
        pytest.skip("this machine has no device that any program may open and no container has")
    number = os.stat(device).st_rdev
    script = f"""
    mount -t tmpfs x /tmp; mknod /tmp/zero c 1 5; mknod /tmp/other c {os.major(number)} {os.minor(number)}
    for n in zero other; do (: < /tmp/$n) 2> /dev/null && echo $n; done; true
    """
    options: dict[str, Any] = {"cap_add": ["SYS_ADMIN"], "remove": True}
    assert engine.containers.run(BASE, ["sh", "-c", script], **options) == b"zero\n"
    options["devices"] = [device]
    assert engine.containers.run(BASE, ["sh", "-c", script], **options) == b"zero\nother\n"


def test_access_to_a_device_can_be_limited(engine: Engine) -> None:
    """Reading without writing, where the devices controller is to be had; else refused by name."""
    if not os.access("/dev/fuse", os.F_OK):
        pytest.skip("no /dev/fuse to try it with")
    script = "(: < /dev/fuse) && echo read; (: > /dev/fuse) 2>/dev/null || echo refused"
    if "devices" not in engine.machine.controllers:
        with pytest.raises(Unsupported, match="access 'r' alone"):
            _output(engine, script, devices=["/dev/fuse:/dev/fuse:r"])
        return
    assert _output(engine, script, devices=["/dev/fuse:/dev/fuse:r"]).split() == ["read", "refused"]


def test_a_container_sees_its_own_limits(engine: Engine) -> None:
    """What /sys/fs/cgroup shows is the container's group and none of the machine's, in either version."""
    if not engine.machine.root or "memory" not in engine.machine.controllers:
        pytest.skip("no memory can be limited here")
    files = "/sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes"
    assert _output(engine, f"cat {files} 2> /dev/null || true", mem_limit="64m").split() == ["67108864"]
    assert _output(engine, "find /sys/fs/cgroup -name minirt | wc -l").strip() == "0"
    script = "(find /sys/fs/cgroup -name cgroup.procs | while read f; do echo 1 > $f; done) 2>&1; true"
    assert "ead-only" in _output(engine, script)


def test_oom_score(engine: Engine) -> None:
    """It can always be raised."""
    assert _output(engine, "cat /proc/self/oom_score_adj", oom_score_adj=700) == "700\n"
    with pytest.raises(InvalidSpec, match="range for oom score adj"):
        engine.containers.create(BASE, ["true"], oom_score_adj=2000)


def test_masks_can_be_taken_off(engine: Engine) -> None:
    """systempaths=unconfined shows what is otherwise hidden, and inspect says so."""
    hidden = _output(engine, "cat /proc/timer_list /proc/keys | wc -c")
    shown = _output(engine, "cat /proc/timer_list /proc/keys 2>/dev/null | wc -c",
                    security_opt=["systempaths=unconfined"])  # fmt: skip
    assert int(hidden) == 0
    if engine.machine.root:
        assert int(shown) > 0
    attrs = engine.containers.create(BASE, ["true"], security_opt=["systempaths=unconfined"]).attrs
    assert attrs["HostConfig"]["MaskedPaths"] is None


def test_a_group_of_groups(engine: Engine) -> None:
    """--cgroup-parent is where the container's group is made, and it is taken away again."""
    if not engine.machine.cgroups.ok:
        with pytest.raises(Unsupported, match="--cgroup-parent"):
            engine.containers.create(BASE, ["true"], cgroup_parent="/minirt-parent")
        return
    container = _detached(engine, cgroup_parent="/minirt-parent")
    assert list(Path("/sys/fs/cgroup").glob(f"**/minirt-parent/{container.id}"))
    container.remove(force=True)
    assert not list(Path("/sys/fs/cgroup").glob(f"**/minirt-parent/{container.id}"))
    for place in Path("/sys/fs/cgroup").glob("**/minirt-parent"):
        place.rmdir()


def test_inspect_shows_what_was_asked_for(engine: Engine) -> None:
    """Under docker's names, and everything else with docker's values for "nothing"."""
    container = engine.containers.create(
        BASE, ["true"], pid_mode="host", ipc_mode="shareable", shm_size="8m", group_add=["7"], devices=["/dev/zero"],
        sysctls={"kernel.shmmni": "9"}, oom_score_adj=5, annotations={"a": "b"}, cgroupns="host",
    )  # fmt: skip
    host = container.attrs["HostConfig"]
    assert (host["PidMode"], host["IpcMode"], host["CgroupnsMode"], host["ShmSize"]) == (
        "host", "shareable", "host", 8 << 20,
    )  # fmt: skip
    assert host["Devices"] == [{"PathOnHost": "/dev/zero", "PathInContainer": "/dev/zero", "CgroupPermissions": "rwm"}]
    assert (host["GroupAdd"], host["Sysctls"], host["OomScoreAdj"], host["Annotations"]) == (
        ["7"], {"kernel.shmmni": "9"}, 5, {"a": "b"},
    )  # fmt: skip
