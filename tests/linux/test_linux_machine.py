"""Asking the machine: probe, processes, id maps, capabilities, mounts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from minirt.linux import caps, idmap
from minirt.linux.machine import machine_from_json, machine_to_json
from minirt.linux.mounts import mounts
from minirt.linux.probe import probe
from minirt.linux.processes import boot_id, is_alive, open_process, start_time
from minirt.model.spec import DEFAULT_CAPABILITIES, IdMapping


def test_probe_answers_and_remembers(tmp_path: Path) -> None:
    """Every answer that is no has a reason, also where it follows from another; the second time nothing is tried again;
    no scratch file is left.
    """
    machine = probe(tmp_path)
    for name, answer in machine.answers().items():
        assert answer.ok or answer.why, name
        assert "was not tried" not in answer.why, f"{name}: what it builds on is not named"
    assert machine.snapshotter in ("overlay", "copy")
    assert machine.isolation in ("namespaces", "proot", "none")
    assert os.listdir(tmp_path / "tmp") == []
    # What a trial needs is made there; where nothing was made, nothing was tried.
    before = os.stat(tmp_path / "tmp").st_mtime_ns
    assert probe(tmp_path) == machine
    assert os.stat(tmp_path / "tmp").st_mtime_ns == before
    assert machine_from_json(json.loads(json.dumps(machine_to_json(machine)))) == machine


def test_probe_overrides(tmp_path: Path) -> None:
    """The choice may be overruled, the answers stay."""
    machine = probe(tmp_path, snapshotter="copy", isolation="proot", subordinate_ids=False)
    assert (machine.snapshotter, machine.isolation) == ("copy", "proot")
    assert machine.overlay == probe(tmp_path).overlay
    assert machine.root or machine.single_id


def test_a_damaged_cache_is_no_obstacle(tmp_path: Path) -> None:
    """What another version wrote is tried again."""
    machine = probe(tmp_path)
    (cache,) = (tmp_path / "cache").iterdir()
    cache.write_text('{"situation": 3')
    assert probe(tmp_path) == machine


_MEETING = """
import os, signal, sys
sys.path[:] = eval(sys.argv[1])
from minirt.linux.trials import begin
(first_read, first_write), (second_read, second_write) = os.pipe(), os.pipe()

def meet(read_end, write_end):
    os.write(write_end, b"here")
    assert os.read(read_end, 4) == b"here"

signal.alarm(30)
waits = [
    begin(lambda: meet(first_read, second_write)),
    begin(lambda: meet(second_read, first_write)),
    begin(lambda: os.kill(os.getpid(), signal.SIGKILL)),
    begin(lambda: os.stat("/nowhere")),
    begin(lambda: 1 // 0),
]
for wait in waits:
    print(wait())
"""


def test_trials_run_at_the_same_time() -> None:
    """Two that wait for each other come to an end; one that is killed or fails takes no other with it, and says why."""
    done = subprocess.run([sys.executable, "-c", _MEETING, repr(sys.path)], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == [
        "None",
        "None",
        "[0, 'the trial was killed']",
        "[2, '/nowhere: No such file or directory']",
        "[0, 'ZeroDivisionError: integer division or modulo by zero']",
    ], done.stderr


def test_processes_are_known_by_their_start() -> None:
    """A process id with the wrong start time is another process."""
    with subprocess.Popen(["sleep", "60"]) as sleeper:
        started = start_time(sleeper.pid)
        assert started is not None and is_alive(sleeper.pid, started)
        assert not is_alive(sleeper.pid, started + 1)
        assert open_process(sleeper.pid, started + 1) is None
        fd = open_process(sleeper.pid, started)
        assert fd is not None
        os.close(fd)
        sleeper.kill()
        sleeper.wait()
        assert not is_alive(sleeper.pid, started)
    assert start_time(2**22 + 1) is None
    assert len(boot_id()) == 36


def test_a_name_with_parentheses(tmp_path: Path) -> None:
    """A program's name may look like the end of its own field."""
    program = tmp_path / "a) R 1 ("
    os.symlink(sys.executable, program)
    with subprocess.Popen([program, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert (start_time(process.pid) or 0) > 100


def test_subordinate_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest range of the user counts, by his name or number; comments and rubbish do not."""
    table = tmp_path / "subuid"
    table.write_text("# x\nann:100000:1000\n77:200000:65536\nbad line\nbob:1:2\n")
    assert idmap._granted(str(table), {"ann", "77"}) == (200000, 65536)
    assert idmap._granted(str(table), {"eve"}) is None
    assert idmap._granted(str(tmp_path / "missing"), {"ann"}) is None
    assert idmap.own_id_map() == ((IdMapping(0, os.geteuid(), 1),), (IdMapping(0, os.getegid(), 1),))


def test_capability_masks() -> None:
    """Names become the kernel's bits; docker's default set is the well-known mask."""
    assert caps.mask_of(DEFAULT_CAPABILITIES) == 0xA80425FB
    with pytest.raises(KeyError):
        caps.mask_of(["CAP_NONE"])
    assert caps.last_capability() >= 40


def test_mount_table() -> None:
    """Paths with spaces are read as they are."""
    table = mounts()
    assert any(mount.target == "/" for mount in table)
    assert any((mount.target, mount.kind) == ("/proc", "proc") for mount in table)


_OVERLAY = """
import os, sys
sys.path[:] = eval(sys.argv[1])
from minirt.linux import mounts, namespaces
from minirt.linux.idmap import own_id_map
from minirt.linux.syscalls import unshare
from minirt.model.spec import OverlayRoot
user = os.geteuid() != 0
if user:
    namespaces.enter_user_namespace(namespaces.make_user_namespace(*own_id_map()))
unshare(namespaces.CLONE_NEWNS)
mounts.make_private()
top = sys.argv[2]
lowers = tuple(f"{top}/{number}" for number in range(200))
root = OverlayRoot(lowers, f"{top}/upper", f"{top}/work")
before = os.getcwd(), os.listdir("/proc/self/fd")
mounts.mount_overlay(root, f"{top}/merged", user=user, old_api=sys.argv[3] == "old")
assert (os.getcwd(), os.listdir("/proc/self/fd")) == before
print(open(f"{top}/merged/last").read(), len(os.listdir(f"{top}/merged")))
"""


@pytest.mark.parametrize("api", ["old", "new"])
def test_both_ways_to_mount_many_layers(tmp_path: Path, api: str) -> None:
    """200 layers with long paths, with the mount call of old kernels and with that of new ones."""
    machine = probe(tmp_path / "home")
    if not machine.overlay.ok:
        pytest.skip(machine.overlay.why)
    top = tmp_path / ("long" * 40)
    for number in range(200):
        (top / str(number)).mkdir(parents=True)
        (top / str(number) / f"f{number}").touch()
        (top / str(number) / "last").write_text(str(number))
    for name in ("upper", "work", "merged"):
        (top / name).mkdir()
    done = subprocess.run(
        [sys.executable, "-c", _OVERLAY, repr(sys.path), str(top), api], capture_output=True, text=True, check=False
    )
    assert done.stdout == "199 201\n", done.stderr
