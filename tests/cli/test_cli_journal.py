"""``top``, ``commit -c``, prune's filters, ``system df -v`` and ``system check``."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from minirt.engine import Engine
from minirt.testing.commands import Teller

BASE = "minirt/base"


def test_top(cli: Teller) -> None:
    """Titles and rows are ps's; a stopped container has none."""
    cli.ok("run", "-d", "--name", "busy", BASE, "sleep", "60")
    lines = cli.ok("top", "busy").lines
    assert lines[0].split()[:3] == ["UID", "PID", "PPID"]
    assert len(lines) == 2
    assert lines[1].endswith("sleep 60")
    assert cli.ok("top", "busy", "-o", "pid,comm").lines[0].split() == ["PID", "COMMAND"]
    cli.ok("kill", "busy")
    assert cli("top", "busy").code == 1


def test_commit_changes(cli: Teller) -> None:
    """-c edits the config with the Dockerfile's words, and only those that make no layer."""
    cli.ok("create", "--name", "base", BASE, "true")
    cli.ok("commit", "-c", "CMD echo changed", "-c", "ENV A=1 B=$A", "-m", "why", "-a", "who", "base", "changed:1")
    assert cli.ok("run", "--rm", "changed:1").out == "changed\n"
    assert cli.ok("image", "inspect", "-f", "{{.Author}} {{.Comment}}", "changed:1").out == "who why\n"
    assert cli("commit", "-c", "RUN true", "base").code != 0


def test_prune_filters(cli: Teller) -> None:
    """Filters by age and label choose what prune takes."""
    cli.ok("create", "--name", "old", "--label", "keep=yes", BASE, "true")
    cli.ok("create", "--name", "other", BASE, "true")
    assert cli.ok("container", "prune", "-f", "--filter", "until=1h").out == "Total reclaimed space: 0B\n"
    assert len(cli.ok("container", "prune", "-f", "--filter", "label!=keep").lines) == 4
    assert cli.ok("ps", "-a", "--format", "{{.Names}}").out == "old\n"
    cli.ok("volume", "create", "--label", "keep", "kept")
    cli.ok("volume", "create", "gone")
    cli.ok("volume", "prune", "-f", "--filter", "label!=keep", "--filter", "all=true")
    assert cli.ok("volume", "ls", "-q").lines == ["kept"]


def test_disk_usage(cli: Teller) -> None:
    """Two containers of one image share all of it: their own bytes are what they wrote."""
    cli.ok("run", "--name", "writer", BASE, "sh", "-c", "head -c 5000 /dev/zero > /f")
    cli.ok("create", "--name", "reader", BASE, "true")
    said = cli.ok("system", "df", "-v").out
    assert "Containers space usage:" in said
    assert re.search(r"5kB.*writer", said)
    assert re.search(r" 0B .*reader", said)


def test_check_and_repair(cli: Teller, engine: Engine) -> None:
    """A healthy home is told so; damage is found, repaired on request, and then gone."""
    assert cli.ok("system", "check").out == "Everything fits together.\n"
    (engine.store.home / "containers" / ("0" * 64)).mkdir()
    (engine.store.home / "layers" / ("1" * 64)).mkdir()
    (engine.store.home / "volumes" / "torn" / "_data").mkdir(parents=True)
    broken = cli("system", "check")
    assert (broken.code, len(broken.lines)) == (1, 3)
    assert cli.ok("system", "check", "--repair").out.count("repaired") == 3
    assert cli.ok("system", "check").out == "Everything fits together.\n"
    assert [volume.name for volume in engine.volumes.list()] == ["torn"]


@pytest.mark.parametrize("words", ["events --since nonsense", "events --filter nonsense=1"])
def test_mistakes(cli: Teller, words: str) -> None:
    """A time or filter that cannot be is refused."""
    assert cli(*words.split()).code == 1


def test_a_torn_line_is_skipped(tmp_path: Path) -> None:
    """A power cut in the middle of a line costs that line only."""
    from minirt.store.journal import Journal

    journal = Journal(tmp_path)
    journal.write("volume", "create", "a", {})
    with journal.path.open("ab") as file:
        file.write(b'{"Type": "vol\n')
    journal.write("volume", "create", "b", {})
    assert [event["Actor"]["ID"] for event in journal.read()] == ["a", "b"]
