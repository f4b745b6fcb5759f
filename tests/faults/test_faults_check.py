"""``docker system check`` tells each kind of damage in plain words, writes nothing, and ``--repair`` mends it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from minirt.engine import Engine
from minirt.engine.checking import check_home
from minirt.engine.findings import Problem
from minirt.errors import ContainerNotFound, ImageNotFound
from minirt.linux.cgroup_tree import find_tree
from minirt.linux.cgroups import Group
from minirt.sandbox.state import write_state

BASE = "minirt/base"


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Engine]:
    """An engine with a home of its own, which may be damaged."""
    with Engine(tmp_path / "home") as engine:
        if engine.machine.isolation == "none":
            pytest.skip(f"no containers here: {engine.machine.namespaces.why}; {engine.machine.proot.why}")
        engine.image_store.base()
        yield engine
        for container in engine.containers.list(all=True):
            container.remove(force=True, v=True)


def _only(engine: Engine) -> Problem:
    (problem,) = check_home(engine)
    return problem


def _mended(engine: Engine) -> None:
    assert all(problem.repaired for problem in check_home(engine, repair=True))
    assert check_home(engine) == ()


def _gone(pid: int) -> None:
    """The container's process dies with its monitor, a moment later."""
    deadline = time.monotonic() + 5
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline, f"process {pid} is there still"
        time.sleep(0.02)


def _picture(home: Path) -> dict[str, tuple[int, int]]:
    """Every file with its size and time: what a look must leave as it is."""
    files = (path for path in home.rglob("*") if "cache" not in path.parts)
    return {str(path): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in files}


def test_an_interrupted_removal(own: Engine) -> None:
    """A container of which a removal left the record and a part is ``dead``; the repair finishes what was wanted."""
    container = own.containers.create(BASE, ["true"])
    directory = own.home / "containers" / container.id
    for name in ("upper", "tree"):
        shutil.rmtree(directory / name, ignore_errors=True)
    write_state(str(directory), {"Status": "dead", "Error": "the helper was killed"}, durable=False)
    assert (_only(own).what, _only(own).cure) == ("its removal was interrupted", "remove what is left of it")
    _mended(own)
    assert not directory.exists()


def test_a_corrupt_blob(own: Engine) -> None:
    """It is found by its digest, put aside, and the image comes back by being made again. A look changes nothing."""
    image = own.images.get(BASE)
    path = own.store.path(image.layers[0].descriptor.digest)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    before = _picture(own.home)
    assert "is damaged" in check_home(own)[0].what
    assert _picture(own.home) == before
    _mended(own)
    with pytest.raises(ImageNotFound):
        own.images.get(f"{BASE}:latest-that-was")
    assert own.containers.run(BASE, ["echo", "again"], remove=True) == b"again\n"


def test_a_missing_blob(own: Engine) -> None:
    """A name that leads to nothing whole is told with what it needs, and taken away."""
    own.containers.run(BASE, ["touch", "/a"], name="one")
    image = own.containers.get("one").commit("made", "1")
    own.store.path(image.layers[-1].descriptor.digest).unlink()
    assert "made:1 needs sha256:" in _only(own).what
    _mended(own)
    with pytest.raises(ImageNotFound):
        own.images.get("made:1")
    assert own.containers.get("one").status == "exited"


@pytest.mark.parametrize("damage", [b"", b'{"schemaVersion":2,"mani', b'{"manifests": 7}', None])
def test_the_list_of_images(own: Engine, damage: bytes | None) -> None:
    """index.json that is empty, cut, wrong or gone is made anew from the blobs, with the names that somebody knows."""
    own.containers.run(BASE, ["touch", "/a"], name="one")
    own.containers.get("one").commit("made", "1").tag("other", "2")
    own.containers.create("made:1", ["true"], name="two")
    index = own.home / "index.json"
    if damage is None:
        index.unlink()
    else:
        index.write_bytes(damage)
    with Engine(own.home) as fresh:
        if damage is not None:
            assert "is not a list of images" in _only(fresh).what
        _mended(fresh)
        if damage is not None:  # without the file it counts as a home in which there is no image yet
            assert {"made:1", "other:2"} <= {tag for image in fresh.images.list() for tag in image.tags}
            assert (own.home / "tmp" / "corrupt-index.json").read_bytes() == damage
        assert fresh.containers.run(BASE, ["echo", "well"], remove=True) == b"well\n"


def test_a_torn_state(own: Engine) -> None:
    """It is written anew as exited; if the container still runs it is ended first, as nobody could reach it."""
    box = own.containers.run(BASE, ["sleep", "600"], name="torn", detach=True)
    state = own.home / "containers" / box.id / "state.json"
    pid = box.attrs["State"]["Pid"]
    state.write_bytes(state.read_bytes()[:40])
    assert any("torn" in problem.what and problem.where.endswith("state.json") for problem in check_home(own))
    check_home(own, repair=True)
    assert check_home(own) == ()
    assert (box.status, box.attrs["State"]["ExitCode"]) == ("exited", 137)
    _gone(pid)
    box.start()
    assert box.status == "running"


def test_a_torn_record(own: Engine) -> None:
    """What the container wrote may be dear: nothing is removed, and it is said where it lies."""
    box = own.containers.create(BASE, ["true"])
    (own.home / "containers" / box.id / "config.json").write_bytes(b'{"id": ')
    problem = _only(own)
    assert "cannot be read" in problem.what and "upper" in problem.what and not problem.cure
    shutil.rmtree(own.home / "containers" / box.id)
    assert check_home(own) == ()


