"""The storage layer, live: told by the kernel within 200 ms, as root and rootless; copied roots have none."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from minirt.engine import Engine
from minirt.engine.containers import Container
from minirt.errors import Unsupported
from minirt.model.events import CopyUp, Event, FileAdded, FileForgotten, WhiteoutWritten

BASE = "minirt/base"


def _until(seen: list[tuple[float, Event]], wanted: Event, seconds: float = 2.0) -> float:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for moment, event in list(seen):
            if event == wanted:
                return moment
        time.sleep(0.005)
    raise AssertionError(f"{wanted} was not told; {[event for _, event in seen]}")


@pytest.fixture(autouse=True)
def _layered(request: pytest.FixtureRequest, engine: Engine) -> None:
    if "copies" not in request.node.name and engine.machine.snapshotter != "overlay":
        pytest.skip("root filesystems are copies here, and have no layer to watch")


def test_where_roots_are_copies_watching_is_refused(tmp_path: Path) -> None:
    """Rather than that nothing is ever told."""
    with Engine(tmp_path / "home", snapshotter="copy") as engine:
        engine.image_store.base()
        container = engine.containers.create(BASE, ["true"])
        with pytest.raises(Unsupported, match="cannot be watched"):
            container.watch_storage(print)


def test_every_kind_of_change(engine: Engine) -> None:
    """A new file, a copy-up, a whiteout, a replaced directory, and a file that comes and goes."""
    container = engine.containers.run(BASE, ["sleep", "60"], detach=True)
    assert isinstance(container, Container)
    seen: list[tuple[float, Event]] = []
    with container.watch_storage(lambda event: seen.append((time.monotonic(), event))):
        for script, event in (
            ("echo x > /new", FileAdded(container.id, "/new")),
            ("echo more >> /etc/motd", CopyUp(container.id, "/etc/motd")),
            ("rm /etc/group", WhiteoutWritten(container.id, "/etc/group")),
            ("mkdir -p /a/b; echo x > /a/b/c", FileAdded(container.id, "/a/b/c")),
            ("rm /new", FileForgotten(container.id, "/new")),
        ):
            container.exec_run(["sh", "-c", script])
            after = time.monotonic()
            assert _until(seen, event) - after < 0.2
    count = len(seen)
    container.exec_run(["sh", "-c", "echo x > /later"])
    time.sleep(0.1)
    assert len(seen) == count


def test_what_was_there_is_not_told_again(engine: Engine, tmp_path: Path) -> None:
    """Only what happens while one looks; nor what mounts hang on."""
    container = engine.containers.create(BASE, ["sh", "-c", "echo x > /v/x; echo y > /y"], volumes=["vol:/v"])
    container.start()
    container.wait()
    seen: list[Event] = []
    with container.watch_storage(seen.append):
        container.start()
        container.wait()
    assert [event for event in seen if isinstance(event, FileAdded)] == []
