"""Many at once, too much of something, and processes that are stopped or killed from outside."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from minirt.engine import Engine
from minirt.engine.checking import check_home
from minirt.errors import HomeUnusable, MinirtError
from tests.faults.conftest import SmallDisk

BASE = "minirt/base"
_MANY = 50


def _until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


def _monitor(engine: Engine, name: str) -> int:
    return engine.lifecycle.state(engine.lifecycle.shelf.get(name)).monitor_pid


def test_fifty_at_once(engine: Engine) -> None:
    """Fifty containers start together, each logs its own line, all are listed, all stop together, nothing is left."""

    def start(number: int) -> str:
        script = f"trap 'exit 0' TERM; echo I am {number}; while :; do sleep 0.1; done"
        return engine.containers.run(BASE, ["sh", "-c", script], name=f"many-{number}", detach=True).id

    with ThreadPoolExecutor(8) as pool:
        identities = list(pool.map(start, range(_MANY)))
        boxes = [engine.containers.get(identity) for identity in identities]
        assert len({box.id for box in engine.containers.list()} & set(identities)) == _MANY
        _until(lambda: all(box.logs() for box in boxes), 60)
        assert [box.logs().decode() for box in boxes] == [f"I am {number}\n" for number in range(_MANY)]
        list(pool.map(lambda box: box.stop(timeout=20), boxes))
        assert {box.status for box in boxes} == {"exited"}
        list(pool.map(lambda box: box.remove(), boxes))
    assert not {box.id for box in engine.containers.list(all=True)} & set(identities)


def test_several_programs_over_one_home(engine: Engine) -> None:
    """Four programs create, start and remove in one home at once; each sees its own come and go."""
    program = (
        "import sys; from minirt.engine import Engine\n"
        "with Engine(sys.argv[1]) as engine:\n"
        "    for number in range(6):\n"
        "        words = f'{sys.argv[2]}-{number}'\n"
        "        box = engine.containers.run('minirt/base', ['echo', words], name=words, detach=True)\n"
        "        box.wait(); assert box.logs().decode() == words + chr(10), box.logs()\n"
        "        assert box.id in {one.id for one in engine.containers.list(all=True)}; box.remove()\n"
    )
    command = [sys.executable, "-c", program, str(engine.home)]
    running = [subprocess.Popen([*command, f"p{number}"], stderr=subprocess.PIPE, text=True) for number in range(4)]
    for process in running:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
    assert check_home(engine) == ()


def test_memory_that_runs_out(engine: Engine) -> None:
    """The kernel ends the program at its limit: exit code 137, and inspect says that it was for memory."""
    if "memory" not in engine.machine.controllers:
        pytest.skip(f"no control over memory here: {engine.machine.cgroups.why}")
    box = engine.containers.run(BASE, ["sh", "-c", "x=y; while :; do x=$x$x; done"], mem_limit="24m", detach=True)
    assert box.wait()["StatusCode"] == 137
    assert box.attrs["State"]["OOMKilled"] is True
    other = engine.containers.run(BASE, ["sleep", "600"], mem_limit="24m", detach=True)
    other.kill()
    assert other.wait()["StatusCode"] == 137
    assert other.attrs["State"]["OOMKilled"] is False


def test_a_fork_bomb(engine: Engine) -> None:
    """With --pids-limit it hurts nobody but itself: the machine forks on, and the container can be removed."""
    if "pids" not in engine.machine.controllers:
        pytest.skip(f"no control over pids here: {engine.machine.cgroups.why}")
    bomb = "b() { b | b & }; b; sleep 600"
    box = engine.containers.run(BASE, ["sh", "-c", bomb], pids_limit=40, detach=True)
    time.sleep(1.0)
    assert subprocess.run(["true"], check=True).returncode == 0
    assert engine.containers.run(BASE, ["echo", "well"], remove=True) == b"well\n"
    box.remove(force=True)
    assert check_home(engine) == ()


def test_no_descriptors_left(engine: Engine) -> None:
    """A program that has used up its descriptors is told so, and goes on when it has some again."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held: list[int] = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        with pytest.raises(OSError, match="Too many open files"):
            while True:
                held.append(os.open("/dev/null", os.O_RDONLY))
        with pytest.raises((MinirtError, OSError), match=r"(?i)too many open files|descriptor"):
            engine.containers.run(BASE, ["true"], remove=True)
    finally:
        for fd in held:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert engine.containers.run(BASE, ["echo", "well"], remove=True) == b"well\n"
    assert check_home(engine) == ()


def test_a_stopped_monitor(engine: Engine) -> None:
    """SIGSTOP to a monitor holds up nobody who asks: ps, inspect and logs answer, and stop ends it."""
    box = engine.containers.run(BASE, ["sh", "-c", "echo here; sleep 600"], name="held", detach=True)
    _until(lambda: box.logs() == b"here\n")
    monitor = _monitor(engine, "held")
    os.kill(monitor, signal.SIGSTOP)
    try:
        began = time.monotonic()
        assert (box.status, box.logs()) == ("running", b"here\n")
        assert [one.name for one in engine.containers.list()] == ["held"]
        assert time.monotonic() - began < 10
        box.stop(timeout=0)  # which wakes it, as somebody has to tell the end
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(monitor, signal.SIGCONT)
    assert box.status == "exited"
    # Process 1 of a pid namespace ignores SIGTERM. In a pod the program is an ordinary process: it ends by SIGTERM, or
    # by the SIGKILL that follows at once, whichever it meets first.
    assert box.attrs["State"]["ExitCode"] in ((137,) if engine.machine.isolation == "namespaces" else (137, 143))


