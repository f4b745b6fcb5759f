"""Several clients of one program: what they see, what they type, how they leave."""

from __future__ import annotations

import os
import select
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from minirt.errors import ContainerNotRunning
from minirt.sandbox import Exit, Running, attach

TERMINAL = {"env": {"PATH": "/bin", "PS1": "$ ", "TERM": "xterm"}, "terminal": True, "stdin_open": True}


class Client:
    """One who is attached: types into a pipe, reads from another."""

    def __init__(self, stdin: bool = True) -> None:
        self.keys, self.typing = os.pipe()
        self.screen, self.writing = os.pipe()
        self.running: Running | None = None
        self.seen = b""
        self.stdin = stdin

    def join(self, state_dir: Path, running: Running) -> Client:
        self.running = attach(
            str(state_dir), "x" * 64, running.pid, running.start_time,
            stdin=self.keys if self.stdin else None, stdout=self.writing, stderr=self.writing,
        )  # fmt: skip
        return self.given()

    def start(self, bench: Any, spec: Any) -> Client:
        self.running = bench.start(spec, stdin=self.keys if self.stdin else None, stdout=self.writing,
                                   stderr=self.writing)  # fmt: skip
        return self.given()

    def given(self) -> Client:
        os.close(self.keys)
        os.close(self.writing)
        return self

    def type(self, text: bytes) -> None:
        os.write(self.typing, text)

    def until(self, text: bytes, seconds: float = 5) -> bytes:
        """What was shown, up to and with ``text``."""
        end = time.monotonic() + seconds
        while text not in self.seen:
            assert select.select([self.screen], [], [], max(0, end - time.monotonic()))[0], self.seen
            data = os.read(self.screen, 4096)
            assert data, self.seen
            self.seen += data
        shown, mark, self.seen = self.seen.partition(text)
        return shown + mark

    def ended(self) -> bool:
        """Whether nobody writes to the screen any more."""
        return bool(select.select([self.screen], [], [], 5)[0]) and os.read(self.screen, 4096) == b""

    def close(self) -> None:
        for fd in (self.typing, self.screen):
            os.close(fd)
        if self.running is not None:
            self.running.close()


@pytest.fixture
def clients() -> Iterator[Any]:
    """Makes clients that are closed after the test."""
    made: list[Client] = []

    def make(**options: Any) -> Client:
        made.append(Client(**options))
        return made[-1]

    yield make
    for client in made:
        client.close()


def test_two_see_and_type_on_the_same_terminal(bench: Any, clients: Any) -> None:
    """What one types, both see; each may resize; the end is told to both."""
    spec, state_dir = bench.detached("exec sh -i", process=TERMINAL)
    first = clients().start(bench, spec)
    first.until(b"$ ")
    second = clients().join(state_dir, first.running)
    first.type(b"echo $((6*7))\r")
    first.until(b"42\r\n")
    second.until(b"42\r\n")
    second.running.resize(31, 99)
    second.type(b"stty size\r")
    second.until(b"31 99")
    first.until(b"31 99")
    second.type(b"exit 5\r")
    assert first.running.wait(timeout=5) == Exit(5)
    assert second.running.wait(timeout=5) == Exit(5)
    assert not (state_dir / "attach").exists()


def test_ctrl_c_and_ctrl_d_are_keys(bench: Any, clients: Any) -> None:
    """0x03 interrupts the program in the foreground, 0x04 ends the input; the shell stays or goes accordingly."""
    spec, _ = bench.detached("exec sh -i", process=TERMINAL)
    shell = clients().start(bench, spec)
    shell.until(b"$ ")
    shell.type(b"sleep 100; echo after=$?\r")
    shell.until(b"after")
    time.sleep(0.2)
    shell.type(b"\x03")
    shell.until(b"^C")
    shell.type(b"\recho alive\r")
    shell.until(b"alive\r\n")
    shell.type(b"\x04")
    assert shell.running.wait(timeout=5).signal is None


