"""Containers where no namespaces are allowed: PRoot traces them, and they behave as others do."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from minirt.errors import CommandNotExecutable, CommandNotFound, Unsupported
from minirt.linux import landlock
from minirt.linux.syscalls import prctl
from minirt.linux.tracing import tracees, tracer_of
from minirt.sandbox.first import first_program

if TYPE_CHECKING:
    from minirt.engine import Container, Engine

pytestmark = pytest.mark.skipif(shutil.which("proot") is None, reason="proot is not installed")


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine that copies root filesystems and traces containers."""
    from minirt.engine import Engine

    with Engine(tmp_path_factory.mktemp("traced"), snapshotter="copy", isolation="proot") as engine:
        engine.images.build(text="FROM minirt/base\nRUN mkdir /made && echo made > /made/here\n", tag="small")
        yield engine


@pytest.fixture
def box(traced: Engine) -> Iterator[Container]:
    """A container that runs for a while."""
    container = traced.containers.run("small", ["sh", "-c", "sleep 300 & sleep 300"], detach=True)
    yield container
    container.remove(force=True)


def _gone(pids: list[int]) -> bool:
    deadline = time.monotonic() + 5
    while any(os.path.exists(f"/proc/{pid}/exe") for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(os.path.exists(f"/proc/{pid}/exe") for pid in pids)


def _family(pid: int) -> list[int]:
    tracer = tracer_of(pid)
    assert tracer
    return [tracer, *tracees(tracer)]


@pytest.mark.parametrize(
    ("script", "code"),
    [("exit 7", 7), ("sleep 100 & exit 3", 3), ("kill -9 $$", 137), ("kill -TERM $$", 143), ("(exit 5); exit 0", 0)],
)
def test_the_exit_code_is_the_programs(traced: Engine, script: str, code: int) -> None:
    """Not that of whoever ended last; a signal counts as 128 and its number."""
    container = traced.containers.run("small", ["sh", "-c", script], detach=True)
    assert container.wait()["StatusCode"] == code
    container.remove()


def test_commands_that_cannot_run_are_told_as_ever(traced: Engine) -> None:
    """A missing program, a directory, a file that may not be executed."""
    with pytest.raises(CommandNotFound):
        traced.containers.run("small", ["no-such-program"])
    with pytest.raises(CommandNotExecutable):
        traced.containers.run("small", ["/made"])
    with pytest.raises(CommandNotExecutable):
        traced.containers.run("small", ["/made/here"])


def test_users_environment_and_files_are_the_containers(traced: Engine) -> None:
    """The id asked for, the variables asked for and no others, /etc/hosts with the container's name."""
    out = traced.containers.run("small", ["sh", "-c", "id -u; id -g; env; cat /etc/hosts"], user="7:8", hostname="box")
    lines = out.decode().splitlines()
    assert lines[:2] == ["7", "8"]
    assert not [line for line in lines if line.startswith("PROOT")]
    assert any(line.split()[1:2] == ["box"] for line in lines if "\t" in line)


def test_binds_volumes_and_memory_are_seen_and_kept(traced: Engine, tmp_path: Path) -> None:
    """What is written to a bind or a volume is there afterwards; a tmpfs goes with its container."""
    (tmp_path / "in").write_text("in\n")
    script = "cat /b/in; echo out > /b/out; echo v > /v/x; echo t > /t/x; ls /t"
    out = traced.containers.run(
        "small",
        ["sh", "-c", script],
        volumes={str(tmp_path): {"bind": "/b", "mode": "rw"}, "vol": {"bind": "/v", "mode": "rw"}},
        tmpfs={"/t": ""},
        remove=True,
    )
    assert out == b"in\nx\n"
    assert (tmp_path / "out").read_text() == "out\n"
    assert traced.containers.run("small", ["cat", "/v/x"], volumes=["vol:/v"], remove=True) == b"v\n"
    assert not list((traced.home / "tmp").glob("traced-*"))


needs_landlock = pytest.mark.skipif(landlock.version() < landlock.WANTED, reason="the kernel has no Landlock")


def _tried(script: str) -> list[str]:
    """A shell command that tells for each line of ``script`` whether it went through."""
    return ["sh", "-c", "\n".join(f"({line}) 2>/dev/null && echo yes || echo no" for line in script.splitlines())]


@needs_landlock
def test_read_only_mounts_can_be_read_and_not_changed(traced: Engine, tmp_path: Path) -> None:
    """Neither what is in them nor what is said of them; the rest of the container can."""
    (tmp_path / "file").write_text("here\n")
    before = os.stat(tmp_path / "file")
    changing = ["echo x > /b/file", "echo x > /b/new", "rm /b/file", "mv /b/file /", "ln /b/file /l"]
    describing = ["chmod 600 /b/file", "touch -d 2001-01-01 /b/file", "chown 5 /b/file"]
    elsewhere = ["cp /b/file /copy", "mkdir /c", "mv /copy /c", "chmod 600 /c/copy"]
    script = "\n".join(["cat /b/file", *changing, *describing, *elsewhere])
    out = traced.containers.run("small", _tried(script), volumes=[f"{tmp_path}:/b:ro"], remove=True)
    assert out.decode().split() == ["here", "yes", *["no"] * 8, *["yes"] * 4]
    after = os.stat(tmp_path / "file")
    assert (after.st_mode, after.st_mtime_ns, os.listdir(tmp_path)) == (before.st_mode, before.st_mtime_ns, ["file"])


@needs_landlock
def test_the_tracers_own_directory_can_be_mounted_read_only(traced: Engine) -> None:
    """PRoot 5.1 works in /tmp, whoever mounts that, and leaves nothing there."""
    before = {name for name in os.listdir("/tmp") if name.startswith("proot")}
    assert (
        traced.containers.run("small", _tried("ls /b\nmkdir /b/x"), volumes=["/tmp:/b:ro"], remove=True)[-3:] == b"no\n"
    )
    box = traced.containers.run("small", ["sleep", "100"], volumes=["/tmp:/b:ro"], detach=True)
    mine = tracer_of(box.attrs["State"]["Pid"])
    box.remove(force=True)
    left = {name for name in os.listdir("/tmp") if name.startswith("proot")} - before
    assert not [name for name in left if f"-{mine}-" in name]


@needs_landlock
def test_a_read_only_root_holds_but_for_what_is_mounted(traced: Engine) -> None:
    """--read-only: nothing of the image can be changed, also by a program that joins; memory and volumes can."""
    script = "echo x > /x\nrm /made/here\nchmod 700 /made\necho x > /t/x\necho x > /v/x\necho x > /dev/null"
    box = traced.containers.run(
        "small", ["sleep", "100"], read_only=True, tmpfs={"/t": ""}, volumes=["kept:/v"], detach=True
    )
    try:
        assert box.exec_run(_tried(script))[1].decode().split() == ["no", "no", "no", "yes", "yes", "yes"]
        assert {row["Path"] for row in box.diff()} <= {"/t", "/v"}  # what was mounted hangs on them
    finally:
        box.remove(force=True)


@needs_landlock
def test_what_is_both_read_only_and_writable_is_refused(traced: Engine, tmp_path: Path) -> None:
    """A list of what may be written cannot leave out a part: a mount that only seems read-only would be worse."""
    (tmp_path / "in").mkdir()
    with pytest.raises(Unsupported, match="read-only") as caught:
        traced.containers.run("small", ["true"], volumes=[f"{tmp_path}:/b", f"{tmp_path}/in:/c:ro"])
    assert str(tmp_path) in caught.value.cause


@needs_landlock
def test_a_program_reaches_no_files_but_those_on_its_list(tmp_path: Path) -> None:
    """The container's first process gives up all others, so that it holds for who finds a way past the tracer too."""
    (tmp_path / "own").mkdir()
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "first").write_bytes(first_program() or b"")
    (tmp_path / "first").chmod(0o755)
    script = "cat ../secret\necho x > ../secret\nls ..\ncat /etc/passwd\necho x > new\ncat new\nmkdir d\nmv new d"
    assert _first(tmp_path, _tried(script)) == ["no", "no", "no", "no", "yes", "x", "yes", "yes", "yes"]
    assert (tmp_path / "secret").read_text() == "secret"


