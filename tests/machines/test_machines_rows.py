"""The rows that the table of machines names are there to be booted, and each is in the table."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

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
