"""Volume commands as typed."""

from __future__ import annotations

import json
from pathlib import Path

from minirt.testing.commands import Teller

BASE = "minirt/base"


def test_create_with_options(cli: Teller, tmp_path: Path) -> None:
    """--opt is kept, shown and obeyed; a plugin is not found."""
    cli.ok("volume", "create", "-o", "type=none", "-o", "o=bind", "-o", f"device={tmp_path}", "--label", "a=b", "dir")
    facts = json.loads(cli.ok("volume", "inspect", "dir").out)[0]
    assert (facts["Options"]["device"], facts["Labels"]) == (str(tmp_path), {"a": "b"})
    cli.ok("run", "--rm", "-v", "dir:/d", BASE, "sh", "-c", "echo here > /d/f")
    assert (tmp_path / "f").read_text() == "here\n"
    assert cli("volume", "create", "-d", "nfs", "x").code != 0
    assert cli("volume", "create", "-o", "nonsense", "x").code != 0


def test_ls_into_a_volume(cli: Teller) -> None:
    """NAME:/path lists what is there, by names alone with -q."""
    cli.ok("run", "--rm", "-v", "box:/d", BASE, "sh", "-c", "mkdir /d/sub; echo hello > /d/sub/file")
    lines = cli.ok("volume", "ls", "box:/sub").lines
    assert lines[0].split() == ["MODE", "OWNER", "SIZE", "NAME"]
    assert lines[1].split() == ["-rw-r--r--", "0:0", "6B", "file"]
    assert cli.ok("volume", "ls", "-q", "box").lines == ["sub"]
    assert cli("volume", "ls", "box:/none").code == 1
