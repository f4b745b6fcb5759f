"""``registry serve``: a class's own registry, filled by one and read by many."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from minirt.engine import Engine
from minirt.testing.commands import Teller

Serve = Callable[..., tuple[str, "subprocess.Popen[str]"]]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts ``minirt registry serve`` as a program; gives its address."""
    started = []

    def start(*words: str) -> tuple[str, subprocess.Popen[str]]:
        program_text = "import sys; from minirt.cli import main; sys.exit(main())"
        command = [sys.executable, "-c", program_text, "registry", "serve", "--address", "127.0.0.1:0", *words]
        program = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
        started.append(program)
        assert program.stdout is not None
        found = re.search(r"http://([^\s,]+)", program.stdout.readline().strip())
        assert found
        return found[1], program

    yield start
    for program in started:
        program.kill()
        program.wait()
        program.stdout.close()


def test_a_class_pulls_from_the_mirror_what_the_teacher_pushed(cli: Teller, serve: Serve, tmp_path: Path) -> None:
    """A learner with the class's mirror pulls a short name; the images are plain files that outlive the server."""
    address, _ = serve("--root", "images")
    cli.ok("build", "-t", f"{address}/library/lesson:1", "-", stdin=b"FROM scratch\nLABEL made=here\nCMD none\n")
    cli.ok("push", f"{address}/library/lesson:1")
    reading, _ = serve("--root", "images", "--read-only")
    with Engine(tmp_path / "learner", mirrors=[f"http://{reading}"]) as learner:
        assert learner.images.pull("lesson:1").labels == {"made": "here"}
    assert (tmp_path / "images/repositories/library/lesson/_tags/1").is_file()


def test_an_image_of_several_platforms_travels_whole(cli: Teller, serve: Serve, tmp_path: Path) -> None:
    """Push sends the index with all its images; each platform can be pulled of it."""
    address, _ = serve("--root", "images")
    name = f"{address}/library/several:1"
    platforms = ("linux/amd64", "linux/s390x")
    text = b"FROM scratch\nARG TARGETARCH\nLABEL arch=$TARGETARCH\n"
    cli.ok("build", "--platform", ",".join(platforms), "-t", name, "-", stdin=text)
    cli.ok("push", name)
    with Engine(tmp_path / "learner", mirrors=[f"http://{address}"]) as learner:
        for one in platforms:
            assert learner.images.pull("several:1", platform=one).labels == {"arch": one.partition("/")[2]}


def test_a_read_only_registry_takes_nothing(cli: Teller, serve: Serve) -> None:
    """A push is refused with the reason."""
    address, _ = serve("--root", "images", "--read-only")
    cli.ok("build", "-t", f"{address}/library/lesson:1", "-", stdin=b"FROM scratch\nCMD none\n")
    said = cli("push", f"{address}/library/lesson:1")
    assert said.code == 1
    assert "read-only" in said.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_quietly_when_asked(serve: Serve, number: int) -> None:
    """Ctrl-C and a service manager's SIGTERM end it with exit code 0."""
    _, program = serve("--root", "images")
    program.send_signal(number)
    assert program.wait(10) == 0


def test_what_cannot_be_listened_at_is_said(cli: Teller, serve: Serve) -> None:
    """An address in use, or not an address at all, is an error that names it."""
    address, _ = serve("--root", "images")
    said = cli("registry", "serve", "--root", "r", "--address", address)
    assert f"cannot listen at {address}" in said.err
    said = cli("registry", "serve", "--address", "here:there")
    assert said.code == 125
    assert "there is not a port" in said.err
