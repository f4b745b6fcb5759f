"""Control groups of version 2 lent to an ordinary user, as systemd does it, laid out in a mount namespace here."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator

import pytest

from tests.sandbox.test_sandbox_rootless import _own_paths, _python_for

_USER = 65534
# A second mount of the one tree of version 2; only who is in this mount namespace sees it in the usual place.
_LAY_OUT = """
mount --make-rprivate / && mount -t tmpfs none /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup || exit 77
lent=/sys/fs/cgroup/$1; mkdir -p $lent/scope && echo $$ > $lent/scope/cgroup.procs || exit 77
for place in /sys/fs/cgroup $lent; do
  for one in $(cat $place/cgroup.controllers); do echo +$one > $place/cgroup.subtree_control; done 2> /dev/null
done
chown -R $2:$2 $lent; shift 2; exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
"""
_PROGRAM = """
import sys, time
from pathlib import Path
from minirt.engine import Engine
with Engine(sys.argv[1]) as engine:
    if not engine.machine.cgroups.ok:
        print(f"not lent: {engine.machine.cgroups.why}"); sys.exit(1)
    print("controllers:", *engine.machine.controllers)
    limits = {"pids_limit": 9} if "pids" in engine.machine.controllers else {}
    box = engine.containers.run("minirt/base", ["sleep", "600"], detach=True, **limits)
    group = next(Path("/sys/fs/cgroup").rglob(f"minirt/{box.id}"))
    assert str(box.attrs["State"]["Pid"]) in (group / "cgroup.procs").read_text().split()
    assert not limits or (group / "pids.max").read_text() == "9\\n"
    box.pause()
    assert "frozen 1" in (group / "cgroup.events").read_text()
    box.unpause()
    assert "frozen 0" in (group / "cgroup.events").read_text()
    box.remove(force=True)
    deadline = time.monotonic() + 5
    while group.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not group.exists()
    print("well")
"""


@pytest.fixture
def lent() -> Iterator[str]:
    """The name of the group that is lent; what is left of it is taken away."""
    if os.geteuid():
        pytest.skip("only root can lend control groups")
    name = f"minirt-lent-{os.getpid()}"
    yield name
    for mounted in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
        subprocess.run(["find", f"{mounted}/{name}", "-depth", "-type", "d", "-exec", "rmdir", "{}", ";"],
                       capture_output=True, check=False)  # fmt: skip


def test_lent_groups_limit_and_freeze(lent: str) -> None:
    """A container of a user with lent groups is in one of its own, which freezes it and, with controllers, limits."""
    with tempfile.TemporaryDirectory(prefix="minirt-lent-", ignore_cleanup_errors=True) as home:
        os.chown(home, _USER, _USER)
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(_own_paths()), "HOME": home}
        python = _python_for(_USER, environment)
        command = ["unshare", "--mount", "sh", "-c", _LAY_OUT, "sh", lent, str(_USER), python, "-c", _PROGRAM]
        done = subprocess.run([*command, f"{home}/home"], env=environment, capture_output=True, text=True, cwd="/")
    if done.returncode == 77:
        pytest.skip(f"no control groups of version 2 here: {done.stderr}")
    assert done.returncode == 0 and done.stdout.endswith("well\n"), done.stdout + done.stderr
