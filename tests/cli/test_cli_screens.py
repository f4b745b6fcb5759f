"""True terminals: the command line on a pseudo-terminal, typed on as a human would."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from minirt.cli.keys import DetachKeys, parse_keys

if TYPE_CHECKING:
    from minirt.engine import Engine

BASE = "minirt/base"
PROGRAM = [sys.executable, "-c", "from minirt.cli import main; raise SystemExit(main())"]
PROMPT = b"# "


class Window:
    """A terminal window with one ``minirt`` command in it."""

    def __init__(self, home: Path, *words: str, rows: int = 24, columns: int = 80) -> None:
        self.outer, self.inner = pty.openpty()
        termios.tcsetwinsize(self.inner, (rows, columns))
        self.before = termios.tcgetattr(self.inner)
        self.seen = b""
        self.process = subprocess.Popen(
            [*PROGRAM, *words],
            stdin=self.inner,
            stdout=self.inner,
            stderr=self.inner,
            env={**os.environ, "MINIRT_HOME": str(home)},
            start_new_session=True,
        )

    def type(self, keys: bytes) -> None:
        os.write(self.outer, keys)

    def until(self, text: bytes, seconds: float = 10) -> bytes:
        """What was shown, up to and with ``text``."""
        end = time.monotonic() + seconds
        while text not in self.seen:
            assert select.select([self.outer], [], [], max(0, end - time.monotonic()))[0], self.seen
            self.seen += os.read(self.outer, 65536)
        shown, mark, self.seen = self.seen.partition(text)
        return shown + mark

    def resize(self, rows: int, columns: int) -> None:
        termios.tcsetwinsize(self.inner, (rows, columns))
        self.process.send_signal(signal.SIGWINCH)  # it has no controlling terminal to get it from

    def code(self) -> int:
        """The exit code; the terminal's settings must be what they were."""
        code = self.process.wait(timeout=15)
        assert termios.tcgetattr(self.inner) == self.before
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.outer)
        os.close(self.inner)


@pytest.fixture
def window(engine: Engine) -> Iterator[Callable[..., Window]]:
    """Opens windows; they are closed after the test."""
    opened: list[Window] = []

    def start(*words: str, **options: Any) -> Window:
        opened.append(Window(engine.home, *words, **options))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


def _shell(window: Window, code: int = 0) -> None:
    window.type(b"exit %d\r" % code)


def test_run_it(window: Callable[..., Window], engine: Engine) -> None:
    """A shell in a container: echo, colours, Ctrl-C, the size and its changes, the exit code; then --rm."""
    shell = window("run", "-it", "--rm", BASE, "sh", rows=30, columns=90)
    shell.until(PROMPT)
    shell.type(b"echo $((6*7)); stty size; printf '\\033[31mred\\033[0m\\n'\r")
    assert b"42\r\n30 90\r\n\x1b[31mred\x1b[0m\r\n" in shell.until(b"red\x1b[0m\r\n")
    shell.type(b"sleep 100\r")
    shell.until(b"sleep 100")
    time.sleep(0.3)
    shell.type(b"\x03")
    shell.until(PROMPT)
    shell.resize(40, 100)
    time.sleep(0.3)
    shell.type(b"stty size\r")
    shell.until(b"40 100")
    _shell(shell, 7)
    assert shell.code() == 7
    assert engine.containers.list(all=True) == []


def test_leave_and_come_back(window: Callable[..., Window], engine: Engine) -> None:
    """Ctrl-P Ctrl-Q leaves the container running; attach comes back, from two windows that see the same."""
    shell = window("run", "-it", "--name", "k1", BASE, "sh")
    shell.until(PROMPT)
    shell.type(b"\x10")
    time.sleep(0.1)
    shell.type(b"\x11")
    shell.until(b"attach k1 comes back")
    assert shell.code() == 0
    assert engine.containers.get("k1").status == "running"
    one, two = window("attach", "k1"), window("attach", "k1", rows=50, columns=60)
    for other in (one, two):
        other.type(b"\r")  # a shell without line editing does not draw its prompt again by itself
        other.until(PROMPT)
    one.type(b"echo to''gether\r")
    one.until(b"together\r\n")
    two.until(b"together\r\n")
    _shell(two, 3)
    assert (one.code(), two.code()) == (3, 3)
    log = engine.containers.get("k1").logs()
    assert isinstance(log, bytes)
    assert b"together\r\n" in log


