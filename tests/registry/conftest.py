"""A real registry on a free port, with images in it and, where a test asks for them, faults."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO
from urllib.parse import parse_qs, urlsplit

import pytest

from minirt.model.config import ContainerConfig, ImageConfig
from minirt.model.digest import Digest
from minirt.model.manifest import CONFIG, INDEX, LAYER, MANIFEST, Descriptor, Index, Manifest
from minirt.model.platform import Platform
from minirt.model.reference import Reference
from minirt.registry.client import RegistryClient
from minirt.registry.server import RegistryHandler, RegistryServer
from minirt.registry.transport import Patience

QUICK = Patience(attempts=3, first_wait=0.01, longest_wait=0.05, connect=2.0, read=0.5)


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one request whose path contains ``path``; ``times`` requests in all."""

    path: str
    times: int = 1
    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    cut_after: int = -1
    corrupt: bool = False
    stall: float = 0.0
    without_range: bool = False
    stall_body: float = 0.0


@dataclass
class Trouble:
    """The faults still to come, and the requests that came."""

    faults: list[Fault] = field(default_factory=list)
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    token: str = ""
    realm: str = ""

    def take(self, path: str) -> Fault | None:
        for index, fault in enumerate(self.faults):
            if fault.path in path:
                left = fault.times - 1
                self.faults[index : index + 1] = [replace(fault, times=left)] if left else []
                return fault
        return None

    def paths(self, containing: str) -> list[str]:
        return [path for _, path, _ in self.seen if containing in path]


class FaultyHandler(RegistryHandler):
    """The registry's own handler, with a saboteur in front of it."""

    trouble: Trouble
    fault: Fault | None = None

    def answer(self) -> None:
        self.trouble.seen.append((self.command, self.path, dict(self.headers)))
        if urlsplit(self.path).path == "/token":
            self._token()
            return
        if self.trouble.token and self.headers.get("Authorization") != f"Bearer {self.trouble.token}":
            self.reply(401, b"{}", {"WWW-Authenticate": f'Bearer realm="{self.trouble.realm}",service="test"'})
            return
        self.fault = self.trouble.take(self.path)
        if self.fault is not None and self.fault.stall:
            time.sleep(self.fault.stall)
        if self.fault is not None and self.fault.without_range and "Range" in self.headers:
            del self.headers["Range"]
        if self.fault is not None and self.fault.status:
            self.reply(self.fault.status, b"", dict(self.fault.headers))
            return
        super().answer()

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815

    def _token(self) -> None:
        scope = parse_qs(urlsplit(self.path).query).get("scope", [""])[0]
        status = 401 if "secret" in scope else 200
        self.reply(status, json.dumps({"token": self.trouble.token, "expires_in": 300}).encode())

    def copy(self, data: BinaryIO, length: int) -> None:
        if self.fault is None:
            super().copy(data, length)
            return
        if self.fault.cut_after >= 0:
            self.wfile.write(data.read(min(length, self.fault.cut_after)))
            self.close_connection = True
            return
        body = data.read(length)
        if self.fault.stall_body:
            self.wfile.write(body[:1000])
            self.wfile.flush()
            time.sleep(self.fault.stall_body)
            body = body[1000:]
        if self.fault.corrupt:
            body = bytes([body[0] ^ 1]) + body[1:]
        self.wfile.write(body)


@dataclass
class Place:
    """A running registry: ``address`` is ``host:port``."""

    server: RegistryServer
    trouble: Trouble
    address: str

    def ref(self, name: str) -> Reference:
        return Reference.parse(f"{self.address}/{name}")

    def blob(self, data: bytes, media_type: str = LAYER) -> Descriptor:
        digest = Digest.of(data)
        (self.server.shelf.root / "blobs" / "sha256" / digest.hex).write_bytes(data)
        return Descriptor(media_type, digest, len(data))

    def image(self, name: str, *layers: bytes, tag: str = "latest", platform: str = "") -> Manifest:
        """An image with these (uncompressed) layers, there under ``tag``."""
        config = ImageConfig(
            Platform.parse(platform) if platform else Platform.host(),
            ContainerConfig(cmd=("sh",)),
            tuple(Digest.of(layer) for layer in layers),
        )
        manifest = Manifest(self.blob(config.to_bytes(), CONFIG), tuple(self.blob(layer) for layer in layers))
        self.server.shelf.put_manifest(name, tag, manifest.to_bytes(), MANIFEST)
        return manifest

    def index(self, name: str, *entries: tuple[Manifest, str]) -> Index:
        """An index of these manifests and their platforms, under ``latest``."""
        index = Index(
            tuple(
                Descriptor(MANIFEST, Digest.of(m.to_bytes()), len(m.to_bytes()), Platform.parse(text))
                for m, text in entries
            )
        )
        self.server.shelf.put_manifest(name, "latest", index.to_bytes(), INDEX)
        return index


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], Place]]:
    """Start registries, each over a directory of its own; they end with the test."""
    running: list[RegistryServer] = []

    def begin() -> Place:
        trouble = Trouble()
        handler = type("Faulty", (FaultyHandler,), {"trouble": trouble})
        server = RegistryServer(tmp_path / f"registry{len(running)}", handler=handler)
        server.start()
        running.append(server)
        trouble.realm = f"http://{server.address}/token"
        return Place(server, trouble, server.address)

    yield begin
    for server in running:
        server.close()


@pytest.fixture
def place(start: Callable[[], Place]) -> Place:
    return start()


@pytest.fixture
def client() -> RegistryClient:
    """A client that does not wait long."""
    return RegistryClient(patience=QUICK)
