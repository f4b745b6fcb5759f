"""The same command lines, to docker and to minirt: the same words and exit codes."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from minirt.cli.units import parse_time
from minirt.testing.commands import Teller

pytestmark = pytest.mark.peer


def _docker(*argv: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["docker", *argv], input=stdin, capture_output=True, check=False, timeout=60)


@pytest.fixture(scope="module")
def docker() -> None:
    """Docker's command and its daemon."""
    if shutil.which("docker") is None:
        pytest.skip("docker is not installed")
    if _docker("version").returncode:
        pytest.skip("no docker daemon answers here")


@pytest.mark.parametrize(
    "line",
    [
        "images", "image ls", "ps", "container ls", "rmi", "rm", "inspect", "version", "info", "tag", "stop", "kill",
        "wait", "diff", "image prune", "container prune", "network ls", "rename", "pause",
    ],
)  # fmt: skip
def test_help(docker: None, words: Teller, line: str) -> None:
    """Usage and aliases are docker's, and so is every option's row."""
    theirs = _docker(*line.split(), "--help").stdout.decode().split("\n\n")
    ours = words.ok(*line.split(), "--help").out.split("\n\n")
    assert ours[0] == theirs[0]
    if line not in ("version", "info"):
        assert ours[1] == theirs[1]
    their_rows = [row for block in theirs if block.startswith("Options") for row in block.splitlines()]
    our_rows = [row for block in ours if block.startswith("Options") for row in block.splitlines()]
    assert [row.split() for row in our_rows if row.split()] == [row.split() for row in their_rows if row.split()] or (
        {word for row in our_rows for word in row.split() if word.startswith("--")}
        <= {word for row in their_rows for word in row.split() if word.startswith("--")}
        and any("refuses for now" in block for block in ours)
    )


@pytest.mark.parametrize(
    "line",
    [
        "run --foo", "run -z x", "run --name", "run", "tag a", "rmi", "rm", "history", "save", "image ls x y",
        "imagess", "image foo", "images --foo", "inspect nothing-here", "image inspect nothing-here",
        "rmi nothing-here",
        "rm nothing-here", "rmi -f nothing-here", "rm -f nothing-here", "history nothing-here", "tag nothing-here a",
        "save nothing-here", "images --filter foo=bar", "images --format {{.Foo", "ps --filter status=foo",
        "run --env-file /nothing x", "run -v /a:/b:/c:/d x", "run --mount foo x", "run --mount type=bind x",
        "run -e =x x", "run --label =x x", "run --pull foo x", "run BADNAME", "run --rm=x y", "ps -n x", "tag a Bad:1",
        "volume inspect nothing-here", "volume rm nothing-here", "start nothing-here", "stop nothing-here",
        "kill nothing-here", "logs nothing-here", "exec nothing-here ls", "wait nothing-here", "diff nothing-here",
        "commit nothing-here", "load -i /nothing", "create --pull never nothing-here", "run --pull never nothing-here",
        "run --network nothing-here", "pause nothing-here", "rename nothing-here x",
    ],
)  # fmt: skip
def test_exit_codes(docker: None, cli: Teller, line: str) -> None:
    """What is wrong ends with the same exit code."""
    theirs = _docker(*line.split())
    said = cli(*line.split())
    assert (said.code, said.err != "") == (theirs.returncode, True), theirs.stderr.decode() + said.err


@pytest.mark.parametrize(
    "line",
    [
        "run --foo", "run -z x", "run --name", "run", "tag a", "rmi", "image ls x y", "imagess", "image foo",
        "run -e =x x", "run --label =x x", "run --mount foo x", "run --mount type=bind x", "run --rm=x y", "ps -n x",
    ],
)  # fmt: skip
def test_first_lines(docker: None, words: Teller, line: str) -> None:
    """Mistakes are told in the same first line."""
    theirs = _docker(*line.split()).stderr.decode()
    assert words(*line.split()).err.splitlines()[0] == theirs.splitlines()[0]


