"""A second program in a running container."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from minirt.errors import CommandNotFound, ContainerNotRunning
from minirt.linux.processes import is_alive
from minirt.model.spec import LoopbackNetwork, Process, User
from minirt.sandbox import Exit, Running


@pytest.fixture
def box(bench: Any) -> Iterator[Running]:
    """A running container."""
    running = bench.start(bench.spec("sleep", "600", hostname="box", network=LoopbackNetwork()))
    yield running
    if running.poll() is None:
        # It may end in this very moment, as some tests want it to.
        with contextlib.suppress(ContainerNotRunning):
            running.kill(signal.SIGKILL)
        running.wait(timeout=5)


def _exec(bench: Any, box: Running, *argv: str, **fields: Any) -> tuple[Exit, str]:
    process = Process(argv, **{"env": {"PATH": "/bin"}, **fields})
    read_end, write_end = os.pipe()
    try:
        joined = bench.sandbox.exec(box.pid, box.start_time, process, name=box.id, stdout=write_end, stderr=write_end)
    finally:
        os.close(write_end)
    with open(read_end, "rb") as output:
        text = output.read().decode()
    return joined.wait(timeout=5), text


def test_it_sees_what_the_container_sees(bench: Any, box: Running) -> None:
    """Same files, processes, host name and network; its own exit code."""
    script = "cat /proc/1/cmdline /proc/sys/kernel/hostname; ls /sys/class/net; echo $$ > /dev/shm/pid; exit 3"
    end, out = _exec(bench, box, "sh", "-c", script)
    assert end == Exit(3)
    assert out == "sleep\x00600\x00box\nlo\n"
    assert int(_exec(bench, box, "cat", "/dev/shm/pid")[1]) > 1


def test_directory_user_and_rights(bench: Any, box: Running) -> None:
    """Working directory, user and capabilities are its own."""
    end, out = _exec(bench, box, "sh", "-c", "pwd; cat /proc/self/status", cwd="/data", capabilities=("CAP_KILL",))
    assert end == Exit(0)
    assert out.startswith("/data\n") and "CapEff:\t0000000000000020" in out
    if not bench.sandbox.machine.single_id:
        assert "uid=5 gid=6" in _exec(bench, box, "id", user=User(5, 6))[1]


def test_a_program_that_is_not_there(bench: Any, box: Running) -> None:
    """The error is the same as for a container's first program."""
    with pytest.raises(CommandNotFound, match="executable file not found"):
        _exec(bench, box, "nope")


def test_a_terminal(bench: Any, box: Running) -> None:
    """A second program may have a terminal, too."""
    end, out = _exec(bench, box, "sh", "-c", "test -t 0 && test -t 1 && echo terminal", terminal=True)
    assert (end, out) == (Exit(0), "terminal\r\n")


def test_it_ends_with_the_container(bench: Any, box: Running) -> None:
    """When PID 1 ends, the second program is killed."""
    process = Process(("sleep", "600"), env={"PATH": "/bin"})
    joined = bench.sandbox.exec(box.pid, box.start_time, process, name=box.id)
    box.kill(signal.SIGKILL)
    assert joined.wait(timeout=5) == Exit(137, signal.SIGKILL)


def test_it_ends_with_its_client_unless_detached(bench: Any, box: Running) -> None:
    """``docker exec -d`` lives on without its client."""
    process = Process(("sleep", "600"), env={"PATH": "/bin"})
    tied = bench.sandbox.exec(box.pid, box.start_time, process, name=box.id)
    free = bench.sandbox.exec(box.pid, box.start_time, process, name=box.id, detach=True)
    tied.close()
    free.close()
    import time

    deadline = time.monotonic() + 5
    while is_alive(tied.pid, tied.start_time) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_alive(tied.pid, tied.start_time)
    assert is_alive(free.pid, free.start_time)


def test_a_container_that_is_gone(bench: Any, box: Running) -> None:
    """Its process id alone is not enough: another process may have it by now."""
    with pytest.raises(ContainerNotRunning):
        bench.sandbox.exec(os.getpid(), box.start_time, Process(("true",)), name=box.id)
