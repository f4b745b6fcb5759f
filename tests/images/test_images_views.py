"""History, inspect and the stack of layers."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from minirt.errors import CorruptBlob
from minirt.images import ImageStore
from minirt.model.digest import chain_ids
from minirt.model.platform import Platform
from minirt.store import Store

A, B = {"a": b"a" * 10, "dir/.wh.gone": b""}, {"b": b"b" * 20}


def test_history(images, make):
    """One row per step, newest first; only the top row has an id, and a config step has no size."""
    image = make(A, B, names=("hello:1",))
    rows = images.history("hello:1")
    assert [(row.created_by, row.size, row.layer) for row in rows] == [
        ('CMD ["sh"]', 0, None),
        ("COPY 1", 20, image.config.diff_ids[1]),
        ("COPY 0", 10, image.config.diff_ids[0]),
    ]
    assert [row.id for row in rows] == [image.id, None, None] and rows[0].tags == ("hello:1",)


def test_stack(images, make):
    """Layers base first, with their figures and the images that share them on the same base."""
    image = make(A, B, names=("one",))
    make(A, names=("two",))
    make(B, names=("other-base",))
    stack = images.stack("one")
    assert [layer.chain_id for layer in stack] == list(chain_ids(image.config.diff_ids))
    assert [layer.shared_by for layer in stack] == [("two:latest",), ()]
    assert [(layer.content, layer.entries, layer.whiteouts) for layer in stack] == [(10, 2, 1), (20, 1, 0)]
    assert [layer.created_by for layer in stack] == ["COPY 0", "COPY 1"]
    assert stack[0].size == images.store.size(image.manifest.layers[0].digest)


def test_inspect(images, make):
    """The document has docker's fields, with the config's defaults and the layers unpacked."""
    image = make(A, B, names=("hello:1",))
    data = images.inspect("hello:1")
    assert data["Id"] == str(image.id) and data["RepoTags"] == ["hello:1"] and data["Size"] == 30
    assert data["Config"]["Cmd"] == ["sh"] and data["Config"]["Entrypoint"] is None
    assert data["Config"]["Env"] == ["A=1"] and data["Config"]["Labels"] == {"made": "by a test"}
    assert data["RootFS"] == {"Type": "layers", "Layers": [str(d) for d in image.config.diff_ids]}
    assert data["GraphDriver"]["Data"]["UpperDir"].endswith(f"layers/{image.config.diff_ids[1].hex}/diff")
    assert data["Architecture"] == Platform.host().architecture
    json.dumps(data)


@pytest.mark.peer
@pytest.mark.skipif(not shutil.which("skopeo"), reason="skopeo is not installed")
def test_skopeo_sees_the_same(images, make):
    """Skopeo reads the store as it lies, and sees the same image."""
    image = make(A, B, names=("hello:1",))
    said = subprocess.run(
        ["skopeo", "inspect", f"oci:{images.store.home}:hello:1"], capture_output=True, check=True, text=True
    )
    data = json.loads(said.stdout)
    assert data["Digest"] == str(image.descriptor.digest)
    assert data["Layers"] == [str(layer.digest) for layer in image.manifest.layers]


def test_a_layer_that_is_not_what_its_config_says(images, make, tmp_path):
    """Unpacked bytes that do not have the promised diff id are found out when the layer is looked at."""
    image = make(A, names=("one",))
    with pytest.raises(CorruptBlob):
        images.facts(image.manifest.layers[0], make(B).config.diff_ids[0])


def test_figures_are_kept(images, make):
    """A layer is walked once; another process finds its figures."""
    image = make(A, names=("one",))
    assert images.size(image) == 10
    images.store.path(image.manifest.layers[0].digest).unlink()
    assert ImageStore(Store(images.store.home)).size(image) == 10