class Shared:
    """One image that both hold."""

    def __init__(self, name: str) -> None:
        self.name = name


@pytest.fixture
def shared(docker: None, cli: Teller, tmp_path: Path) -> Iterator[Shared]:
    """minirt/base, committed under a fresh name and loaded into docker."""
    name = f"minirt-peer-{uuid.uuid4().hex[:8]}:1"
    cli.ok("run", "--name", "maker", "minirt/base", "sh", "-c", "echo made > /made")
    cli.ok("commit", "-m", "made here", "maker", name)
    cli.ok("rm", "maker")
    cli.ok("save", "-o", "image.tar", name)
    loaded = _docker("load", "-i", str(tmp_path / "image.tar"))
    assert loaded.stdout.decode() == f"Loaded image: {name}\n", loaded.stderr
    yield Shared(name)
    _docker("rmi", "-f", name)


def test_docker_loads_what_we_save(shared: Shared, cli: Teller, tmp_path: Path) -> None:
    """Both see the same image: id, size, history; and we load what docker saves."""
    name = shared.name
    template = "{{.ID}} {{.Repository}} {{.Tag}} {{.Size}}"
    assert _docker("images", "--no-trunc", "--format", template, name).stdout.decode() == (
        cli.ok("images", "--no-trunc", "--format", template, name).out
    )
    columns = "{{.ID}}|{{.CreatedBy}}|{{.Size}}|{{.Comment}}"
    assert _docker("history", "--format", columns, name).stdout.decode() == (
        cli.ok("history", "--format", columns, name).out
    )
    saved = tmp_path / "theirs.tar"
    assert _docker("save", "-o", str(saved), name).returncode == 0
    cli.ok("rmi", name)
    assert cli.ok("load", "-i", str(saved)).lines[-1] == f"Loaded image: {name}"
    assert cli.ok("run", "--rm", name, "cat", "/made").out == "made\n"
    with tarfile.open(saved) as archive:
        assert "manifest.json" in archive.getnames()


def test_same_containers(shared: Shared, cli: Teller) -> None:
    """One image runs the same in both: output, exit codes, and how ps and diff tell of it."""
    name, script = shared.name, "cat /made; echo new > /new; rm /etc/hostname 2>/dev/null; rm /made; exit 4"
    theirs = _docker("run", "--name", "minirt-peer", name, "sh", "-c", script)
    try:
        ours = cli("run", "--name", "minirt-peer", name, "sh", "-c", script)
        assert (ours.code, ours.out.encode()) == (theirs.returncode, theirs.stdout)
        columns = "{{.Names}} {{.Command}} {{.State}} {{.Size}} {{.Image}}"
        their_row = _docker("ps", "-as", "--filter", "name=minirt-peer", "--format", columns).stdout.decode()
        assert cli.ok("ps", "-as", "--format", columns).out == their_row
        their_changes = sorted(_docker("diff", "minirt-peer").stdout.decode().splitlines())
        assert sorted(cli.ok("diff", "minirt-peer").lines) == their_changes
    finally:
        _docker("rm", "-f", "minirt-peer")


def test_same_inspect_fields(shared: Shared, cli: Teller) -> None:
    """What templates of inspect ask for is there in both, with the same values."""
    theirs = json.loads(_docker("image", "inspect", shared.name).stdout)[0]
    ours = json.loads(cli.ok("image", "inspect", shared.name).out)[0]
    for field in ("Id", "RepoTags", "Os", "Architecture", "RootFS", "Author", "Comment"):
        assert ours[field] == theirs[field], field
    assert parse_time(ours["Created"]) == parse_time(theirs["Created"])
    for field in ("Env", "Cmd", "Entrypoint", "WorkingDir", "User", "Labels"):
        assert (ours["Config"].get(field) or None) == (theirs["Config"].get(field) or None), field
