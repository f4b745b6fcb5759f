"""``cp``, ``export`` and ``import`` as typed, and beside docker's."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from minirt.testing.commands import Teller

BASE = "minirt/base"


@pytest.fixture
def made(cli: Teller, tmp_path: Path) -> None:
    """A container with files, and files beside it."""
    script = "mkdir -p /d/sub; echo a > /d/a; echo b > /d/sub/b; ln -s /d/a /link"
    cli.ok("run", "--name", "box", BASE, "sh", "-c", script)
    (tmp_path / "file").write_text("f")
    (tmp_path / "dir").mkdir()


def test_cp_both_ways(cli: Teller, made: None, tmp_path: Path) -> None:
    """There and back, with docker's silence where no terminal is."""
    assert cli.ok("cp", "box:/d", "out").out == ""
    assert (tmp_path / "out" / "sub" / "b").read_text() == "b\n"
    cli.ok("cp", "file", "box:/d/")
    cli.ok("cp", "-L", "box:/link", ".")
    assert (tmp_path / "link").read_text() == "a\n"
    assert "A /d/file" in cli.ok("diff", "box").lines
    cli.ok("container", "cp", "box:d/file", "again")
    assert (tmp_path / "again").read_text() == "f"


def test_cp_as_a_stream(cli: Teller, made: None) -> None:
    """``-`` is a tar, in and out."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        entry = tarfile.TarInfo("x/y")
        entry.size = 3
        archive.addfile(entry, io.BytesIO(b"xyz"))
    cli.ok("cp", "-", "box:/d", stdin=data.getvalue())
    said = cli.ok("cp", "box:/d/x", "-")
    with tarfile.open(fileobj=io.BytesIO(said.out.encode())) as archive:
        assert archive.getnames() == ["x", "x/y"]


@pytest.mark.parametrize(
    ("words", "first"),
    [
        ("cp a b", "must specify at least one container source"),
        ("cp box:/a other:/b", "copying between containers is not supported"),
        ("cp box:/nothing .", "Could not find the file /nothing in container box"),
        ("cp box:/d file", "cannot copy directory"),
        ("cp box:/d/a nowhere/", "no such directory"),
        ("cp - box:/d/a", 'destination "box:/d/a" must be a directory'),
        ("cp nothing box:/", "no such file or directory"),
        ("cp file nobody:/x", "No such container: nobody"),
    ],
)
def test_cp_mistakes(cli: Teller, made: None, words: str, first: str) -> None:
    """The words are docker's, the exit code is 1."""
    said = cli(*words.split())
    assert said.code == 1
    assert first in said.err


def test_export_and_import(cli: Teller, made: None, tmp_path: Path) -> None:
    """A container flattened to an image; what is not a tar is refused."""
    cli.ok("export", "-o", "flat.tar", "box")
    identity = cli.ok("import", "-c", "CMD cat /d/a", "-m", "flattened", "flat.tar", "flat:1").out.strip()
    assert cli.ok("image", "inspect", "-f", "{{.Id}}", "flat:1").out.strip() == identity
    assert cli.ok("run", "--rm", "flat:1").out == "a\n"
    assert "failed to export container" in cli("export", "-o", "no/such/flat.tar", "box").err
    assert cli("import", "dir").code == 1
    assert cli("import", "nothing.tar").code == 1
    (tmp_path / "rubbish").write_bytes(b"rubbish" * 200)
    assert cli("import", "rubbish").code == 1


@pytest.mark.peer
def test_the_same_as_docker(cli: Teller, tmp_path: Path) -> None:
    """A row of copies ends with the same tree in both."""
    if shutil.which("docker") is None or subprocess.run(["docker", "version"], capture_output=True).returncode:
        pytest.skip("no docker daemon answers here")
    cli.ok("create", "--name", "minirt-cp", BASE, "true")
    saved = tmp_path / "base.tar"
    cli.ok("save", "-o", str(saved), BASE)
    assert subprocess.run(["docker", "load", "-i", str(saved)], capture_output=True).returncode == 0
    subprocess.run(["docker", "create", "--name", "minirt-cp", BASE, "true"], capture_output=True, check=True)
    (tmp_path / "d" / "sub").mkdir(parents=True)
    (tmp_path / "d" / "sub" / "b").write_text("b")
    (tmp_path / "d" / "a").write_text("a")
    (tmp_path / "f").write_text("f")
    os.symlink("/etc", tmp_path / "l")
    lines = [
        "cp f minirt-cp:/f1", "cp d minirt-cp:/new", "cp d minirt-cp:/new", "cp d/. minirt-cp:/new2",
        "cp f minirt-cp:/nonex/", "cp f minirt-cp:/nonex/x", "cp d minirt-cp:/f1", "cp f minirt-cp:/new",
        "cp l minirt-cp:/", "cp minirt-cp:/f1/ .", "cp minirt-cp:/nothing .",
        "cp minirt-cp:/f1 nodir/x", "cp minirt-cp:/f1 nodir/", "cp minirt-cp:/new f", "cp f minirt-cp:/l/from-link",
        "cp d minirt-cp:/etc/passwd", "cp d/sub/b minirt-cp:/new/sub", "cp d/a minirt-cp:/new/d/sub/",
    ]  # fmt: skip
    try:
        for line in lines:
            theirs = subprocess.run(["docker", *line.split()], capture_output=True, cwd=tmp_path, check=False)
            assert cli(*line.split()).code == theirs.returncode, line + theirs.stderr.decode()
        changed = sorted(
            subprocess.run(["docker", "diff", "minirt-cp"], capture_output=True).stdout.decode().split("\n")
        )
        assert sorted(cli.ok("diff", "minirt-cp").out.split("\n")) == changed
        for path in ("/new", "/new/.", "/f1", "/l"):
            ours = cli.ok("cp", f"minirt-cp:{path}", "-").out.encode()
            other = subprocess.run(["docker", "cp", f"minirt-cp:{path}", "-"], capture_output=True).stdout
            assert _listed(ours) == _listed(other), path
    finally:
        subprocess.run(["docker", "rm", "-f", "minirt-cp"], capture_output=True)


def _listed(data: bytes) -> list[tuple[str, int, int, int, int, str]]:
    """A directory's time is that of the last copy into it, which was not the same moment."""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        times = [0 if m.isdir() else int(m.mtime) for m in archive.getmembers()]
        return [
            (m.name, m.mode & 0o7777, m.uid, m.size, time, m.linkname)
            for m, time in zip(archive.getmembers(), times, strict=True)
        ]