def _first(place: Path, command: list[str]) -> list[str]:
    """What ``command`` says when the first process runs it in ``place/own``, with that to write and programs to run."""
    programs = ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", f"{place}/first")
    rules = landlock.ruleset(landlock.Reach((f"{place}/own", "/dev/null"), programs))
    source, sink = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.dup2(sink, 1)
            os.dup2(os.open("/dev/null", os.O_WRONLY), 3, inheritable=True)
            os.dup2(rules, 10)
            os.dup2(10, 4, inheritable=True)
            os.chdir(f"{place}/own")
            prctl(38, 1)
            os.execve(f"{place}/first", ["first", "/bin/sh", *command], {"A": "", "B": "", "PATH": "/usr/bin:/bin"})
        finally:
            os._exit(1)
    os.close(sink)
    os.close(rules)
    with open(source) as out:
        text = out.read()
    os.waitpid(pid, 0)
    return text.split()


def test_exec_sees_the_same_files_and_ends_with_the_container(box: Container) -> None:
    """A second program in a running container; nothing of either is left when the container is killed."""
    assert box.exec_run(["sh", "-c", "echo here > /made/now; cat /made/here /made/now"]) == (0, b"made\nhere\n")
    assert box.exec_run(["sh", "-c", "exit 9"])[0] == 9
    family = _family(box.attrs["State"]["Pid"])
    box.kill()
    assert box.wait()["StatusCode"] == 137
    assert _gone(family)


