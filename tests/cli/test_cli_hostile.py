"""The program in a hostile place: closed streams, a full disk behind them, bytes that are no text, odd homes."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from minirt.engine import Engine

BASE = "minirt/base"
PROGRAM = [sys.executable, "-c", "import sys; from minirt.cli import main; sys.exit(main())"]
FUNCTION = 'minirt() { "$PYTHON" -c "$MAIN" "$@"; }'


def _shell(script: str, home: Path, *more: bytes, **variables: str) -> subprocess.CompletedProcess[bytes]:
    """Runs ``script``, in which ``minirt`` is the program, $1 … are ``more``, and ``variables`` are set."""
    return subprocess.run(
        ["sh", "-c", f"{FUNCTION}; {script}", "sh", *more],
        env={**os.environ, "MINIRT_HOME": str(home), "PYTHON": PROGRAM[0], "MAIN": PROGRAM[2], **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("closed", "out"), [("<&-", b"hi\n"), (">&-", b""), ("2>&-", b"hi\n"), ("<&- 2>&-", b"hi\n"), ("<&- >&- 2>&-", b"")]
)
def test_closed_streams(engine: Engine, closed: str, out: bytes) -> None:
    """A shell may start programs without any of their streams."""
    done = _shell(f"minirt run --rm {BASE} echo hi {closed}", engine.home)
    assert (done.returncode, done.stdout, done.stderr) == (0, out, b"")


def test_closed_input_is_empty_input(engine: Engine) -> None:
    """No file of ours gets the number 0 by chance."""
    done = _shell(f"minirt run --rm -i {BASE} cat <&-", engine.home)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize("command", [f"run --rm {BASE} yes", "images"])
def test_output_to_a_full_disk(engine: Engine, command: str) -> None:
    """What cannot be written is told, and the container ended."""
    done = _shell(f"minirt {command} > /dev/full", engine.home)
    assert done.returncode in (1, 125)
    assert b"No space left on device" in done.stderr
    assert b"Errno" not in done.stderr
    assert b"Traceback" not in done.stderr
    assert engine.containers.list(all=True) == []


def test_arguments_of_any_bytes(engine: Engine) -> None:
    """A container gets the bytes of its command line and environment, UTF-8 or not."""
    script = f'minirt run --rm -e "X=$1" {BASE} sh -c "printf %s \\"\\$X\\$1\\"" sh "$1"'
    done = _shell(script, engine.home, b"\xff\xc3")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"\xff\xc3\xff\xc3", b"")
    done = _shell(
        f'minirt run --name odd {BASE} true "$1" && minirt start odd && minirt commit odd odd:1', engine.home, b"\xff"
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert engine.images.get("odd:1").attrs["Config"]["Cmd"] == ["true", "\ufffd"]


@pytest.mark.parametrize("name", ["with space", "comma,colon:", "back\\slash", "new\nline", "日本", "%s"])
def test_homes_of_any_name(engine: Engine, tmp_path: Path, name: str) -> None:
    """Whatever the directory is called, layers in it can be mounted. PRoot has no way to write a colon, and says so."""
    done = _shell(f"minirt run --rm {BASE} echo hi", tmp_path / name)
    if ":" in name and engine.machine.isolation == "proot":
        assert done.returncode == 125 and b"a path with a colon cannot be mounted here" in done.stderr
        return
    assert (done.returncode, done.stdout, done.stderr) == (0, b"hi\n", b"")


def test_a_home_whose_name_is_no_text(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 cannot stand in the notes of a home: it is refused, by name, before it is made."""
    done = _shell('MINIRT_HOME="$1" minirt ps', tmp_path, os.fsencode(tmp_path / "odd") + b"\xff")
    assert done.returncode == 1
    assert b"/odd\\xff cannot be the home" in done.stderr and b"not UTF-8" in done.stderr
    assert list(tmp_path.iterdir()) == []


def _on_a_small_disk(script: str, home: Path, *more: bytes) -> subprocess.CompletedProcess[bytes]:
    """As ``_shell``, with a tmpfs at ``home``. An ordinary user becomes root of a user namespace to mount it, for the
    script alone, and itself again in a second one. Root mounts it where other homes' clean-ups see that it is there.
    """
    user, group = os.geteuid(), os.getegid()
    mount = f"mount -t tmpfs -o size=40m none {shlex.quote(str(home))}"
    script = f"echo mounted; {FUNCTION}; {script}"
    if user == 0:
        done = _shell(f"{mount} && {{ {script}\numount --lazy $MINIRT_HOME; }}", home, *more)
    else:
        itself = f'{mount} && exec unshare -U --map-user={user} --map-group={group} sh -c "$SCRIPT" sh "$@"'
        done = _shell('exec unshare -Urm sh -c "$ITSELF" sh "$@"', home, *more, ITSELF=itself, SCRIPT=script)
    if not done.stdout.startswith(b"mounted\n"):
        pytest.skip(f"a small file system cannot be mounted here: {os.fsdecode(done.stderr).strip()}")
    return done


@pytest.mark.parametrize("command", [f"run --rm {BASE} true", f"create {BASE}", "build ."])
def test_a_disk_full_to_the_last_byte(tmp_path: Path, command: str) -> None:
    """Not even a directory can be made: that is told with what to do, and afterwards all is as before."""
    home = tmp_path / "small"
    home.mkdir()
    (tmp_path / "Dockerfile").write_text(f"FROM {BASE}\nRUN true\n")
    script = f"""minirt run --rm {BASE} true && echo ran
        cat /dev/zero > $MINIRT_HOME/filler 2>/dev/null
        (cd $1 && minirt {command} 2> $1/told); echo $?
        rm $MINIRT_HOME/filler
        minirt run --rm {BASE} true && minirt ps -aq && echo again"""
    done = _on_a_small_disk(script, home, os.fsencode(tmp_path))
    told = (tmp_path / "told").read_bytes()
    assert done.stdout.split() in ([b"mounted", b"ran", code, b"again"] for code in (b"1", b"125")), done
    assert b"no space left on the disk" in told
    assert b"What to do: Free some space" in told
    assert b"Errno" not in told


def test_a_working_directory_that_is_gone(engine: Engine, tmp_path: Path) -> None:
    """What needs no directory does without."""
    done = _shell(
        f"mkdir $1 && cd $1 && rmdir $1 && minirt run --rm {BASE} pwd", engine.home, os.fsencode(tmp_path / "x")
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"/\n", b"")