def test_a_half_made_container(own: Engine) -> None:
    """A directory without a record is removed."""
    box = own.containers.create(BASE, ["true"])
    (own.home / "containers" / box.id / "config.json").unlink()
    assert _only(own).what == "a container without a record"
    _mended(own)
    with pytest.raises(ContainerNotFound):
        own.containers.get(box.id)


def test_a_process_of_a_container_that_is_gone(own: Engine) -> None:
    """Somebody removed the directory by hand: what runs on is found by the log that it holds, and killed."""
    box = own.containers.run(BASE, ["sh", "-c", "echo up; exec sleep 600"], detach=True)
    pid = box.attrs["State"]["Pid"]
    deadline = time.monotonic() + 10
    while box.logs() != b"up\n":  # before, its watcher still writes into the directory, and ends when that is gone
        assert time.monotonic() < deadline
        time.sleep(0.02)
    (own.home / "containers" / box.id).rename(own.home / "tmp" / "away")
    (own.home / "tmp" / "away").rename(own.home / "containers" / ("f" * 64))
    shutil.rmtree(own.home / "containers" / ("f" * 64), ignore_errors=True)
    assert Path(f"/proc/{pid}").exists()
    assert any(problem.where.startswith("process ") for problem in check_home(own))
    check_home(own, repair=True)
    _gone(pid)
    assert check_home(own, repair=True) == () or check_home(own) == ()


def test_a_control_group_that_was_left(own: Engine) -> None:
    """The group of a container that has ended, with a process in it, is cleared."""
    if not own.machine.cgroups.ok:
        pytest.skip(own.machine.cgroups.why)
    box = own.containers.create(BASE, ["true"])
    tree = find_tree()
    assert tree is not None
    group = Group(tree, f"minirt/{box.id}")
    group.create()
    stray = subprocess.Popen(["sleep", "600"])
    group.add(stray.pid)
    assert "control group" in _only(own).what
    _mended(own)
    assert stray.wait(timeout=5) == -signal.SIGKILL and not group.exists


def test_a_bridge_that_was_left(own: Engine) -> None:
    """A network that is up although nobody is on it, since everything of it was killed at once."""
    if os.geteuid():
        pytest.skip("an ordinary user's bridges go with their keeper")
    box = own.containers.run(BASE, ["sleep", "600"], network=own.networks.create("left").name, detach=True)
    attrs = box.attrs["State"]
    os.kill(own.lifecycle.state(own.lifecycle.shelf.get(box.id)).monitor_pid, signal.SIGKILL)
    _gone(attrs["Pid"])
    assert any(problem.where.startswith("interface mrt-") for problem in check_home(own))
    check_home(own, repair=True)
    assert check_home(own) == ()


def test_a_lock_and_a_lease_that_were_left(own: Engine) -> None:
    """Whoever was killed while holding them holds nobody up: the kernel lets go."""
    program = (
        "import sys, os, signal; from pathlib import Path; from minirt.store import Store\n"
        "store = Store(Path(sys.argv[1]))\n"
        "with store.lease(), store.lock('container-names'), store.lock('volume-v'):\n"
        "    store.put(b'unnamed', 'text/plain'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(own.home)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert list((own.home / "leases").iterdir())
    began = time.monotonic()
    own.volumes.create("v")
    own.containers.create(BASE, ["true"])
    assert time.monotonic() - began < 30
    assert check_home(own) == ()
    assert own.store.sweep(own.needed_blobs()).blobs >= 1


def test_files_of_another_owner(own: Engine) -> None:
    """What was made with sudo in an ordinary user's home is told, and root can give it back."""
    if os.geteuid():
        pytest.skip("only root can give files away")
    other = own.home / "volumes" / "theirs"
    own.volumes.create("theirs")
    os.chown(other, 12345, 12345)
    assert "belongs to user 12345" in _only(own).what
    _mended(own)
    assert other.stat().st_uid == own.home.stat().st_uid


def test_damage_in_words(own: Engine) -> None:
    """The record of a volume that is gone names the command that makes the volume anew."""
    own.containers.create(BASE, ["true"], name="user", volumes=["gone:/data"])
    shutil.rmtree(own.home / "volumes" / "gone")
    assert "docker volume create gone" in _only(own).what
    assert json.loads((own.home / "index.json").read_bytes())["manifests"]


def test_what_killed_processes_had_begun(own: Engine) -> None:
    """A half-written blob, layer and build of processes that are gone are told at once; those of living ones never."""
    with own.store.writer() as writer:
        writer.write(b"being written")
        assert check_home(own) == ()
    program = (
        "import sys, os, signal; from pathlib import Path; from minirt.store import Store\n"
        "from minirt.snapshots.staging import staging_path; store = Store(Path(sys.argv[1]))\n"
        "with store.writer() as writer:\n"
        "    staging_path(store.home / 'tmp', 'layer').mkdir(); (store.home / 'tmp' / 'build-1234').mkdir()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", program, str(own.home)], check=False)
    assert len([problem for problem in check_home(own) if "never finished" in problem.what]) == 3
    _mended(own)
    assert list((own.home / "tmp").iterdir()) == []
