"""Pulling and pushing through a real registry."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from minirt.errors import Cancelled, CorruptBlob, ImageNotFound, RegistryError
from minirt.images import ImageStore
from minirt.model.cancel import Cancel
from minirt.model.digest import Digest
from minirt.model.events import LayerFetched, LayerProgress, PullFinished, PullStarted
from minirt.model.manifest import INDEX, Descriptor, Index
from minirt.model.platform import Platform
from minirt.model.reference import Reference
from minirt.registry.client import RegistryClient
from minirt.registry.server import RegistryHandler, RegistryServer

from .conftest import QUICK

LAYERS = [{f"file{n}": bytes([n]) * 700_000} for n in range(5)]


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[RegistryServer]:
    with RegistryServer(tmp_path / "registry") as server:
        yield server


def test_push_and_pull(images, make, other, registry):
    """An image that was pushed is pulled as the same image, under its tag and its digest."""
    name = f"{registry.address}/team/app:1"
    image = make(*LAYERS, names=(name,))
    pushed = images.push(name)
    events: list[object] = []
    far = other()
    pulled = far.pull(name, on_event=events.append)
    assert pulled.id == image.id and pulled.tags == (name,)
    assert pulled.repo_digests == (f"{registry.address}/team/app@{pushed.digest}",)
    started, finished = events[0], events[-1]
    assert isinstance(started, PullStarted) and len(started.layers) == 5 and started.present == ()
    assert isinstance(finished, PullFinished) and finished.new and finished.digest == str(pushed.digest)
    assert sorted(e.digest for e in events if isinstance(e, LayerFetched)) == sorted(d for d, _ in started.layers)
    last = {e.digest: (e.done, e.total) for e in events if isinstance(e, LayerProgress)}
    assert last == {digest: (size, size) for digest, size in started.layers}


def test_what_is_here_is_not_fetched(images, make, other, registry):
    """A second pull fetches nothing and says that nothing is new; a sibling fetches only what differs."""
    one, two = f"{registry.address}/app:1", f"{registry.address}/app:2"
    make(*LAYERS[:2], names=(one,))
    make(*LAYERS[:3], names=(two,))
    images.push(one), images.push(two)
    far, events = other(), []
    far.pull(one)
    far.pull(one, on_event=events.append)
    assert len(events[0].present) == 2 and isinstance(events[-1], PullFinished) and not events[-1].new
    events.clear()
    far.pull(two, on_event=events.append)
    assert len([e for e in events if isinstance(e, LayerFetched)]) == 1


def test_a_platform_of_an_index(images, make, other, registry):
    """Of several platforms one is pulled; it answers to the index's digest too."""
    arm = (
        Platform.parse("linux/arm64") if Platform.host() != Platform.parse("linux/arm64") else Platform("linux", "386")
    )
    made = {}
    for platform in (Platform.host(), arm):
        name = f"{registry.address}/multi:{platform.architecture}"
        made[platform] = make(LAYERS[0], names=(name,), platform=platform)
        images.push(name)
    entries = [Descriptor(i.descriptor.media_type, i.descriptor.digest, i.descriptor.size, p) for p, i in made.items()]
    raw = Index(tuple(entries)).to_bytes()
    registry.shelf.put_manifest("multi", "latest", raw, INDEX)
    far = other()
    pulled = far.pull(f"{registry.address}/multi")
    assert pulled.id == made[Platform.host()].id
    assert far.get(f"{registry.address}/multi@{Digest.of(raw)}").id == pulled.id
    assert far.pull(f"{registry.address}/multi", platform=arm).id == made[arm].id
    with pytest.raises(ImageNotFound, match="no matching manifest for linux/s390x"):
        far.pull(f"{registry.address}/multi", platform=Platform.parse("linux/s390x"))


def test_an_image_of_another_platform(images, make, other, registry):
    """A single image that was made for another platform is not passed off as ours."""
    name = f"{registry.address}/foreign:1"
    make(LAYERS[0], names=(name,), platform=Platform("linux", "s390x"))
    images.push(name)
    with pytest.raises(ImageNotFound, match="made for linux/s390x"):
        other().pull(name)


