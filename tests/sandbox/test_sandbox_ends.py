"""Whatever ends first (engine, spawner, monitor, container), nothing is left behind and the error is clear."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from minirt.errors import Cancelled, ContainerNotRunning, SandboxError, SpawnerLost, Unsupported
from minirt.linux.processes import is_alive
from minirt.model.cancel import Cancel
from minirt.model.spec import Attached, BindMount, Detached, IdMapping
from minirt.sandbox import Exit, Sandbox, read_state


def _eventually(condition: Any, seconds: float = 5) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not condition():
        time.sleep(0.02)
    return bool(condition())


def _gone(running: Any) -> bool:
    return not is_alive(running.pid, running.start_time)


def _parent(pid: int) -> int:
    text = Path(f"/proc/{pid}/stat").read_text()
    return int(text.rpartition(")")[2].split()[1])


@pytest.fixture
def own_sandbox(bench: Any) -> Any:
    """A sandbox whose spawner this test may kill."""
    sandbox = Sandbox(bench.sandbox.machine, bench.sandbox.home)
    yield sandbox
    sandbox.close()


def test_descriptors_of_the_engine_do_not_pile_up(bench: Any) -> None:
    """Starting, failing and calling leave no descriptor open."""
    bench.sh("true")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        bench.sh("true")
        with pytest.raises(SandboxError):
            bench.run(bench.spec("nope"))
        bench.sandbox.call("minirt.sandbox.selftest:echo", {"value": 1})
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_tied_container_ends_with_its_handle(bench: Any) -> None:
    """Closing the client's end kills a container that is tied to it."""
    running = bench.start(bench.spec("sleep", "60"))
    running.close()
    assert _eventually(lambda: _gone(running))


def test_all_processes_end_with_pid_1(bench: Any) -> None:
    """What the program left running in the background ends with it."""
    result = bench.run(bench.shell(f"(exec sleep 4{int(bench.id[:6], 16)}) & echo $!"))
    assert result.exit == Exit(0)
    number = f"4{int(bench.id[:6], 16)}".encode()
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                assert number not in Path(f"/proc/{entry}/cmdline").read_bytes()
            except OSError:
                continue


def test_a_killed_monitor_takes_its_container_along(bench: Any) -> None:
    """Nothing runs unwatched: PID 1 is killed with its monitor, and the client is told."""
    running = bench.start(bench.spec("sleep", "60"))
    os.kill(_parent(running.pid), signal.SIGKILL)
    with pytest.raises(SandboxError, match="monitor of container"):
        running.wait(timeout=5)
    assert _eventually(lambda: _gone(running))
    with pytest.raises(ContainerNotRunning):
        running.kill(signal.SIGTERM)


def test_a_killed_monitor_of_another_user(bench: Any) -> None:
    """Also after the program has changed its ids."""
    if bench.sandbox.machine.single_id:
        pytest.skip("this user has one id only")
    from minirt.model.spec import User

    running = bench.start(bench.spec("sleep", "60", process={"env": {"PATH": "/bin"}, "user": User(7, 7)}))
    os.kill(_parent(running.pid), signal.SIGKILL)
    assert _eventually(lambda: _gone(running))


def test_a_killed_spawner_is_replaced(bench: Any, own_sandbox: Sandbox) -> None:
    """Containers do not notice, and the next request starts a new spawner."""
    running = own_sandbox.start(bench.shell("read x; exit 5"), stdin=(pipe := os.pipe())[0])
    spawner = own_sandbox._spawner
    assert spawner is not None
    spawner.process.kill()
    spawner.process.wait()
    assert own_sandbox.call("minirt.sandbox.selftest:echo", {"value": 2}) == {"value": 2}
    os.write(pipe[1], b"\n")
    assert running.wait(timeout=5) == Exit(5)
    os.close(pipe[0])
    os.close(pipe[1])


def test_a_request_under_way_when_the_spawner_is_killed(bench: Any, own_sandbox: Sandbox) -> None:
    """A stopped spawner that is then killed takes the waiting request along, and the error says so."""
    own_sandbox.warm()
    spawner = own_sandbox._spawner
    assert spawner is not None
    os.kill(spawner.process.pid, signal.SIGSTOP)
    threading.Timer(0.2, spawner.process.kill).start()
    with pytest.raises(SpawnerLost) as caught:
        own_sandbox.call("minirt.sandbox.selftest:echo", {"value": 1})
    assert "try again" in caught.value.hint


def test_cancelled_wait_kills_a_tied_container(bench: Any) -> None:
    """An interrupted wait leaves no build step behind."""
    running = bench.start(bench.spec("sleep", "60"))
    with Cancel() as cancel:
        threading.Timer(0.1, cancel.cancel).start()
        began = time.monotonic()
        with pytest.raises(Cancelled):
            running.wait(cancel=cancel)
        assert time.monotonic() - began < 2
    assert _gone(running)


def test_wait_with_a_timeout(bench: Any) -> None:
    """A wait may give up without harm to the container."""
    running = bench.start(bench.spec("sleep", "60"))
    with pytest.raises(TimeoutError):
        running.wait(timeout=0.05)
    assert running.poll() is None
    running.kill(signal.SIGKILL)
    assert running.wait(timeout=5).code == 137


def test_several_threads_wait_for_one_container(bench: Any) -> None:
    """Each of them gets the same answer."""
    running = bench.start(bench.shell("sleep 0.2; exit 4"))
    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(running.wait(timeout=5).code)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [4, 4, 4, 4]


