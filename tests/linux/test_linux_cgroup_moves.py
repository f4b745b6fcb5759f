"""What makes a first move between control groups quick."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from minirt.linux.cgroup_moves import begin_moves


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may move processes here")
def test_a_process_stays_where_it_is() -> None:
    """The move goes nowhere: all groups of the process are those of before, and it lives."""
    with subprocess.Popen(["sleep", "60"]) as program:
        before = Path(f"/proc/{program.pid}/cgroup").read_text()
        begin_moves(program.pid)
        assert Path(f"/proc/{program.pid}/cgroup").read_text() == before
        assert program.poll() is None
        program.kill()


def test_a_process_that_is_gone() -> None:
    """Nothing is raised: it is only about time."""
    with subprocess.Popen(["true"]) as program:
        program.wait()
        begin_moves(program.pid)
    begin_moves(2**22 + 1)
