"""Run every test, the notebooks included, and say how many ran in each mode: what ``make test`` does.

The notebooks come second and by themselves, because nbval's strict comparison starts one kernel a notebook.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """The exit code: 0 when everything passed."""
    code = subprocess.run([sys.executable, "-m", "pytest", *sys.argv[1:]], cwd=ROOT).returncode
    return code or notebooks()


def notebooks() -> int:
    """Every notebook from top to bottom in a fresh home, each output compared with the saved one."""
    with tempfile.TemporaryDirectory(prefix="minirt-notebooks-") as home:
        env = {**os.environ, "MINIRT_LIVE": "0", "MINIRT_HOME": home}
        command = [
            sys.executable, "-m", "pytest", "--nbval", "--nbval-sanitize-with", "tests/notebooks/sanitize.cfg",
            "-p", "no:cacheprovider", "notebooks",
        ]  # fmt: skip
        return subprocess.run(command, cwd=ROOT, env=env).returncode


if __name__ == "__main__":
    sys.exit(main())
