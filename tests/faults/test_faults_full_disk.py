"""A full disk fails the write, not the store: everything is whole after, and goes on once there is room."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from minirt.engine import Engine
from minirt.engine.checking import check_home
from minirt.errors import StorageFull
from tests.faults.conftest import SmallDisk

BASE = "minirt/base"
_TALK = "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.01; done"


def _create(engine: Engine, _: Path) -> None:
    engine.containers.create(BASE, ["true"])


def _run(engine: Engine, _: Path) -> None:
    engine.containers.run(BASE, ["true"], remove=True)


def _start(engine: Engine, _: Path) -> None:
    engine.containers.get("made").start()


def _pause(engine: Engine, _: Path) -> None:
    engine.containers.get("talker").pause()


def _commit(engine: Engine, _: Path) -> None:
    engine.containers.get("talker").commit("new", "1")


def _build(engine: Engine, context: Path) -> None:
    (context / "Dockerfile").write_text(f"FROM {BASE}\nCOPY big /big\nRUN echo more > /more\n")
    (context / "big").write_bytes(b"x" * 300_000)
    engine.images.build(path=str(context), tag="built")


def _load(engine: Engine, context: Path) -> None:
    with (context / "saved.tar").open("rb") as archive:
        engine.images.load(archive)


def _tag(engine: Engine, _: Path) -> None:
    engine.images.get(BASE).tag("another")


def _volume(engine: Engine, _: Path) -> None:
    engine.volumes.create("fresh")


def _network(engine: Engine, _: Path) -> None:
    engine.networks.create("fresh")


_WRITES = (_create, _run, _start, _pause, _commit, _build, _load, _tag, _volume, _network)


@pytest.mark.parametrize("what", ["bytes", "names"])
def test_each_write_fails_and_leaves_the_home_whole(small_disk: SmallDisk, tmp_path: Path, what: str) -> None:
    """What cannot be written raises StorageFull and is not half there; the same call works once there is room."""
    engine = small_disk.engine
    context = tmp_path / "context"
    context.mkdir()
    made = engine.containers.run(BASE, ["sh", "-c", "head -c 200000 /dev/urandom > /data"], name="made", detach=True)
    made.wait()
    made.commit("other", "1")
    (context / "saved.tar").write_bytes(b"".join(engine.images.get("other:1").save()))
    engine.images.remove("other:1")
    talker = engine.containers.run(BASE, ["sh", "-c", _TALK], name="talker", detach=True)
    before = {container.id for container in engine.containers.list(all=True)}
    small_disk.fill() if what == "bytes" else small_disk.use_up_names()
    for write in _WRITES:
        _fails_whole(engine, write, context)
        assert {container.id for container in engine.containers.list(all=True)} == before
    assert talker.status == "running"
    small_disk.free()
    for write in _WRITES:
        write(engine, context)
    assert check_home(engine) == ()


def _fails_whole(engine: Engine, write: Callable[[Engine, Path], None], context: Path) -> None:
    try:
        write(engine, context)
    except StorageFull as error:
        assert "space" in error.what and "prune" in error.hint
    else:
        # Some need nothing that is not there already; then they must have done what they said.
        assert write in (_pause, _start, _network, _volume, _tag, _run), write.__name__
        if write is _pause:
            engine.containers.get("talker").unpause()
    assert check_home(engine) == ()


def test_a_container_ends_on_a_full_disk(small_disk: SmallDisk) -> None:
    """Its log has whole lines only, its end is told with its exit code, and it can be stopped and removed."""
    engine = small_disk.engine
    talker = engine.containers.run(BASE, ["sh", "-c", f"trap 'exit 5' TERM; {_TALK}"], name="talker", detach=True)
    time.sleep(0.2)
    small_disk.fill()
    time.sleep(0.5)
    talker.stop(timeout=5)
    assert (talker.status, talker.attrs["State"]["ExitCode"], talker.attrs["State"]["Error"]) == ("exited", 5, "")
    lines = talker.logs().decode().splitlines()
    assert lines == [f"line {number}" for number in range(1, len(lines) + 1)]
    talker.remove()
    assert check_home(engine) == ()


def test_a_log_goes_on_when_there_is_room_again(small_disk: SmallDisk) -> None:
    """Lines of the meantime are lost, and none of those that were written is torn."""
    engine = small_disk.engine
    talker = engine.containers.run(BASE, ["sh", "-c", _TALK], name="talker", detach=True)
    small_disk.fill()
    time.sleep(0.7)
    small_disk.free()
    time.sleep(0.7)
    talker.stop(timeout=0)
    raw = (engine.home / "containers" / talker.id / "log").read_bytes().splitlines()
    assert all(line.startswith(b"{") and line.endswith(b"}") for line in raw)
    numbers = [int(line.split()[1]) for line in talker.logs().decode().splitlines()]
    assert numbers == sorted(numbers) and len(numbers) == len(raw)


def test_a_container_that_restarts_can_be_stopped_on_a_full_disk(small_disk: SmallDisk) -> None:
    """With --restart always and no room for one more name, stop is the end."""
    engine = small_disk.engine
    engine.containers.run(BASE, ["sleep", "600"], name="again", detach=True, restart_policy={"Name": "always"})
    small_disk.use_up_names()
    engine.containers.get("again").stop(timeout=0)
    time.sleep(0.5)
    assert engine.containers.get("again").status == "exited"
    small_disk.free()
    again = engine.containers.get("again")
    again.start()
    assert again.attrs["HostConfig"]["RestartPolicy"]["Name"] == "always"