def test_start_again_and_other_keys(window: Callable[..., Window], engine: Engine) -> None:
    """Start -ai starts a container with its terminal; --detach-keys names other keys to leave it with."""
    engine.containers.create(BASE, "sh", name="k2", tty=True, stdin_open=True)
    shell = window("start", "-ai", "--detach-keys", "ctrl-x,q", "k2")
    shell.until(PROMPT)
    shell.type(b"echo he''re \x10\x11\r")
    shell.until(b"here")
    shell.type(b"\x18q")
    shell.until(b"runs on")
    assert shell.code() == 0
    assert engine.containers.get("k2").status == "running"


def test_exec_it(window: Callable[..., Window], engine: Engine) -> None:
    """A second program with a terminal of its own, in a container without one."""
    engine.containers.run(BASE, "sleep 600", name="k3", detach=True)
    shell = window("exec", "-it", "-e", "WORD=given", "k3", "sh", rows=33, columns=77)
    shell.until(PROMPT)
    shell.type(b"stty size; tty; echo $WORD $TERM\r")
    shown = shell.until(b"given xterm")
    assert b"33 77\r\n/dev/pts/" in shown  # 0, or one of the machine's in a pod
    _shell(shell, 4)
    assert shell.code() == 4
    assert engine.containers.get("k3").status == "running"


def test_detached_with_a_terminal(window: Callable[..., Window], engine: Engine) -> None:
    """-dit returns at once; the shell waits for whoever attaches."""
    started = window("run", "-dit", "--name", "k4", BASE, "sh")
    assert started.code() == 0
    assert engine.containers.get("k4").status == "running"
    shell = window("attach", "k4")
    shell.type(b"\r")
    shell.until(PROMPT)
    _shell(shell)
    assert shell.code() == 0


def test_a_killed_client_and_a_program_that_is_not_there(window: Callable[..., Window], engine: Engine) -> None:
    """SIGTERM ends the container and restores the terminal; a wrong program is told on a terminal in order."""
    shell = window("run", "-it", "--rm", BASE, "sh")
    shell.until(PROMPT)
    shell.process.terminate()
    assert shell.code() == 143
    missing = window("run", "-it", "--rm", BASE, "no-such-program")
    missing.until(b"executable file not found")
    assert missing.code() == 127
    assert engine.containers.list(all=True) == []


def test_a_directory_of_the_machine_and_the_volumes_of_another(
    window: Callable[..., Window], engine: Engine, tmp_path: Path
) -> None:
    """`docker run -it -v DIR:PLACE centos` and `docker run -it --name k2 --volumes-from k1 kanggege/centos`."""
    image = engine.images.get(BASE)
    image.tag("centos")
    image.tag("kanggege/centos")
    first = window("run", "-it", "--name", "k1", "-v", f"{tmp_path}/myDataVolume:/dataVolumeContainer", "centos")
    first.until(PROMPT)
    first.type(b"echo kept > /dataVolumeContainer/note; exit\r")
    assert first.code() == 0
    assert (tmp_path / "myDataVolume" / "note").read_text() == "kept\n"
    second = window("run", "-it", "--name", "k2", "--volumes-from", "k1", "kanggege/centos")
    second.until(PROMPT)
    second.type(b"cat /dataVolumeContainer/no*; exit\r")
    second.until(b"kept\r\n")
    assert second.code() == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may create a directory anywhere")
