"""A container's program: how it is found, what it gets, and how its end is told."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import pytest

from minirt.errors import CommandNotExecutable, CommandNotFound, InvalidSpec, SandboxError
from minirt.model.spec import Rlimit, User
from minirt.sandbox import Exit


def test_output_and_exit_code(bench: Any) -> None:
    """What the program writes goes into the caller's descriptors, and its exit code is told."""
    result = bench.run(bench.shell("echo out; echo err >&2; exit 7"))
    assert result.out == "out\nerr\n"
    assert result.exit == Exit(7)


def test_killed_by_a_signal(bench: Any) -> None:
    """A program that a signal ended has the exit code 128 + n, and the signal is named."""
    running = bench.start(bench.spec("sleep", "60"))
    running.kill(signal.SIGKILL)
    assert running.wait(timeout=5) == Exit(137, signal.SIGKILL)
    assert running.poll() == Exit(137, signal.SIGKILL)


def test_signals_reach_a_handler(bench: Any) -> None:
    """PID 1 receives the signals it handles, as with docker."""
    running = bench.start(bench.shell("trap 'exit 3' TERM; echo; while :; do sleep 0.05; done"))
    os.sched_yield()
    code = None
    for _ in range(50):
        running.kill(signal.SIGTERM)
        try:
            code = running.wait(timeout=0.1).code
            break
        except TimeoutError:
            continue
    assert code == 3


def test_standard_input(bench: Any) -> None:
    """The caller's descriptor is the program's input; without one it reads an end of file."""
    read_end, write_end = os.pipe()
    os.write(write_end, b"typed\n")
    os.close(write_end)
    result = bench.run(bench.spec("cat"), stdin=read_end)
    os.close(read_end)
    assert result.out == "typed\n"
    assert bench.run(bench.spec("cat")).out == ""


def test_environment_is_exactly_the_given_one(bench: Any) -> None:
    """Nothing of the engine's environment reaches the container."""
    environment = {"PATH": "/bin", "A": "1", "B": "ä b\nc"}
    result = bench.run(bench.spec("env", process={"env": environment}))
    assert result.out == "PATH=/bin\nA=1\nB=ä b\nc\n"


def test_working_directory_is_made_if_missing(bench: Any) -> None:
    """As docker does, a missing working directory is created."""
    assert bench.sh("pwd", process={"cwd": "/some/where"}) == "/some/where\n"
    assert bench.sh("pwd", process={"cwd": "/data"}) == "/data\n"


def test_only_standard_descriptors_are_open(bench: Any) -> None:
    """No descriptor of the engine or its helpers leaks into the program."""
    assert bench.run(bench.spec("ls", "/proc/self/fd")).out.split() == ["0", "1", "2", "3"]


def test_program_not_found_on_the_path(bench: Any) -> None:
    """The error names the program and the places looked at, with docker's exit code 127."""
    with pytest.raises(CommandNotFound, match=r'exec: "pyhton": executable file not found in \$PATH') as caught:
        bench.run(bench.spec("pyhton"))
    assert caught.value.exit_code == 127
    assert "/bin" in caught.value.cause


def test_program_path_not_found(bench: Any) -> None:
    """A path that is not there is not looked up in PATH."""
    with pytest.raises(CommandNotFound, match='exec: "/bin/nope": no such file or directory'):
        bench.run(bench.spec("/bin/nope"))


@pytest.mark.parametrize(
    ("content", "mode", "error", "words"),
    [
        ("#!/bin/sh\n", 0o644, CommandNotExecutable, "permission denied"),
        ("#!/usr/bin/python9\n", 0o755, CommandNotFound, "'/usr/bin/python9'"),
        ("#!/bin/sh\r\n", 0o755, CommandNotFound, "carriage return"),
        ("\x7fELFnonsense", 0o755, CommandNotExecutable, "exec format error"),
    ],
)
def test_program_that_cannot_run(bench: Any, content: str, mode: int, error: type, words: str) -> None:
    """Each way a file can fail to run has its own words."""
    root = bench.root()
    script = f"{root.upper}/script"
    with open(script, "w", newline="") as file:
        file.write(content)
    os.chmod(script, mode)
    with pytest.raises(error) as caught:
        bench.run(bench.spec("/script", root=root))
    assert words in caught.value.explain()


def test_a_directory_is_no_program(bench: Any) -> None:
    """Running a directory says so."""
    with pytest.raises(CommandNotExecutable, match="is a directory"):
        bench.run(bench.spec("/bin"))


def test_no_command(bench: Any) -> None:
    """An empty command is an error that says what to do."""
    with pytest.raises(SandboxError, match="no command"):
        bench.run(bench.spec())


def test_capabilities_are_dockers_default(bench: Any) -> None:
    """The program holds docker's default capabilities, as root of its container."""
    out = bench.sh("cat /proc/self/status")
    assert "CapEff:\t00000000a80425fb" in out
    assert "CapBnd:\t00000000a80425fb" in out
    assert "CapInh:\t0000000000000000" in out


def test_privileged_keeps_all_capabilities(bench: Any) -> None:
    """A privileged container holds everything its creator has."""
    line = next(row for row in bench.sh("cat /proc/self/status", privileged=True).splitlines() if "CapEff" in row)
    assert int(line.split()[1], 16) > 0x1F0_0000_0000


