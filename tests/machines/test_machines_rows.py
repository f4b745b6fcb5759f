"""The rows that the table of machines names are there to be booted, and each is in the table."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from minirt.engine import Engine
from tests.machines import trial
from tests.machines.__main__ import ROOT, _script
from tests.machines.rows import ROWS, SUITES

_NAME = re.compile(r"\*([a-z]+-[a-z0-9.-]+|user|reset)\*")


def test_the_table_and_the_rows_agree() -> None:
    """A row that is named exists, and none is left out."""
    text = (ROOT / "docs" / "machines.md").read_text()
    named = {name for part in re.findall(r"rows? (\*[^|;]+)", text) for name in _NAME.findall(part)}
    assert named == set(ROWS)


@pytest.mark.parametrize("name", ROWS)
def test_a_rows_script(name: str, tmp_path: Path) -> None:
    """A shell can read it, its kernel is one that the image has, and there is something to try."""
    row = ROWS[name]
    (tmp_path / "row.sh").write_text(_script(name, row, []))
    assert subprocess.run(["sh", "-n", tmp_path / "row.sh"], capture_output=True).stderr == b""
    assert row.suite in SUITES and trial._trials(row)


def test_the_trial_itself_on_this_machine(tmp_path: Path) -> None:
    """What is tried in the rows speaks to the engine as it is today; each part ends well here, without a boot."""
    with Engine(tmp_path) as engine:
        if engine.machine.isolation == "none":
            pytest.skip("no container can run on this machine")
        row = "root-v2" if engine.machine.controllers else "user"
    parts = ["build", "run", "files", "statistics", "whole"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.machines.trial", row, *parts],
        env={**os.environ, "MINIRT_HOME": str(tmp_path)},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert re.findall(r"ok +(\w+)", done.stdout) == parts and done.returncode == 0, done.stdout + done.stderr
