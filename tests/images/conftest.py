"""Stores with small images in them."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import zstandard

from minirt.images import ImageStore, StoredImage
from minirt.model.config import ContainerConfig, History, ImageConfig
from minirt.model.digest import Digest
from minirt.model.manifest import CONFIG, LAYER, LAYER_ZSTD, MANIFEST, Manifest
from minirt.model.platform import Platform
from minirt.model.reference import Reference
from minirt.registry.client import RegistryClient
from minirt.registry.transport import Patience
from minirt.store import Store

QUICK = Patience(attempts=3, first_wait=0.01, longest_wait=0.05, connect=2.0, read=1.0)


def tar_of(files: Mapping[str, bytes]) -> bytes:
    """A layer's tar with these files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


@dataclass
class Maker:
    """Puts images into a store."""

    images: ImageStore

    def __call__(
        self,
        *layers: Mapping[str, bytes],
        names: tuple[str, ...] = (),
        created: str = "2026-01-02T03:04:05Z",
        cmd: str = "sh",
        platform: Platform | None = None,
        zstd: bool = False,
    ) -> StoredImage:
        store = self.images.store
        tars = [tar_of(layer) for layer in layers]
        pack = zstandard.ZstdCompressor().compress if zstd else bytes
        descriptors = [store.put(pack(tar), LAYER_ZSTD if zstd else LAYER) for tar in tars]
        config = ImageConfig(
            platform or Platform.host(),
            ContainerConfig(cmd=(cmd,), env=("A=1",), labels={"made": "by a test"}),
            tuple(Digest.of(tar) for tar in tars),
            (
                *(History(created, f"COPY {n}", f"layer {n}") for n in range(len(layers))),
                History(created, f'CMD ["{cmd}"]', empty_layer=True),
            ),
            created,
        )
        stored = store.put(config.to_bytes(), CONFIG)
        manifest = store.put(Manifest(stored, tuple(descriptors)).to_bytes(), MANIFEST)
        for name in names:
            store.set_reference(Reference.parse(name), manifest)
        if not names:
            store.add_untagged(manifest)
        return self.images.get(str(Digest.of(config.to_bytes())))


@pytest.fixture
def images(tmp_path: Path) -> ImageStore:
    """An empty store."""
    return ImageStore(Store(tmp_path / "home"), RegistryClient(patience=QUICK))


@pytest.fixture
def make(images: ImageStore) -> Maker:
    return Maker(images)


@pytest.fixture
def other(tmp_path: Path) -> Callable[[], ImageStore]:
    """Further empty stores."""
    made: list[ImageStore] = []

    def begin() -> ImageStore:
        made.append(ImageStore(Store(tmp_path / f"home{len(made)}"), RegistryClient(patience=QUICK)))
        return made[-1]

    return begin
