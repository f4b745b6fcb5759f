"""Limits, freezing and counting by control groups; restart policies; health checks; --init; the log's size."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from minirt.errors import Unsupported
from minirt.linux.cgroup_tree import Tree, find_tree
from minirt.linux.cgroups import Group
from minirt.model.spec import Detached, HealthCheck, LogLimits, Resources
from minirt.sandbox import Exit, read_state
from minirt.sandbox.restarts import forbid, parse_policy, write_policy


def _eventually(condition: Any, seconds: float = 8) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not condition():
        time.sleep(0.02)
    return bool(condition())


def _state(state_dir: Path) -> dict[str, Any]:
    return read_state(str(state_dir)) or {}


@pytest.fixture
def grouped(bench: Any) -> Any:
    """Makes a spec live in a control group of its own; skipped where there are none."""
    if not bench.sandbox.machine.cgroups.ok:
        pytest.skip(bench.sandbox.machine.cgroups.why)
    name = f"minirt/test-{bench.id[:12]}"
    tree = find_tree()
    assert tree is not None
    yield lambda spec, **limits: replace(spec, cgroup=name, resources=Resources(**limits))
    assert _eventually(lambda: not Group(tree, name).exists), "a control group is left"


def test_limits_are_set_before_the_program_runs(bench: Any, grouped: Any) -> None:
    """What the kernel says about the group while the container runs is what was asked for."""
    spec, _ = bench.detached("sleep 60")
    limits = {"memory": 64 << 20, "nano_cpus": 500_000_000, "pids_limit": 20, "cpu_shares": 512}
    spec = grouped(spec, **limits)
    running = bench.start(spec)
    group = Group(find_tree(), spec.cgroup)  # type: ignore[arg-type]
    assert running.pid in group.members()
    usage = group.usage()
    assert usage.memory_limit == 64 << 20
    assert usage.memory > 0 and usage.cpu > 0 and usage.pids >= 1
    running.kill(signal.SIGKILL)
    running.wait(timeout=5)


def test_too_many_processes_are_refused(bench: Any, grouped: Any) -> None:
    """--pids-limit stops a fork bomb inside, and nothing else."""
    script = "i=0; while [ $i -lt 30 ]; do sleep 5 & i=$((i+1)); done; echo all"
    result = bench.run(grouped(bench.shell(script), pids_limit=10))
    assert "all" not in result.out and "fork" in result.out.lower()


def test_too_much_memory_is_an_oom_kill(bench: Any, grouped: Any) -> None:
    """A program that wants more than its memory is killed, and the state says why."""
    spec, state_dir = bench.detached("x=a; while :; do x=$x$x; done")
    spec = grouped(spec, memory=16 << 20, memory_swap=16 << 20)
    assert bench.start(spec).wait(timeout=20).code in (137, 2)
    assert _state(state_dir)["OOMKilled"] is True


def test_a_limit_without_a_group_is_refused(bench: Any) -> None:
    """Without control groups a limit is never just left out."""
    with pytest.raises(Unsupported, match="control group"):
        bench.start(replace(bench.shell("true"), resources=Resources(memory=1 << 24)))


def test_freezing_stops_every_process(bench: Any, grouped: Any) -> None:
    """No process of a frozen group moves; thawed, all go on."""
    spec, state_dir = bench.detached("while :; do echo x; sleep 0.02; done")
    spec = grouped(spec)
    running = bench.start(spec)
    group = Group(find_tree(), spec.cgroup)  # type: ignore[arg-type]
    assert _eventually(lambda: (state_dir / "log").stat().st_size)
    assert group.freeze(True)
    time.sleep(0.1)
    size = (state_dir / "log").stat().st_size
    time.sleep(0.2)
    assert (state_dir / "log").stat().st_size == size
    assert group.freeze(False)
    assert _eventually(lambda: (state_dir / "log").stat().st_size > size)
    running.kill(signal.SIGKILL)
    running.wait(timeout=5)


def test_the_second_version_writes_its_own_files(tmp_path: Path) -> None:
    """One tree, controllers handed down, and the values in the form of version 2."""
    for directory in (tmp_path, tmp_path / "minirt", tmp_path / "minirt" / "c"):
        directory.mkdir(exist_ok=True)
        for name in ("memory.max", "memory.swap.max", "cpu.max", "cpu.weight", "pids.max", "cgroup.procs"):
            (directory / name).touch()
        (directory / "cgroup.subtree_control").touch()
        (directory / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    tree = Tree(2, {"": str(tmp_path)})
    assert tree.controllers == ("memory", "cpu", "cpuset", "pids", "blkio")
    group = Group(tree, "minirt/c")
    group.create()
    group.limit(Resources(memory=1 << 20, memory_swap=-1, nano_cpus=1_500_000_000, cpu_shares=1024, pids_limit=7))
    own = tmp_path / "minirt" / "c"
    read = {name: (own / name).read_text() for name in ("memory.max", "memory.swap.max", "cpu.max", "pids.max")}
    assert read == {"memory.max": "1048576", "memory.swap.max": "max", "cpu.max": "150000 100000", "pids.max": "7"}
    assert (own / "cpu.weight").read_text() == "39"
    (own / "memory.events").write_text("low 0\noom 2\noom_kill 1\n")
    assert group.oom_kills() == 1


def test_the_second_versions_freezer(bench: Any) -> None:
    """Where the machine has a tree of version 2 beside the first, its freezer is tried for real."""
    place = next(
        (p for p in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup") if os.access(f"{p}/cgroup.procs", os.W_OK)), ""
    )
    if not place or not os.path.exists(f"{place}/cgroup.controllers"):
        pytest.skip("no writable tree of version 2")
    group = Group(Tree(2, {"": place}), f"minirt-test-{bench.id[:12]}")
    running = bench.start(bench.spec("sleep", "60"))
    os.mkdir(group.directories[""])
    try:
        group.add(running.pid)
        assert group.freeze(True) and group.members() == [running.pid]
        assert group.freeze(False)
    finally:
        running.kill(signal.SIGKILL)
        running.wait(timeout=5)
        assert group.remove(patience=2)


def test_a_failing_program_is_started_again_as_often_as_asked(bench: Any) -> None:
    """on-failure:2 makes three runs with one log; the state counts the restarts and ends with the last code."""
    spec, state_dir = bench.detached("echo run; exit 3")
    write_policy(str(state_dir), parse_policy("on-failure:2"))
    assert bench.start(spec).wait(timeout=5) == Exit(3)
    assert _eventually(lambda: _state(state_dir)["Status"] == "exited")
    assert (_state(state_dir)["RestartCount"], _state(state_dir)["ExitCode"]) == (2, 3)
    assert (state_dir / "log").read_text().count("run") == 3


def test_a_stopped_container_is_not_started_again(bench: Any) -> None:
    """Also while it waits for its next start."""
    spec, state_dir = bench.detached("exit 0")
    write_policy(str(state_dir), parse_policy("always"))
    bench.start(spec)
    assert _eventually(lambda: _state(state_dir).get("RestartCount", 0) >= 2)
    forbid(str(state_dir))
    assert _eventually(lambda: _state(state_dir)["Status"] == "exited")


def test_health_is_told_in_the_state(bench: Any) -> None:
    """starting, healthy after a check that succeeds, unhealthy after so many failures; the output is kept."""
    check = HealthCheck(("/bin/sh", "-c", "echo checked; test -e /well"), interval=0.1, timeout=2, retries=2)
    spec, state_dir = bench.detached("touch /well; sleep 60")
    running = bench.start(replace(spec, health=check))
    assert _state(state_dir)["Health"]["Status"] in ("starting", "healthy")
    assert _eventually(lambda: _state(state_dir)["Health"]["Status"] == "healthy")
    assert _state(state_dir)["Health"]["Log"][-1]["Output"] == "checked\n"
    killer = bench.sandbox.exec(running.pid, running.start_time, replace(spec.process, argv=("rm", "-f", "/well")))
    killer.wait(timeout=5)
    assert _eventually(lambda: _state(state_dir)["Health"]["Status"] == "unhealthy")
    assert _state(state_dir)["Health"]["FailingStreak"] >= 2
    running.kill(signal.SIGKILL)
    assert running.wait(timeout=5).code == 137


def test_a_check_that_hangs_is_ended(bench: Any) -> None:
    """After its timeout it counts as failed, and does not run on."""
    check = HealthCheck(("/bin/sleep", "77"), interval=0.05, timeout=0.2, retries=1)
    spec, state_dir = bench.detached("sleep 60")
    running = bench.start(replace(spec, health=check))
    assert _eventually(lambda: _state(state_dir)["Health"]["Status"] == "unhealthy")
    assert "exceeded timeout" in _state(state_dir)["Health"]["Log"][0]["Output"]
    running.kill(signal.SIGKILL)
    running.wait(timeout=5)


@pytest.mark.parametrize("attempt", range(4))
def test_a_check_that_dies_with_its_container_tells_nothing_of_it(bench: Any, attempt: int) -> None:
    """Killed by the container's own end it has not failed: the container ends with the health that it had."""
    script = "test ! -e /tmp/slow || { touch /tmp/begun; sleep 60; }"
    check = HealthCheck(("/bin/sh", "-c", script), interval=0.05, timeout=30, retries=1)
    spec, state_dir = bench.detached("touch /tmp/slow; until test -e /tmp/begun; do sleep 0.05; done; exit 3")
    assert bench.start(replace(spec, health=check)).wait(timeout=10).code == 3
    assert _eventually(lambda: _state(state_dir)["Status"] == "exited")
    assert _state(state_dir)["Health"]["Status"] in ("starting", "healthy")
    assert all(result["ExitCode"] == 0 for result in _state(state_dir)["Health"]["Log"])