_ENGINE = """
import json, os, sys, time
from pathlib import Path
sys.path[:] = json.loads(sys.argv[1])
from minirt.linux.probe import probe
from minirt.model.spec import spec_from_json
from minirt.sandbox import Sandbox
sandbox = Sandbox(probe(Path(sys.argv[2])), Path(sys.argv[2]))
running = [sandbox.start(spec_from_json(spec)) for spec in json.loads(sys.argv[3])]
print(json.dumps([sandbox._spawner.process.pid, *([r.pid, r.start_time] for r in running)]), flush=True)
time.sleep(60)
"""


def test_a_killed_engine(bench: Any, tmp_path: Path) -> None:
    """Tied containers and the spawner end with the engine; the others live on and tell their own end."""
    from minirt.model.spec import spec_to_json

    (tmp_path / "shared").mkdir()
    detached, state_dir = bench.detached(
        "while [ ! -e /shared/stop ]; do sleep 0.05; done; echo done; exit 6",
        mounts=(BindMount(str(tmp_path / "shared"), "/shared"),),
    )
    specs = [spec_to_json(bench.spec("sleep", "60")), spec_to_json(detached)]
    engine = subprocess.Popen(
        [sys.executable, "-c", _ENGINE, json.dumps(sys.path), str(bench.sandbox.home), json.dumps(specs)],
        stdout=subprocess.PIPE,
    )
    assert engine.stdout is not None
    spawner, tied, free = json.loads(engine.stdout.readline())
    engine.kill()
    engine.wait()
    engine.stdout.close()
    assert _eventually(lambda: not is_alive(*tied)), "the tied container is left"
    assert _eventually(lambda: not os.path.exists(f"/proc/{spawner}/exe")), "the spawner is left"
    assert is_alive(*free)
    state = read_state(str(state_dir))
    assert state is not None and state["Status"] == "running" and state["Pid"] == free[0]
    (tmp_path / "shared" / "stop").touch()
    assert _eventually(lambda: (read_state(str(state_dir)) or {})["Status"] == "exited")
    assert (read_state(str(state_dir)) or {})["ExitCode"] == 6
    assert '"log": "done\\n"' in (state_dir / "log").read_text()


def test_closing_the_sandbox(bench: Any, own_sandbox: Sandbox) -> None:
    """The spawner is gone afterwards, and the sandbox can still be used: it starts another."""
    own_sandbox.warm()
    assert own_sandbox._spawner is not None
    pid = own_sandbox._spawner.process.pid
    own_sandbox.close()
    assert not os.path.exists(f"/proc/{pid}")
    assert own_sandbox.call("minirt.sandbox.selftest:echo", {"value": 3}) == {"value": 3}


def test_a_container_of_a_missing_layer(bench: Any, tmp_path: Path) -> None:
    """A root that cannot be mounted is named, and leaves nothing."""
    with pytest.raises(SandboxError, match="root file system") as caught:
        bench.run(bench.spec("true", root=bench.root(tmp_path / "gone")))
    assert "gone" in caught.value.cause


def test_failed_start_is_in_the_state(bench: Any) -> None:
    """A container whose program is missing stays ``created``, with docker's exit code and the reason."""
    spec, state_dir = bench.detached("true")
    from dataclasses import replace

    spec = replace(spec, process=replace(spec.process, argv=("nope",)), lifetime=Detached(str(state_dir)))
    with pytest.raises(SandboxError):
        bench.start(spec)
    state = read_state(str(state_dir))
    assert state is not None
    assert (state["Status"], state["ExitCode"]) == ("created", 127)
    assert "nope" in state["Error"]


def test_cancelled_before_it_runs(bench: Any) -> None:
    """A start that is given up leaves no container, not even a detached one."""
    spec, _ = bench.detached("sleep 600")
    with Cancel() as cancel:
        cancel.cancel()
        with pytest.raises(Cancelled):
            bench.sandbox.start(spec, cancel=cancel)


def test_other_id_maps(bench: Any) -> None:
    """Maps other than the machine's are refused rather than ignored."""
    spec = bench.spec("true", uid_map=(IdMapping(0, 5, 1),), gid_map=(IdMapping(0, 5, 1),))
    with pytest.raises(Unsupported, match="id maps"):
        bench.start(spec)


def test_many_containers_one_after_another(bench: Any) -> None:
    """Nothing piles up in the spawner: no descriptor, no process."""
    root = bench.root()
    bench.run(bench.spec("true", root=root))
    spawner = bench.sandbox._spawner.process.pid
    before = len(os.listdir(f"/proc/{spawner}/fd"))
    for _ in range(30):
        assert bench.start(bench.spec("true", root=root)).wait(timeout=10) == Exit(0)
    assert len(os.listdir(f"/proc/{spawner}/fd")) == before
    children = Path(f"/proc/{spawner}/task/{spawner}/children").read_text().split()
    assert len(children) <= 2  # the spare, and a monitor that is just ending


def test_a_killed_client_ends_what_it_was_attached_to(bench: Any, tmp_path: Path) -> None:
    """A container in the foreground ends with its client, and its state still tells the end."""
    from dataclasses import replace

    from minirt.model.spec import spec_to_json

    spec, state_dir = bench.detached("sleep 60")
    spec = replace(spec, lifetime=Attached(str(state_dir)))
    engine = subprocess.Popen(
        [
            sys.executable,
            "-c",
            _ENGINE,
            json.dumps(sys.path),
            str(bench.sandbox.home),
            json.dumps([spec_to_json(spec)]),
        ],
        stdout=subprocess.PIPE,
    )
    assert engine.stdout is not None
    _, (pid, started) = json.loads(engine.stdout.readline())
    engine.kill()
    engine.wait()
    engine.stdout.close()
    assert _eventually(lambda: not is_alive(pid, started)), "the container is left"
    assert _eventually(lambda: (read_state(str(state_dir)) or {})["Status"] == "exited")
    assert (read_state(str(state_dir)) or {})["ExitCode"] == 137
