"""What kernels of 2020 (5.10, Debian 11) do not know yet: the calls are answered here as such a kernel would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_PROGRAM = """
import os, struct, sys
from minirt.linux.syscalls import prctl, seccomp_load
LOAD, EQUAL, RETURN, ENOSYS, ALLOW = 0x20, 0x15, 0x06, 0x00050026, 0x7FFF0000
missing = (436, 439, 442)  # close_range, faccessat2, mount_setattr: their numbers are the same on all machines
filter = [(LOAD, 0, 0, 0)] + [(EQUAL, len(missing) - place, 0, number) for place, number in enumerate(missing)]
filter += [(RETURN, 0, 0, ALLOW), (RETURN, 0, 0, ENOSYS)]
if os.geteuid():
    prctl(38, 1)
seccomp_load(b"".join(struct.pack("=HBBI", *line) for line in filter))
from pathlib import Path
from minirt.engine import Engine
with Engine(sys.argv[1]) as engine:
    run = engine.containers.run
    assert run("minirt/base", ["sh", "-c", "echo hello; ls /proc/self/fd | wc -l"], remove=True) == b"hello\\n4\\n"
    Path(sys.argv[1], "bound").mkdir()
    where = {str(Path(sys.argv[1], "bound")): {"bind": "/bound", "mode": "ro"}}
    write = ["sh", "-c", "touch /bound/file || echo refused; echo 1 > /proc/sys/kernel/domainname || echo no"]
    said = run("minirt/base", write, remove=True, volumes=where, stderr=True)
    assert b"refused" in said and b"no\\n" in said, said
    mounts = run("minirt/base", ["grep", "-E", " (/bound|/sys|/proc/sys) ", "/proc/self/mountinfo"], volumes=where)
    lines = [line.split()[4:6] for line in mounts.decode().splitlines()]
    assert len(lines) >= 3 and all("ro" in options.split(",") for _, options in lines), lines
    assert run("minirt/base", ["echo", "yes"], remove=True, read_only=True) == b"yes\\n"
print("well")
"""


def test_without_the_calls_of_later_kernels(tmp_path: Path) -> None:
    """Without mount_setattr and close_range containers run, read-only mounts are so, and no descriptor leaks."""
    from minirt.linux.probe import probe

    (tmp_path / "probed").mkdir()
    machine = probe(tmp_path / "probed")
    if machine.isolation != "namespaces":
        pytest.skip(f"no namespaces here: {machine.namespaces.why}")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(tmp_path / "home")], env=environment, capture_output=True, text=True
    )
    assert done.stdout == "well\n", done.stdout + done.stderr