def test_init_reaps_and_hands_on_signals(bench: Any) -> None:
    """With `init` the program is not PID 1, its exit code is the container's, and SIGTERM reaches it."""
    assert bench.run(replace(bench.shell("echo $$; exit 7"), init=True)).out != "1\n"
    assert bench.run(replace(bench.shell("exit 7"), init=True)).exit == Exit(7)
    spec, state_dir = bench.detached("trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done")
    running = bench.start(replace(spec, init=True))
    assert _eventually(lambda: (state_dir / "log").stat().st_size)
    running.kill(signal.SIGTERM)
    assert running.wait(timeout=5) == Exit(9)
    # An orphan is reaped: its number is gone although its parent never waited.
    out = bench.run(
        replace(bench.shell("(sleep 0.1 & echo $! > /tmp/p); sleep 0.5; ls /proc/$(cat /tmp/p) 2>&1"), init=True)
    ).out
    assert "No such file" in out


def test_inits_program_cannot_be_opened_from_inside(bench: Any) -> None:
    """/proc/1/exe would be the machine's Python."""
    out = bench.run(replace(bench.shell("head -c 4 /proc/1/exe 2>&1; ls -l /proc/1/fd 2>&1"), init=True)).out
    assert "ermission denied" in out and "ELF" not in out


def test_commands_join_a_container_with_init(bench: Any) -> None:
    """Exec works there too."""
    spec, _ = bench.detached("sleep 60")
    running = bench.start(replace(spec, init=True))
    joined = bench.sandbox.exec(running.pid, running.start_time, replace(spec.process, argv=("true",)))
    assert joined.wait(timeout=5) == Exit(0)
    running.kill(signal.SIGKILL)
    running.wait(timeout=5)


def test_the_log_has_a_greatest_size(bench: Any) -> None:
    """max-size and max-file: the newest lines are there, in files no larger, of which there are no more."""
    spec, state_dir = bench.detached("i=0; while [ $i -lt 300 ]; do echo line $i; i=$((i+1)); done")
    spec = replace(spec, log=LogLimits(4000, 3), lifetime=Detached(str(state_dir)))
    bench.start(spec).wait(timeout=5)
    files = sorted(path.name for path in state_dir.glob("log*"))
    assert files == ["log", "log.1", "log.2"]
    assert all((state_dir / name).stat().st_size <= 4000 for name in files)
    assert json.loads((state_dir / "log").read_text().splitlines()[-1])["log"] == "line 299\n"