def test_pause_holds_every_process_and_unpause_lets_them_go(traced: Engine) -> None:
    """Also one that makes no system call."""
    script = "i=0; while :; do i=$((i+1)); done & while :; do echo x >> /count; done"
    box = traced.containers.run("small", ["sh", "-c", script], detach=True)
    try:
        time.sleep(0.3)
        pid = box.attrs["State"]["Pid"]
        box.pause()
        time.sleep(0.1)
        before = [_ticks(one) for one in tracees(tracer_of(pid))]
        time.sleep(0.3)
        assert [_ticks(one) for one in tracees(tracer_of(pid))] == before
        assert box.status == "paused"
        box.unpause()
        time.sleep(0.3)
        assert [_ticks(one) for one in tracees(tracer_of(pid))] != before
    finally:
        box.remove(force=True)


def _ticks(pid: int) -> tuple[str, str]:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return fields[11], fields[12]


def test_health_checks_run_in_the_container(traced: Engine) -> None:
    """By the container's monitor, as elsewhere."""
    check = {"test": ["CMD-SHELL", "test -e /ok"], "interval": 200_000_000}
    box = traced.containers.run("small", ["sh", "-c", "touch /ok; sleep 100"], healthcheck=check, detach=True)
    try:
        deadline = time.monotonic() + 20
        while box.attrs["State"]["Health"]["Status"] != "healthy" and time.monotonic() < deadline:
            time.sleep(0.1)
        assert box.attrs["State"]["Health"]["Status"] == "healthy"
    finally:
        box.remove(force=True)


def test_nothing_is_left_when_the_monitor_is_killed(box: Container, traced: Engine) -> None:
    """The container ends with its monitor, and is told as ended."""
    import json

    state = json.loads((traced.home / "containers" / box.id / "state.json").read_text())
    family = _family(state["Pid"])
    os.kill(state["MonitorPid"], signal.SIGKILL)
    assert _gone(family)


def test_no_network_means_no_sockets_of_the_internet(traced: Engine) -> None:
    """--network none holds without a network namespace: such sockets are refused."""
    if b"python3" not in traced.containers.run("small", ["sh", "-c", "ls /usr/bin /bin"], remove=True):
        pytest.skip("the base image has no program here that opens sockets")
    out = traced.containers.run(
        "small", ["python3", "-c", "import socket; socket.socket()"], network="none", stderr=True, remove=True
    )
    assert b"unreachable" in out


def test_a_seccomp_profile_is_refused(traced: Engine) -> None:
    """The filter would be on the tracer, too: it is refused by name and not left out."""
    profile = 'seccomp={"defaultAction": "SCMP_ACT_ALLOW"}'
    with pytest.raises(Unsupported, match="seccomp=FILE: containers are traced here"):
        traced.containers.run("minirt/base", ["true"], security_opt=[profile])


def test_what_a_container_changed_becomes_a_layer(traced: Engine) -> None:
    """Docker diff tells it, and commit keeps it."""
    box = traced.containers.run("small", ["sh", "-c", "rm /made/here; echo n > /new"], detach=True)
    box.wait()
    assert [(row["Path"], row["Kind"]) for row in box.diff()] == [("/made", 0), ("/made/here", 2), ("/new", 1)]
    box.commit("changed")
    box.remove()
    assert traced.containers.run("changed", ["sh", "-c", "ls /made; cat /new"], remove=True) == b"n\n"