def test_unknown_capability(bench: Any) -> None:
    """A misspelt capability is refused by name."""
    with pytest.raises(InvalidSpec, match="CAP_FLY"):
        bench.run(bench.spec("true", process={"env": {}, "capabilities": ("CAP_FLY",)}))


def test_another_user(bench: Any) -> None:
    """The program runs with the ids asked for, and without capabilities."""
    if bench.sandbox.machine.single_id:
        pytest.skip(bench.sandbox.machine.subordinate_ids.why or "a single id was asked for")
    user = User(1000, 1000, (1000, 20))
    out = bench.sh("id; cat /proc/self/status", process={"env": {"PATH": "/bin"}, "user": user})
    assert out.startswith("uid=1000 gid=1000 groups=1000,20\n")
    assert "CapEff:\t0000000000000000" in out


def test_another_user_where_only_one_id_is_mapped(bench: Any) -> None:
    """The one id gets the name asked for; root's files seem its own, and it may not give them away."""
    if not bench.sandbox.machine.single_id:
        pytest.skip("this user has more ids")
    script = "id -u; id -g; touch /mine; ls -ln /mine; chown 5 /mine || echo refused; cat /proc/self/status"
    out = bench.sh(script, process={"env": {"PATH": "/bin"}, "user": User(1000, 1000)})
    assert out.split()[:6] == ["1000", "1000", "-rw-r--r--", "1", "1000", "1000"]
    assert "refused\n" in out
    assert "CapEff:\t0000000000000000" in out


def test_no_new_privileges(bench: Any) -> None:
    """The flag is set when asked for, and only then."""
    script = "cat /proc/self/status"
    assert "NoNewPrivs:\t0" in bench.sh(script)
    assert "NoNewPrivs:\t1" in bench.sh(script, process={"env": {"PATH": "/bin"}, "no_new_privileges": True})


def test_resource_limits(bench: Any) -> None:
    """Limits are set by their runtime-spec names."""
    limits = (Rlimit("RLIMIT_NOFILE", 99, 100), Rlimit("RLIMIT_CORE", 0, 0))
    assert bench.sh("ulimit -n; ulimit -c", process={"env": {}, "rlimits": limits}) == "99\n0\n"


def test_an_unknown_limit(bench: Any) -> None:
    """A misspelt limit is refused by name."""
    with pytest.raises(InvalidSpec, match="RLIMIT_FUN"):
        bench.run(bench.spec("true", process={"env": {}, "rlimits": (Rlimit("RLIMIT_FUN", 1, 1),)}))


def test_signal_mask_and_dispositions_are_default(bench: Any) -> None:
    """Python's own signal settings do not reach the program."""
    out = bench.sh("cat /proc/self/status")
    assert "SigBlk:\t0000000000000000" in out
    # glibc keeps signals 32 and 33 for itself: no program can set them, and posix_spawn(3), which make uses, leaves
    # them ignored in whatever it starts.
    ignored = int(out.partition("SigIgn:")[2].split()[0], 16)
    assert ignored & ~(0b11 << 31) == 0


def test_a_terminal(bench: Any) -> None:
    """With a terminal the program has one of its own, in the size it is given."""
    read_end, write_end = os.pipe()
    keys, typing = os.pipe()
    spec = bench.shell("read line; stty size; echo got $line; ls -l /proc/self/fd/0 /dev/console",
                       process={"env": {"PATH": "/bin"}, "terminal": True})  # fmt: skip
    running = bench.start(spec, stdin=keys, stdout=write_end)
    os.close(write_end)
    os.close(keys)
    running.resize(33, 77)
    os.write(typing, b"typed\r")
    with open(read_end, "rb") as output:
        text = output.read().decode()
    os.close(typing)
    assert running.wait(timeout=5).code == 0, text
    assert "33 77" in text and "got typed" in text and "/dev/pts/0" in text


def test_many_at_once(bench: Any) -> None:
    """Several threads start containers over one spawner, and each gets its own answer."""
    results: dict[int, tuple[str, int]] = {}

    def one(number: int) -> None:
        result = bench.run(spec[number])
        results[number] = result.out, result.exit.code

    spec = [bench.shell(f"echo {number}; exit {number}") for number in range(8)]
    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert results == {number: (f"{number}\n", number) for number in range(8)}


def test_system_calls_that_reach_outside_are_refused(bench: Any) -> None:
    """The seccomp filter is on, and not for a privileged container."""
    assert "Seccomp:\t2" in bench.sh("cat /proc/self/status")
    if not bench.sandbox.machine.single_id:
        assert "Seccomp:\t0" in bench.sh("cat /proc/self/status", privileged=True)


def test_owners_with_a_single_id(bench: Any) -> None:
    """Where there is only one id, changing owners is pretended, so that package managers work."""
    if not bench.sandbox.machine.single_id:
        assert bench.sh("touch /f; chown 5:6 /f; stat -c %u:%g /f") == "5:6\n"
    else:
        assert bench.sh("touch /f; chown 5:6 /f && stat -c %u:%g /f") == "0:0\n"
