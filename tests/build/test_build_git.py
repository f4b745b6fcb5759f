"""ADD of a git repository, from a server of git's own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from minirt.errors import CopyFailed

if TYPE_CHECKING:
    from minirt.engine import Engine

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main"]
    return subprocess.run(
        ["git", *who, "-C", str(folder), *words], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Its address, and where it lies."""
    folder = tmp_path / "served" / "things.git"
    (folder / "sub").mkdir(parents=True)
    (folder / "one").write_text("1\n")
    (folder / "sub" / "two").write_text("2\n")
    (folder / "sub" / "two").chmod(0o755)
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    git(folder, "tag", "v1")
    (folder / "one").write_text("later\n")
    git(folder, "commit", "-qam", "second")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    base = f"--base-path={tmp_path / 'served'}"
    words = ["git", "daemon", "--export-all", "--reuseaddr", "--listen=127.0.0.1", f"--port={port}", base]
    server = subprocess.Popen(words, env={**os.environ, "HOME": str(tmp_path)}, stderr=subprocess.DEVNULL)
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    try:
        yield f"git://127.0.0.1:{port}/things.git", folder
    finally:
        server.terminate()
        server.wait()


def said(engine: Engine, text: str, command: str) -> str:
    image = engine.images.build(text=text)
    return str(engine.containers.run(image.id, ["sh", "-c", command], remove=True).decode())


def test_a_repository_is_added(engine: Engine, repository: tuple[str, Path]) -> None:
    """The default branch, a tag, a short commit, a directory of it; without .git unless it is asked for."""
    address, folder = repository
    show = "cat /r/one; ls -a /r | tail -n +3"
    assert said(engine, f"FROM minirt/base\nADD {address} /r", show) == "later\none\nsub\n"
    assert said(engine, f"FROM minirt/base\nADD {address}#v1 /r", show) == "1\none\nsub\n"
    short = git(folder, "rev-parse", "--short", "v1")
    assert said(engine, f"FROM minirt/base\nADD {address}#{short}:sub /r", "ls /r; test -x /r/two") == "two\n"
    assert ".git\n" in said(engine, f"FROM minirt/base\nADD --keep-git-dir=true {address} /r", show)


def test_the_commit_is_compared(build: Callable[..., Any], repository: tuple[str, Path]) -> None:
    """--checksum names the commit; another one, or no such branch, is an error at the word."""
    address, folder = repository
    commit = git(folder, "rev-parse", "v1")
    build(f"FROM scratch\nADD --checksum={commit} {address}#v1 /r\n")
    for text in (f"ADD --checksum={commit} {address} /r", f"ADD {address}#nothing /r", f"ADD {address}#v1:no /r"):
        with pytest.raises(CopyFailed) as caught:
            build(f"FROM scratch\n{text}\n")
        assert caught.value.where is not None
        assert caught.value.where.line == 2