def test_a_directory_that_only_root_may_create(window: Callable[..., Window], engine: Engine) -> None:
    """An ordinary user is told so, and what else to do; nothing is left."""
    engine.images.get(BASE).tag("centos")
    place = f"/myDataVolume-{uuid.uuid4().hex[:8]}"
    one = window("run", "-it", "-v", f"{place}:/dataVolumeContainer", "centos")
    one.until(f"cannot create the directory {place}".encode())
    one.until(b"-v NAME:/place")
    assert one.code() == 125
    assert engine.containers.list(all=True) == []


@pytest.mark.parametrize(
    "words",
    [("run", "-it", BASE, "sh"), ("exec", "-it", "k5", "sh"), ("attach", "k5"), ("start", "-ai", "k5")],
)
def test_no_terminal_to_type_on(engine: Engine, words: tuple[str, ...]) -> None:
    """Docker's words and its exit code, before anything is made."""
    engine.containers.run(BASE, "sh", name="k5", tty=True, stdin_open=True, detach=True)
    done = subprocess.run(
        [*PROGRAM, *words],
        env={**os.environ, "MINIRT_HOME": str(engine.home)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "the input device is not a TTY" in done.stderr
    assert len(engine.containers.list(all=True)) == 1


def test_a_terminal_without_typing(engine: Engine) -> None:
    """-t alone gives the program a terminal and needs none."""
    done = subprocess.run(
        [sys.executable, "-c", "from minirt.cli import main; raise SystemExit(main())",
         "run", "--rm", "-t", BASE, "sh", "-c", "tty; test -t 1; exit 6"],
        env={**os.environ, "MINIRT_HOME": str(engine.home)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 6
    assert done.stdout.startswith(b"/dev/pts/")  # 0, or one of the machine's in a pod


def test_attach_without_a_terminal(engine: Engine) -> None:
    """Lines go in, output comes out; an interrupt is passed on and ends the attachment, not the container."""
    script = "trap 'echo interrupted >> /note' INT; while read x; do echo got $x; done; while :; do sleep 0.1; done"
    engine.containers.run(BASE, ["sh", "-c", script], name="k6", stdin_open=True, detach=True)
    client = subprocess.Popen(
        [*PROGRAM, "attach", "k6"],
        env={**os.environ, "MINIRT_HOME": str(engine.home)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert client.stdin is not None
    assert client.stdout is not None
    client.stdin.write(b"word\n")
    client.stdin.flush()
    assert client.stdout.readline() == b"got word\n"
    client.send_signal(signal.SIGINT)
    client.communicate(timeout=10)
    assert client.returncode == 130
    container = engine.containers.get("k6")
    assert container.status == "running"
    assert container.exec_run(["cat", "/note"]) == (0, b"interrupted\n")


def test_the_keys_to_leave() -> None:
    """They are found in pieces, what only begins like them is passed on, and their names are docker's."""
    keys = DetachKeys()
    assert keys.feed(b"ab\x10") == (b"ab", False)
    assert keys.feed(b"\x10") == (b"\x10", False)
    assert keys.feed(b"c\x10\x11d") == (b"\x10c", True)
    assert parse_keys("ctrl-p,ctrl-q") == b"\x10\x11"
    assert parse_keys("ctrl-@,a,ctrl-[") == b"\0a\x1b"
    for wrong in ("", "ctrl-", "ctrl-ä", "ab", "ctrl-p,"):
        with pytest.raises(ValueError, match="unknown character"):
            parse_keys(wrong)


def test_a_build_that_fails_opens_a_shell_where_it_failed(window: Callable[..., Window], tmp_path: Path) -> None:
    """--on-error=shell: the files as the command left them, its directory; then the build's own error and code."""
    (tmp_path / "Dockerfile").write_text("FROM minirt/base\nWORKDIR /place\nRUN echo half > /half; exit 3\n")
    one = window("build", "--on-error=shell", "--progress=plain", str(tmp_path))
    one.until(b"exit ends it", seconds=30)
    one.until(b"# ")
    one.type(b"cat /half; pwd; exit 5\n")
    one.until(b"half\r\n/place")
    one.until(b"did not complete successfully: exit code: 3")
    assert one.code() == 1
