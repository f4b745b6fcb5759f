"""The facade: one home, several engines, docker-py's shape."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from minirt.engine import Engine
from minirt.engine.lazy import made_once
from minirt.errors import ImageInUse, ImageNotFound, VolumeInUse, VolumeNotFound

BASE = "minirt/base"


def test_from_env_takes_the_home_of_the_environment(tmp_path: Path) -> None:
    """`minirt.from_env()` is the engine of the command line and the notebooks."""
    code = "import minirt; e = minirt.from_env(); print(e.home)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"MINIRT_HOME": str(tmp_path / "h")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(tmp_path / "h")
    assert not (tmp_path / "h").exists(), "an engine that did nothing makes nothing"


def test_parts_are_made_once_however_many_ask_at_once() -> None:
    """Two threads that need a part at the same time get the same one."""

    class Owner:
        _making = threading.RLock()
        made: list[object] = []

        @made_once
        def part(self) -> object:
            self.made.append(object())
            return self.made[-1]

    owner = Owner()
    threads = [threading.Thread(target=lambda: owner.part) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(owner.made) == 1


def test_info_tells_what_the_machine_allows_in_plain_words(engine: Engine) -> None:
    """Every answer that is no says why and what to do."""
    info = engine.info()
    assert info["DockerRootDir"] == str(engine.home)
    assert info["Images"] >= 1
    for name, answer in info["Machine"].items():
        assert answer["ok"] or (answer["why"] and answer["cure"]), name


def test_an_image_in_use_is_not_removed(engine: Engine) -> None:
    """Rmi refuses while a container was made from the image, and says which."""
    container = engine.containers.create(BASE, ["true"])
    image = container.commit("used", "1")
    user = engine.containers.create("used:1", ["true"])
    with pytest.raises(ImageInUse, match=user.short_id):
        engine.images.remove("used:1")
    user.remove()
    removal = engine.images.remove("used:1")
    assert [str(digest) for digest in removal.deleted] == [image.id]
    with pytest.raises(ImageNotFound):
        engine.images.get("used:1")


def test_removing_an_image_frees_its_own_layers_only(engine: Engine) -> None:
    """The tree of a layer goes with the last image that has it; shared ones stay."""
    container = engine.containers.create(BASE, ["sh", "-c", "echo x > /x"])
    container.run(lambda *_: None)
    image = container.commit("own", "1")
    container.remove()
    engine.containers.run("own:1", ["cat", "/x"], remove=True)
    *shared, own = [layer.diff_id for layer in image.layers]
    engine.images.remove("own:1")
    assert not engine.snapshots.diff_path(own).exists()
    assert all(engine.snapshots.diff_path(diff_id).exists() for diff_id in shared)


def test_volumes_in_use_are_not_removed(engine: Engine) -> None:
    """A volume goes when no container has it, and not before."""
    container = engine.containers.create(BASE, ["true"], volumes=["kept:/v"])
    with pytest.raises(VolumeInUse, match=container.short_id):
        engine.volumes.get("kept").remove()
    container.remove()
    engine.volumes.get("kept").remove()
    with pytest.raises(VolumeNotFound):
        engine.volumes.get("kept")


def test_anonymous_volumes_go_with_rm_v_and_named_ones_stay(engine: Engine) -> None:
    """`rm -v` takes what nobody named."""
    container = engine.containers.create(BASE, ["true"], volumes=["/anonymous", "named:/n"])
    assert len(engine.volumes.list()) == 2
    container.remove(v=True)
    assert [volume.name for volume in engine.volumes.list()] == ["named"]


def test_engine_closes_and_works_again(tmp_path: Path) -> None:
    """A closed engine starts its helper anew when it is used again."""
    with Engine(tmp_path / "home") as engine:
        if engine.machine.isolation == "none":
            pytest.skip(engine.machine.namespaces.why)
        assert engine.containers.run(BASE, ["echo", "one"], remove=True) == b"one\n"
        engine.close()
        assert engine.containers.run(BASE, ["echo", "two"], remove=True) == b"two\n"


def test_what_killed_processes_left_is_swept(engine: Engine) -> None:
    """Half-made containers and unpacked layers of processes that are gone disappear; those under way stay."""
    half = engine.home / "containers" / ("ab" * 32)
    (half / "upper").mkdir(parents=True)
    busy = engine.home / "containers" / ("cd" * 32)
    (busy / "upper").mkdir(parents=True)
    left = engine.home / "tmp" / "packed-999999999.1-00ff"
    left.write_bytes(b"half a layer")
    with engine.store.lock(f"container-{busy.name}"):
        engine.containers.list(all=True)
        assert not half.exists()
        assert busy.exists()
    container = engine.containers.create(BASE, ["true"])
    container.commit("swept", "1")
    assert not left.exists()
    engine.containers.list(all=True)
    assert not busy.exists()


def test_a_home_inside_the_context_is_not_copied_into_the_image(tmp_path: Path) -> None:
    """`COPY .` takes what is the learner's and leaves minirt's own directory."""
    (tmp_path / "app").write_text("mine")
    with Engine(tmp_path / "home") as engine:
        if engine.machine.isolation == "none":
            pytest.skip(engine.machine.namespaces.why)
        image = engine.images.build(tmp_path, text="FROM scratch\nCOPY . /all/\n")
        assert sorted(entry.path for entry in image.entries(image.layers[0])) == ["all", "all/app"]
