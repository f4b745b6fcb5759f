"""The program ``minirt``, as a shell starts it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from minirt.engine import Engine

BASE = "minirt/base"
PROGRAM = [sys.executable, "-m", "minirt"]


def _environment(home: Path, **more: str) -> dict[str, str]:
    return {**os.environ, "MINIRT_HOME": str(home), **more}


def _run(home: Path, *argv: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *argv],
        env=_environment(home, **more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_runs(engine: Engine) -> None:
    """A container from a shell: its output, its exit code, the variables of the shell."""
    done = _run(engine.home, "run", "--rm", "-e", "A", BASE, "sh", "-c", "echo $A; exit 5", A="from the shell")
    assert (done.returncode, done.stdout, done.stderr) == (5, "from the shell\n", "")


def test_another_process_sees_the_same(engine: Engine) -> None:
    """A detached container outlives the program that started it, and any other controls it."""
    identity = _run(engine.home, "run", "-d", "--name", "one", BASE, "sleep", "60").stdout.strip()
    assert engine.containers.get("one").id == identity
    assert engine.containers.get("one").status == "running"
    assert _run(engine.home, "ps", "-q", "--no-trunc").stdout.strip() == identity
    engine.containers.get("one").remove(force=True)
    assert _run(engine.home, "ps", "-aq").stdout == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt(engine: Engine, number: int) -> None:
    """Ctrl-C ends the container; nothing of it is left, and the exit code names the signal."""
    program = subprocess.Popen(
        [*PROGRAM, "run", "--rm", BASE, "sh", "-c", "echo ready; sleep 60"],
        env=_environment(engine.home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert program.stdout is not None
    assert program.stdout.readline() == b"ready\n"
    program.send_signal(number)
    _, errors = program.communicate(timeout=15)
    assert (program.returncode, errors) == (128 + number, b"minirt: interrupted\n")
    assert engine.containers.list(all=True) == []


def test_starter_that_is_killed(engine: Engine) -> None:
    """A container of run --rm whose starter was killed runs on, and is removed when it has ended."""
    program = subprocess.Popen(
        [*PROGRAM, "run", "--rm", "--name", "one", BASE, "sh", "-c", "echo ready; sleep 0.5"],
        env=_environment(engine.home),
        stdout=subprocess.PIPE,
    )
    assert program.stdout is not None
    assert program.stdout.readline() == b"ready\n"
    program.kill()
    program.wait()
    assert engine.containers.get("one").status == "running"
    end = time.monotonic() + 10
    while engine.containers.list(all=True) and time.monotonic() < end:
        time.sleep(0.05)
    assert engine.containers.list(all=True) == []


def test_broken_pipe(engine: Engine) -> None:
    """A reader that goes away ends the command without a word, and the container with it."""
    program = subprocess.Popen(
        [*PROGRAM, "run", "--rm", BASE, "sh", "-c", "while echo y; do :; done"],
        env=_environment(engine.home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert program.stdout is not None
    assert program.stdout.readline() == b"y\n"
    program.stdout.close()
    assert program.stderr is not None
    assert program.stderr.read() == b""
    assert program.wait(timeout=15) == 141
    assert engine.containers.list(all=True) == []


def test_help_is_quick(tmp_path: Path) -> None:
    """--help makes no home and loads neither the engine nor what it stands on."""
    code = "import sys; from minirt.cli import main; main(); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code, "--help"],
        env=_environment(tmp_path / "home"),
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stderr.split())
    assert not loaded & {"minirt.engine", "click", "urllib3", "minirt.store", "minirt.dockerfile", "asyncio"}
    assert not (tmp_path / "home").exists()


def test_bad_environment(tmp_path: Path) -> None:
    """A setting that cannot be right is a sentence, not a traceback."""
    done = _run(tmp_path, "images", MINIRT_SNAPSHOTTER="zfs")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: invalid MINIRT_SNAPSHOTTER 'zfs'\n")


def test_home_that_cannot_be(tmp_path: Path) -> None:
    """A home that is a file is told as such."""
    (tmp_path / "file").touch()
    done = _run(tmp_path / "file", "images")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert str(tmp_path / "file") in done.stderr


def test_program_that_outlives_its_reader_of_errors(engine: Engine) -> None:
    """Lists into a closed pipe are quiet too."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as gone:
        done = subprocess.run(
            [*PROGRAM, "images"], env=_environment(engine.home), stdout=gone, stderr=subprocess.PIPE, check=False
        )
    assert (done.returncode, done.stderr) == (141, b"")


def test_output_comes_as_it_is_written(engine: Engine) -> None:
    """A line is there before the program ends."""
    program = subprocess.Popen(
        [*PROGRAM, "run", "--rm", "-i", BASE, "sh", "-c", "echo first; read x; echo got $x"],
        env=_environment(engine.home),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert program.stdin is not None
    assert program.stdout is not None
    assert program.stdout.readline() == b"first\n"
    time.sleep(0.05)
    program.stdin.write(b"it\n")
    program.stdin.close()
    assert program.stdout.read() == b"got it\n"
    assert program.wait(timeout=10) == 0
