"""The same questions to Debian's docker-registry and to ours: the client must see the same answers."""

from __future__ import annotations

import io
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from minirt.errors import ImageNotFound
from minirt.model.config import ImageConfig
from minirt.model.digest import Digest
from minirt.model.manifest import CONFIG, LAYER, MANIFEST, Descriptor, Manifest
from minirt.model.platform import Platform
from minirt.model.reference import Reference
from minirt.registry.client import RegistryClient
from minirt.registry.upload import push_blob, push_manifest

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(not shutil.which("docker-registry"), reason="docker-registry is not installed"),
]

CONFIGURATION = """\
version: 0.1
storage:
  filesystem:
    rootdirectory: {root}
  delete:
    enabled: true
http:
  addr: {address}
"""


@pytest.fixture(scope="module")
def debian(tmp_path_factory) -> Iterator[str]:
    """The address of a docker-registry without users."""
    folder: Path = tmp_path_factory.mktemp("docker-registry")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    (folder / "config.yml").write_text(CONFIGURATION.format(root=folder / "data", address=address))
    server = subprocess.Popen(
        ["docker-registry", "serve", folder / "config.yml"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    host, _, port = address.partition(":")
    for _ in range(100):
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
            break
        except OSError:
            time.sleep(0.05)
    yield address
    server.terminate()
    server.wait()


@pytest.fixture(params=["docker-registry", "minirt"])
def address(request, debian, place) -> str:
    return debian if request.param == "docker-registry" else place.address


def pushed(client: RegistryClient, ref: Reference, layer: bytes) -> bytes:
    config = ImageConfig(Platform.host(), diff_ids=(Digest.of(layer),)).to_bytes()
    parts = [(Descriptor(CONFIG, Digest.of(config), len(config)), config)]
    parts.append((Descriptor(LAYER, Digest.of(layer), len(layer)), layer))
    for descriptor, data in parts:
        push_blob(client, ref, descriptor, io.BytesIO(data))
    manifest = Manifest(parts[0][0], (parts[1][0],)).to_bytes()
    push_manifest(client, ref, MANIFEST, manifest)
    return manifest


def test_push_then_pull(address, client):
    """What was pushed comes back under its tag and its digest, bit by bit."""
    ref = Reference.parse(f"{address}/team/app:1")
    layer = b"some layer" * 50_000
    manifest = pushed(client, ref, layer)
    descriptor, raw = client.manifest(ref)
    assert (raw, descriptor.digest, descriptor.media_type) == (manifest, Digest.of(manifest), MANIFEST)
    assert b"".join(client.blob(ref, Manifest.from_bytes(raw).layers[0])) == layer
    assert client.manifest(ref.with_digest(descriptor.digest))[1] == manifest


def test_a_blob_is_sent_once(address, client):
    """A blob that the registry has is not sent again."""
    ref = Reference.parse(f"{address}/team/once:1")
    blob = Descriptor(LAYER, Digest.of(b"once"), 4)
    assert push_blob(client, ref, blob, io.BytesIO(b"once")) is True
    assert push_blob(client, ref, blob, io.BytesIO(b"once")) is False


def test_a_blob_in_parts(address, client):
    """Both serve the rest of a blob from an offset on."""
    ref = Reference.parse(f"{address}/team/range:1")
    data = bytes(range(256)) * 100
    blob = Descriptor(LAYER, Digest.of(data), len(data))
    push_blob(client, ref, blob, io.BytesIO(data))
    download = client.blob(ref, blob)
    download.done = 1000
    assert b"".join(download) == data[1000:]


def test_the_same_errors(address, client):
    """Unknown tags and repositories are the same errors with both."""
    pushed(client, Reference.parse(f"{address}/team/err:1"), b"x")
    with pytest.raises(ImageNotFound, match="not found"):
        client.manifest(Reference.parse(f"{address}/team/err:2"))
    with pytest.raises(ImageNotFound, match="not found"):
        client.manifest(Reference.parse(f"{address}/team/none:1"))
