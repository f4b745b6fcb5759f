"""``docker top``: the machine's ``ps``, asked about all and narrowed to a container's processes, as docker does it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from minirt.errors import InvalidInput

__all__ = ["process_table"]

_OWN_TITLES = ("UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD")


def process_table(pids: Sequence[int], options: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Titles and rows. ``options`` are ps's (default ``-ef``). Raises :class:`InvalidInput` when ps refuses them."""
    program = shutil.which("ps")
    if program is None:
        if options:
            raise InvalidInput("this machine has no ps program to take these options", hint="Leave them out.")
        return list(_OWN_TITLES), [_own_row(pid) for pid in pids]
    words = list(options) or ["-ef"]
    done = subprocess.run([program, *words], capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        error = InvalidInput(f"error running ps: {done.stderr.strip() or f'exit status {done.returncode}'}")
        error.exit_code = 1
        raise error
    lines = done.stdout.splitlines()
    titles = lines[0].split()
    if "PID" not in titles:
        error = InvalidInput("Couldn't find PID field in ps output", hint="Add pid to the columns: -o pid,…")
        error.exit_code = 1
        raise error
    at = titles.index("PID")
    rows = [line.split(None, len(titles) - 1) for line in lines[1:]]
    wanted = {str(pid) for pid in pids}
    return titles, [row for row in rows if len(row) > at and row[at] in wanted]


def _own_row(pid: int) -> list[str]:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        owner = str(os.stat(f"/proc/{pid}").st_uid)
    except OSError:
        return ["?", str(pid), "?", "0", "?", "?", "?", "?"]
    ticks = (int(fields[11]) + int(fields[12])) // os.sysconf("SC_CLK_TCK")
    spent = f"{ticks // 3600:02}:{ticks // 60 % 60:02}:{ticks % 60:02}"
    return [owner, str(pid), fields[1], "0", "?", "?", spent, command]