def test_a_killed_monitor(engine: Engine) -> None:
    """After kill -9 of its monitor the container is gone and said to be: exited, 137, why, and when."""
    box = engine.containers.run(BASE, ["sleep", "600"], name="orphan", detach=True)
    pid = box.attrs["State"]["Pid"]
    os.kill(_monitor(engine, "orphan"), signal.SIGKILL)
    _until(lambda: not Path(f"/proc/{pid}").exists())
    assert [one.name for one in engine.containers.list()] == []
    state = box.attrs["State"]
    assert (state["Status"], state["ExitCode"], state["Running"]) == ("exited", 137, False)
    assert "monitor was killed" in state["Error"]
    assert state["FinishedAt"] > state["StartedAt"]
    now = time.time_ns()
    told = [event for event in engine.journal.read() if event["Actor"]["ID"] == box.id and event["Action"] == "die"]
    assert [event["Actor"]["Attributes"]["exitCode"] for event in told] == ["137"] and told[0]["timeNano"] <= now
    box.start()
    assert box.status == "running"


def test_a_machine_that_was_switched_off(engine: Engine) -> None:
    """What another boot left as running has ended, also if a process of this boot has that very id and time."""
    box = engine.containers.run(BASE, ["sleep", "600"], name="before", detach=True)
    path = engine.home / "containers" / box.id / "state.json"
    text = path.read_text()
    path.write_text(text.replace(json.loads(text)["BootID"], "of-another-boot"))
    try:
        assert [one.name for one in engine.containers.list()] == []
        assert (box.status, box.attrs["State"]["ExitCode"]) == ("exited", 137)
    finally:
        path.write_text(text)
    assert box.status == "running"


def test_a_clock_that_goes_back(engine: Engine) -> None:
    """A container whose start lies in the future, as the clock was set back, is listed, inspected and stopped."""
    box = engine.containers.run(BASE, ["sleep", "600"], name="early", detach=True)
    for name in ("config.json", "state.json"):
        path = engine.home / "containers" / box.id / name
        text = path.read_text()
        path.write_text(text.replace(f'"{time.gmtime().tm_year}-', f'"{time.gmtime().tm_year + 1}-'))
    assert box.status == "running"
    from minirt.testing.commands import Teller

    said = Teller(lambda: engine, engine.home).ok("ps", "--format", "{{.Status}} {{.RunningFor}}")
    assert said.out.startswith("Up ") and "-" not in said.out
    box.stop(timeout=0)
    assert box.status == "exited"


def test_a_home_that_was_removed(tmp_path: Path) -> None:
    """Containers of a home that somebody removed end when they are told to, and hold nothing up."""
    with Engine(tmp_path / "home") as engine:
        box = engine.containers.run(BASE, ["sleep", "600"], detach=True)
        state = engine.lifecycle.state(engine.lifecycle.shelf.get(box.id))
        shutil.rmtree(tmp_path / "home", ignore_errors=True)
        os.kill(state.pid, signal.SIGKILL)
        _until(lambda: not Path(f"/proc/{state.monitor_pid}").exists())
    shutil.rmtree(tmp_path / "home", ignore_errors=True)
    with Engine(tmp_path / "home") as fresh:
        assert fresh.containers.list(all=True) == []
        assert fresh.containers.run(BASE, ["echo", "anew"], remove=True) == b"anew\n"


def test_a_home_that_becomes_read_only(small_disk: SmallDisk) -> None:
    """What is there can be looked at, what would write says why it cannot; containers run on."""
    engine = small_disk.engine
    box = engine.containers.run(BASE, ["sleep", "600"], name="on", detach=True)
    place = str(small_disk.place)
    # A mount over itself, as a disk with files that are open for writing cannot become read-only otherwise.
    subprocess.run(["mount", "--bind", place, place], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", place], check=True)
    try:
        with Engine(small_disk.place / "home") as later:
            assert [one.status for one in later.containers.list()] == ["running"]
            assert [image.tags for image in later.images.list()] == [[f"{BASE}:latest"]]
            with pytest.raises(HomeUnusable, match=r"(?i)read-only"):
                later.containers.create(BASE, ["true"])
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)
    box.stop(timeout=0)
    assert box.status == "exited"
    assert check_home(engine) == ()


def test_two_builds_while_others_prune(engine: Engine, tmp_path: Path) -> None:
    """A prune under way takes nothing from builds under way."""
    (tmp_path / "Dockerfile").write_text(f"ARG N\nFROM {BASE}\nARG N\nRUN echo $N > /n\n")
    over = threading.Event()

    def prune() -> None:
        while not over.is_set():
            engine.images.prune()

    thread = threading.Thread(target=prune)
    thread.start()
    try:
        for number in range(4):
            args = {"N": str(number)}
            engine.images.build(path=str(tmp_path), tag=f"kept:{number}", buildargs=args, nocache=True)
    finally:
        over.set()
        thread.join()
    for number in range(4):
        assert engine.containers.run(f"kept:{number}", ["cat", "/n"], remove=True) == f"{number}\n".encode()
