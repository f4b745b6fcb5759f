"""``push``, ``pull``, and the pull on the way to ``run``, with a real registry."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from minirt.engine import Engine
from minirt.registry.server import RegistryServer
from minirt.testing.commands import Teller


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[RegistryServer]:
    """A registry of this machine's own."""
    with RegistryServer(tmp_path / "registry") as server:
        yield server


def _pushed(cli: Teller, name: str) -> str:
    """Push a small image under ``name`` and forget it here; its digest."""
    cli.ok("build", "-t", name, "-", stdin=b"FROM scratch\nLABEL made=here\nCMD none\n")
    cli.ok("run", "--name", "maker", "minirt/base", "sh", "-c", "echo pushed > /file")
    cli.ok("commit", "maker", name)
    cli.ok("rm", "maker")
    said = cli.ok("push", name)
    assert said.lines[0] == f"The push refers to repository [{name.rpartition(':')[0]}]"
    assert not [line for line in said.lines if "Pull" in line or "Download" in line]
    assert said.lines[-2].endswith(": Pushed")
    digest = said.lines[-1].rpartition(" ")[2]
    cli.ok("rmi", name)
    return digest


def test_push_and_pull(cli: Teller, registry: RegistryServer) -> None:
    """What was pushed is pulled again, with docker's lines; the second time there is nothing to do."""
    name = f"{registry.address}/team/app:1"
    digest = _pushed(cli, name)
    lines = cli.ok("pull", name).lines
    assert lines[0] == "1: Pulling from team/app"
    assert lines[-3:] == [f"Digest: {digest}", f"Status: Downloaded newer image for {name}", name]
    again = cli.ok("pull", name).lines
    assert again[-2] == f"Status: Image is up to date for {name}"
    assert cli.ok("pull", "-q", name).out == f"{name}\n"
    row = cli.ok("images", "--digests", "--format", "{{.Tag}} {{.Digest}}", name).out
    assert row in (f"1 {digest}\n", "1 <none>\n")


def test_pull_by_digest(cli: Teller, registry: RegistryServer) -> None:
    """A digest names one image for ever."""
    name = f"{registry.address}/team/app:1"
    digest = _pushed(cli, name)
    pinned = f"{registry.address}/team/app@{digest}"
    assert cli.ok("pull", pinned).lines[-1] == pinned
    assert cli.ok("run", "--rm", pinned, "cat", "/file").out == "pushed\n"


def test_run_pulls(cli: Teller, registry: RegistryServer) -> None:
    """A missing image is pulled on the way, told on standard error; standard output is the program's alone."""
    name = f"{registry.address}/team/app:1"
    _pushed(cli, name)
    said = cli.ok("run", "--rm", name, "cat", "/file")
    assert said.out == "pushed\n"
    assert said.err.splitlines()[:2] == [f"Unable to find image '{name}' locally", "1: Pulling from team/app"]
    assert cli.ok("run", "--rm", "--pull", "always", "-q", name, "cat", "/file").err == ""


def test_mirror(cli: Teller, registry: RegistryServer, tmp_path: Path) -> None:
    """Docker Hub's images come from the mirror that is set."""
    _pushed(cli, f"{registry.address}/library/tiny:latest")
    with Engine(tmp_path / "home", mirrors=[f"http://{registry.address}"]) as engine:
        teller = Teller(lambda: engine, tmp_path)
        lines = teller.ok("pull", "tiny").lines
        assert lines[:2] == ["Using default tag: latest", "latest: Pulling from library/tiny"]
        assert lines[-1] == "docker.io/library/tiny:latest"
        assert teller.ok("info", "-f", "{{index .RegistryMirrors 0}}").out == f"http://{registry.address}\n"


@pytest.mark.parametrize("line", ["pull {}/team/nothing", "run {}/team/nothing", "pull 127.0.0.1:1/team/app"])
def test_faults(cli: Teller, registry: RegistryServer, line: str) -> None:
    """An image that is not there, and a registry that is not there, are sentences."""
    said = cli(*line.format(registry.address).split())
    assert said.code == (125 if line.startswith("run") else 1)
    assert "Traceback" not in said.err
    assert said.err.splitlines()[-1]


def test_load_tells_the_names_of_the_archive(cli: Teller, tmp_path: Path) -> None:
    """And not those that the same image had before."""
    cli.ok("build", "-t", "one:1", "-t", "two:1", "-", stdin=b"FROM scratch\nLABEL a=b\n")
    cli.ok("save", "-o", str(tmp_path / "one.tar"), "one:1")
    assert cli.ok("load", "-i", str(tmp_path / "one.tar")).lines == ["Loaded image: one:1"]


def test_a_mistyped_image(cli: Teller, registry: RegistryServer) -> None:
    """``run`` of a name that is nearly one of this machine's names that one, before what the registry says."""
    _pushed(cli, f"{registry.address}/team/app:1")
    cli.ok("tag", "minirt/base", f"{registry.address}/team/app:2")
    error = cli("run", "--rm", f"{registry.address}/team/ap:2").err
    assert f"Did you mean {registry.address}/team/app:2?" in error
