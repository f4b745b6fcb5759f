"""Volumes, networks, pruning and system commands."""

from __future__ import annotations

import json
import os

from minirt.engine import Engine
from minirt.testing.commands import Teller

BASE = "minirt/base"


def test_volume_life(cli: Teller) -> None:
    """A volume is made, listed, inspected, used, refused to go while used, removed."""
    assert cli.ok("volume", "create", "--label", "a=b", "notes").out == "notes\n"
    assert cli.ok("volume", "ls").lines == ["DRIVER    VOLUME NAME", "local     notes"]
    document = json.loads(cli.ok("volume", "inspect", "notes").out)[0]
    assert (document["Name"], document["Labels"], document["Driver"]) == ("notes", {"a": "b"}, "local")
    cli.ok("run", "--name", "one", "-v", "notes:/n", BASE, "sh", "-c", "echo x > /n/f")
    assert cli.ok("run", "--rm", "-v", "notes:/m", BASE, "cat", "/m/f").out == "x\n"
    used = cli("volume", "rm", "notes")
    assert used.code == 1
    assert "volume is in use" in used.err
    assert cli.ok("volume", "ls", "-q", "--filter", "dangling=true").out == ""
    cli.ok("rm", "one")
    assert cli.ok("volume", "rm", "notes").out == "notes\n"
    assert cli("volume", "rm", "notes").code == 1
    assert cli.ok("volume", "rm", "-f", "notes").code == 0


def test_anonymous_volumes(cli: Teller) -> None:
    """--rm takes the anonymous volume along; prune removes those that are left."""
    cli.ok("run", "--rm", "-v", "/data", BASE, "true")
    assert cli.ok("volume", "ls", "-q").out == ""
    cli.ok("run", "--name", "one", "-v", "/data", BASE, "true")
    name = cli.ok("volume", "ls", "-q").out.strip()
    assert len(name) == 64
    cli.ok("rm", "one")
    assert cli.ok("volume", "prune", "-f").lines[:2] == ["Deleted Volumes:", name]


def test_bad_volume_name(cli: Teller) -> None:
    """A name that docker refuses is refused."""
    said = cli("volume", "create", "a b")
    assert said.code == 1
    assert "includes invalid characters" in said.err


def test_networks(cli: Teller, isolated: bool) -> None:
    """The three that docker has from the start are there. (A pod's containers see the machine's interfaces.)"""
    listed = cli.ok("network", "ls", "--format", "{{.Name}} {{.Driver}}").lines
    assert [line for line in listed if not line.startswith("test")] == ["bridge bridge", "host host", "none null"]
    assert json.loads(cli.ok("network", "inspect", "none").out)[0]["Driver"] == "null"
    assert cli("network", "inspect", "bridge2").code == 1
    for name in ("bridge", "host", "none"):
        assert f"not permitted on predefined {name} network" in cli("network", "create", name).err
    assert json.loads(cli.ok("network", "inspect", "host").out)[0]["IPAM"]["Config"] is None
    assert cli("run", "--rm", "--network", "bridge2", BASE, "true").code == 125
    interfaces = cli.ok("run", "--rm", "--network", "none", BASE, "cat", "/proc/net/dev").lines[2:]
    assert [line.split(":")[0].strip() for line in interfaces] == ["lo"] or not isolated


def test_prune_asks(cli: Teller) -> None:
    """Without --force prune asks; yes goes ahead, the end of the input is a no."""
    cli.ok("create", "--name", "one", BASE, "true")
    said = cli.ok("container", "prune")
    assert said.out.startswith("WARNING! This will remove all stopped containers.\nAre you sure")
    assert "--force" in said.err
    assert cli.ok("ps", "-aq").out
    said = cli.ok("container", "prune", stdin=b"y\n")
    assert "Deleted Containers:\n" in said.out
    assert said.lines[-1] == "Total reclaimed space: 0B"
    assert cli.ok("ps", "-aq").out == ""


def test_system_prune_says_what_it_takes(cli: Teller) -> None:
    """Networks that nobody uses go, too; the question lists everything, and the filters."""
    cli.ok("network", "create", "idle")
    said = cli.ok("system", "prune", "--filter", "label=a=b")
    listed = [line for line in said.lines if line.startswith("  - ")]
    assert listed == [
        "  - all stopped containers", "  - all networks not used by at least one container", "  - all dangling images",
        "  - unused build cache", "  - label=a=b",
    ]  # fmt: skip
    assert "idle" in cli.ok("network", "ls", "--format", "{{.Name}}").lines
    assert cli.ok("system", "prune", "-f").out.startswith("Deleted Networks:\nidle\n")
    assert cli("system", "prune", "--volumes", "--filter", "until=1h").err.startswith('Error: The "until" filter')


def test_system(cli: Teller, engine: Engine) -> None:
    """Info says in words what the machine allows; df counts; version can be asked for by scripts."""
    said = cli.ok("info")
    assert "What this machine allows:" in said.out
    assert f"Overlay filesystem: {'yes' if engine.machine.overlay.ok else 'no'}" in said.out
    assert "busybox-static: a minirt/base of 2 MB" in cli.ok("info", environment={"PATH": "/nowhere"}).out
    assert cli.ok("info", "-f", "{{.OSType}} {{.LoggingDriver}}").out == "linux json-file\n"
    assert {"Logging Driver: json-file", f"Name: {os.uname().nodename}"} <= set(said.out.splitlines())
    assert json.loads(cli.ok("info", "--format", "json").out)["OSType"] == "linux"
    assert cli.ok("system", "df").lines[0].split() == ["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"]
    assert cli.ok("version", "--format", "{{.Server.Version}}").out == cli.ok("version", "-f", "{{.Version}}").out
    assert cli.ok("system", "prune", "-f").lines[-1].startswith("Total reclaimed space: ")


def test_network_prune_chooses(cli: Teller) -> None:
    """--filter takes labels and ages; the others stay."""
    cli.ok("network", "create", "--label", "keep=yes", "kept")
    cli.ok("network", "create", "gone")
    assert cli.ok("network", "prune", "-f", "--filter", "until=1h").out == ""
    assert cli.ok("network", "prune", "-f", "--filter", "label!=keep").lines[:2] == ["Deleted Networks:", "gone"]
    assert "kept" in cli.ok("network", "ls", "--format", "{{.Name}}").lines
    cli.ok("network", "rm", "kept")