def test_a_layer_with_wrong_bytes(images, make, other, registry):
    """A layer that does not have its digest is refused, and no name is given."""
    name = f"{registry.address}/app:1"
    image = make(*LAYERS[:2], names=(name,))
    images.push(name)
    path = registry.shelf.root / "blobs" / "sha256" / image.manifest.layers[1].digest.hex
    path.write_bytes(bytes(path.stat().st_size))
    far = other()
    with pytest.raises(CorruptBlob):
        far.pull(name)
    assert far.list() == () and not list((far.store.home / "tmp").iterdir())


def test_a_missing_layer(images, make, other, registry):
    """A registry that lacks a layer of its own image is told so."""
    name = f"{registry.address}/app:1"
    image = make(*LAYERS[:2], names=(name,))
    images.push(name)
    (registry.shelf.root / "blobs" / "sha256" / image.manifest.layers[0].digest.hex).unlink()
    with pytest.raises(RegistryError, match="lacks a part"):
        other().pull(name)


def test_from_a_mirror(images, make, other, registry):
    """A name of Docker Hub is pulled from the mirror, and keeps its name."""
    image = make(*LAYERS[:2], names=(f"{registry.address}/library/alpine:3",))
    images.push(f"{registry.address}/library/alpine:3")
    client = RegistryClient(("http://127.0.0.1:1", f"http://{registry.address}"), patience=QUICK)
    far = ImageStore(other().store, client)
    pulled = far.pull("alpine:3")
    assert pulled.id == image.id and pulled.tags == ("alpine:3",)


def test_an_interrupted_pull(images, make, other, tmp_path):
    """An interrupt ends a pull at once, although the network hangs, and leaves nothing half made."""

    class Hanging(RegistryHandler):
        def copy(self, data, length):
            self.wfile.write(data.read(1000))
            self.wfile.flush()
            time.sleep(5)

    with RegistryServer(tmp_path / "slow") as quick:
        name = f"{quick.address}/app:1"
        make(*LAYERS, names=(name,))
        images.push(name)
    with RegistryServer(tmp_path / "slow", handler=Hanging) as slow, Cancel() as cancel:
        (slow.shelf.root / "repositories").mkdir(exist_ok=True)
        far = other()
        config = images.get(name).manifest.config
        far.store.put(images.store.read(config.digest), config.media_type)
        threading.Timer(0.5, cancel.cancel).start()
        began = time.monotonic()
        with pytest.raises(Cancelled):
            far.pull(Reference.parse(f"{slow.address}/app:1"), cancel=cancel)
        assert time.monotonic() - began < 3
        assert far.list() == () and not list((far.store.home / "tmp").iterdir())


def test_minirt_base_is_never_fetched(other):
    """The base image comes from this machine, also when it is pulled."""
    far = ImageStore(other().store, RegistryClient(("http://127.0.0.1:1",), patience=QUICK))
    assert far.pull("minirt/base").tags == ("minirt/base:latest",)


def _docker_runs() -> bool:
    return bool(shutil.which("docker")) and subprocess.run(["docker", "info"], capture_output=True).returncode == 0


@pytest.mark.peer
@pytest.mark.skipif(not _docker_runs(), reason="no docker daemon answers here")
def test_docker_pulls_and_pushes_the_same(images, make, other, registry):
    """Docker pulls what we pushed under the same id and digest, and we pull what docker pushes."""
    name, back = f"{registry.address}/team/app:1", f"{registry.address}/team/back:1"
    image = make(*LAYERS[:2], names=(name,))
    pushed = images.push(name)
    try:
        subprocess.run(["docker", "pull", "-q", name], check=True, capture_output=True)
        form = "{{.Id}} {{index .RepoDigests 0}}"
        said = subprocess.run(
            ["docker", "image", "inspect", "-f", form, name], check=True, capture_output=True, text=True
        )
        assert said.stdout.split() == [str(image.id), f"{registry.address}/team/app@{pushed.digest}"]
        subprocess.run(["docker", "tag", name, back], check=True)
        subprocess.run(["docker", "push", "-q", back], check=True, capture_output=True)
    finally:
        subprocess.run(["docker", "rmi", name, back], capture_output=True)
    pulled = other().pull(back)
    assert pulled.id == image.id and pulled.config.diff_ids == image.config.diff_ids