def test_the_window_has_its_size_from_the_start(bench: Any, clients: Any) -> None:
    """The program need not wait for a change of the size."""
    spec, _ = bench.detached("stty size", process={**TERMINAL, "rows": 12, "columns": 34})
    assert clients().start(bench, spec).until(b"\n") == b"12 34\r\n"


def test_one_who_leaves_is_not_waited_for(bench: Any, clients: Any) -> None:
    """A client that detaches, or just goes away without reading, leaves the program and the others alone."""
    spec, state_dir = bench.detached("exec sh -i", process=TERMINAL)
    first = clients().start(bench, spec)
    first.until(b"$ ")
    lazy = clients().join(state_dir, first.running)
    other = clients().join(state_dir, first.running)
    first.running.detach()
    assert first.ended()
    other.type(b"i=0; while [ $i -lt 20000 ]; do echo $i; i=$((i+1)); done; echo don''e\r")
    time.sleep(0.3)
    lazy.running.close()
    other.until(b"done\r\n", 20)
    other.type(b"exit\r")
    assert other.running.wait(timeout=5) == Exit(0)
    with pytest.raises(ContainerNotRunning):
        clients().join(state_dir, first.running)


def test_input_without_a_terminal_ends_with_its_owner(bench: Any, clients: Any) -> None:
    """With -i alone the end of the client's input is the end of the program's."""
    spec, _ = bench.detached("cat; echo end")
    client = clients().start(bench, spec)
    client.type(b"a\0b\n")
    client.until(b"a\0b\n")
    os.close(client.typing)
    client.until(b"end\n")
    assert client.running.wait(timeout=5) == Exit(0)
    client.typing = os.open(os.devnull, os.O_RDONLY)


def test_input_that_stays_open_waits_for_somebody(bench: Any, clients: Any) -> None:
    """With -di the program waits; one who attaches may type, and his leaving is not the end of the input."""
    process = {"env": {"PATH": "/bin"}, "stdin_open": True}
    spec, state_dir = bench.detached("while read x; do echo got $x; done", process=process)
    running = bench.start(spec)
    for word in (b"one", b"two"):
        client = clients().join(state_dir, running)
        client.type(word + b"\n")
        client.until(b"got " + word + b"\n")
        client.running.close()
    assert running.poll() is None
    running.kill(9)
    assert running.wait(timeout=5).code == 137


def test_output_only(bench: Any, clients: Any) -> None:
    """Whoever attaches to a program without input sees both streams from then on."""
    spec, state_dir = bench.detached("sleep 0.3; echo out; echo err >&2")
    running = bench.start(spec)
    client = clients(stdin=False).join(state_dir, running)
    client.until(b"out\n")
    client.until(b"err\n")
    assert client.running.wait(timeout=5) == Exit(0)


def test_the_socket_is_the_users_alone(bench: Any, clients: Any) -> None:
    """Mode 0600; nonsense over it is answered by hanging up, and the program runs on."""
    import socket

    spec, state_dir = bench.detached("exec sh -i", process=TERMINAL)
    shell = clients().start(bench, spec)
    shell.until(b"$ ")
    assert stat.S_IMODE((state_dir / "attach").stat().st_mode) == 0o600
    directory = os.open(state_dir, os.O_PATH)
    for nonsense in (b"", b"\0\0\0\2{}", b"\xff\xff\xff\xff", b"\0\0\0\5[[[[[", b'\0\0\0\x12{"attach":[0,1,2]}'):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(f"/proc/self/fd/{directory}/attach")
            sock.sendall(nonsense)
            sock.shutdown(socket.SHUT_WR)
            sock.settimeout(5)
            try:
                assert sock.recv(10) == b""
            except ConnectionError:
                pass
    os.close(directory)
    shell.type(b"echo st''ill\r")
    shell.until(b"still\r\n")
    shell.type(b"exit\r")
    assert shell.running.wait(timeout=5) == Exit(0)
