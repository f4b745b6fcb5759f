"""Saving and loading: our own archives, those of others, and broken ones."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
import zstandard

from minirt.errors import Cancelled, CorruptBlob, ImageNotFound, InvalidDocument, MinirtError, Unsupported
from minirt.model.cancel import Cancel
from minirt.model.digest import Digest
from minirt.model.manifest import LAYER_GZIP, LAYER_ZSTD
from minirt.registry.server import RegistryServer

from .conftest import tar_of

A, B = {"a": b"a" * 10}, {"b": b"b" * 20}


def saved(images, *names: str) -> bytes:
    return b"".join(images.save(names))


def archive(members: dict[str, bytes | str]) -> io.BytesIO:
    """A tar of files, and of symbolic links where the value is text."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    out.seek(0)
    return out


def docker_archive(*layers: bytes, compress: bool = False) -> dict[str, bytes | str]:
    """What docker 1.10 to 24 saved: a config, <id>/layer.tar, manifest.json, repositories."""
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["sh"]},
            "rootfs": {"type": "layers", "diff_ids": [str(Digest.of(layer)) for layer in layers]},
        }
    ).encode()
    name = f"{Digest.of(config).hex}.json"
    members: dict[str, bytes | str] = {name: config}
    paths = []
    for index, layer in enumerate(layers):
        paths.append(f"{index:064x}/layer.tar")
        members[f"{index:064x}/VERSION"] = b"1.0"
        members[paths[-1]] = gzip.compress(layer) if compress else layer
    members["manifest.json"] = json.dumps([{"Config": name, "RepoTags": ["old/app:2"], "Layers": paths}]).encode()
    members["repositories"] = b'{"old/app": {"2": "0"}}'
    return members


def test_there_and_back(images, make, other):
    """A saved image is the same image elsewhere, with all its names."""
    image = make(A, B, names=("hello:1", "hello:2"))
    (loaded,) = other().load(io.BytesIO(saved(images, "hello")))
    assert (loaded.id, loaded.descriptor, loaded.tags) == (image.id, image.descriptor, ("hello:1", "hello:2"))


def test_the_same_images_give_the_same_bytes(images, make):
    """Order and times do not matter: an archive is a function of what is in it."""
    make(A, names=("a",))
    make(B, names=("b",))
    assert saved(images, "a", "b") == saved(images, "b", "a", "a")


def test_what_a_name_saves(images, make, other):
    """A name with a tag saves that name, a repository all its tags, an id none."""
    image = make(A, names=("a:1", "a:2", "b:1"))
    for text, tags in [("a:1", ("a:1",)), ("a", ("a:1", "a:2")), (image.short_id, ()), (str(image.id), ())]:
        (loaded,) = other().load(io.BytesIO(saved(images, text)))
        assert loaded.tags == tags, text
    with pytest.raises(ImageNotFound):
        images.save(["none"])


def test_several_images_share_their_blobs(images, make, other):
    """Two images in one archive carry a shared layer once."""
    make(A, names=("a",))
    make(A, B, names=("b",))
    data = saved(images, "a", "b")
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        names = tar.getnames()
    assert len(names) == len(set(names))
    assert sorted(image.tags[0] for image in other().load(io.BytesIO(data))) == ["a:latest", "b:latest"]


def test_a_compressed_layer_stays_as_it_is(images, make, other):
    """Layers are carried as they are stored, and known by their first bytes."""
    layer = tar_of(A)
    (loaded,) = images.load(archive(docker_archive(layer, compress=True)))
    assert loaded.manifest.layers[0].media_type == LAYER_GZIP and images.size(loaded) == 10
    (again,) = other().load(io.BytesIO(saved(images, "old/app:2")))
    assert again.descriptor == loaded.descriptor


def test_a_zstd_layer_travels_twice(images, make, other):
    """Older dockers cannot read zstd, so the archive holds the tar beside it; loading keeps the compressed one."""
    image = make(A, B, names=("hello:1",), zstd=True)
    data = saved(images, "hello:1")
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        held = [name.rpartition("/")[2] for name in tar.getnames()]
    for layer, diff_id in image.layers:
        assert layer.media_type == LAYER_ZSTD and layer.digest.hex in held and diff_id.hex in held
    assert other().load(io.BytesIO(data))[0].descriptor == image.descriptor


@pytest.mark.skipif(not shutil.which("skopeo"), reason="skopeo is not installed")
@pytest.mark.parametrize("way", ["oci", "registry"])
def test_zstd_layers_from_elsewhere(images, make, other, tmp_path: Path, way):
    """Skopeo packs the layers anew; loaded or pulled, the image has the same id and diff ids, and its files unpack."""
    image = make(A, B, names=("hello:1",))
    (tmp_path / "ours.tar").write_bytes(saved(images, "hello:1"))
    store = other()
    with RegistryServer(tmp_path / "registry") as registry:
        target = f"docker://{registry.address}/hello:1"
        words = ["--dest-compress-format", "zstd", "--dest-tls-verify=false"]
        if way == "oci":
            target, words = f"oci:{tmp_path / 'layout'}", [*words, "--dest-compress"]
        subprocess.run(["skopeo", "copy", "-q", *words, f"oci-archive:{tmp_path / 'ours.tar'}", target], check=True)
        if way == "oci":
            subprocess.run(["tar", "-C", tmp_path / "layout", "-cf", tmp_path / "zstd.tar", "."], check=True)
            (taken,) = store.load(io.BytesIO((tmp_path / "zstd.tar").read_bytes()))
        else:
            taken = store.pull(f"{registry.address}/hello:1")
    assert [layer.media_type for layer, _ in taken.layers] == [LAYER_ZSTD] * 2
    assert taken.id == image.id
    assert [diff_id for _, diff_id in taken.layers] == [diff_id for _, diff_id in image.layers]
    assert store.size(taken) == images.size(image)


@pytest.mark.parametrize(
    "pack", [gzip.compress, bz2.compress, lzma.compress, zstandard.ZstdCompressor().compress, bytes]
)
def test_compressed_archives(images, make, other, pack):
    """As docker load, compressed archives are taken as they are."""
    image = make(A, names=("hello:1",))
    (loaded,) = other().load(io.BytesIO(pack(saved(images, "hello:1"))))
    assert loaded.id == image.id


def test_dockers_own_layout(images):
    """The layout of docker before 25 is read, and the image keeps docker's id."""
    members = docker_archive(tar_of(A), tar_of(B))
    (loaded,) = images.load(archive(members))
    assert f"{loaded.id.hex}.json" in members and loaded.tags == ("old/app:2",)
    assert [layer.digest for layer in loaded.manifest.layers] == list(loaded.config.diff_ids)


def test_layers_that_are_links(images):
    """Docker links equal layers to each other; the links are followed inside the archive only."""
    layer = tar_of(A)
    members = docker_archive(layer, layer)
    members[f"{1:064x}/layer.tar"] = f"../{0:064x}/layer.tar"
    (loaded,) = images.load(archive(members))
    assert len(loaded.manifest.layers) == 2
    members[f"{1:064x}/layer.tar"] = "../../../../etc/passwd"
    with pytest.raises(InvalidDocument, match="incomplete"):
        images.load(archive(members))


def test_a_name_in_the_archive_moves(images, make, other):
    """Loading gives an archive's names to its images, also when another image had them."""
    make(A, names=("hello:1",))
    far = other()
    data = saved(images, "hello:1")
    images.load(archive(docker_archive(tar_of(B))))
    images.tag("old/app:2", "hello:1")
    (loaded,) = images.load(io.BytesIO(data))
    assert images.get("hello:1").id == loaded.id
    assert far.load(io.BytesIO(data))[0].id == loaded.id


BROKEN = {
    "empty": b"",
    "no tar": b"hello" * 1000,
    "a tar of files": tar_of({"etc/passwd": b"x"}),
    "damaged bzip2": bz2.compress(b"x" * 9000)[:20] + b"?" * 99,
    "damaged xz": lzma.compress(b"x" * 9000)[:40] + b"?" * 99,
    "short xz": lzma.compress(b"x" * 9000)[:40],
    "damaged zstd": zstandard.ZstdCompressor().compress(b"x" * 9000)[:12] + b"?" * 99,
    "a gzip of nothing": gzip.compress(b""),
    "no JSON": archive({"manifest.json": b"{"}).getvalue(),
    "config missing": archive({"manifest.json": b'[{"Config": "x.json", "Layers": []}]'}).getvalue(),
    "no config": archive({"manifest.json": b"[{}]"}).getvalue(),
    "index of nothing": archive(
        {
            "index.json": b'{"manifests": [{"mediaType": "application/vnd.oci.image.manifest.v1+json",'
            b'"digest": "sha256:' + b"0" * 64 + b'", "size": 3}]}'
        }
    ).getvalue(),
    "impossible blob name": archive({"blobs/sha256/zz": b"x"}).getvalue(),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_archives(images, name):
    """What is not an archive of images is an error that says why, and nothing is left in the store."""
    with pytest.raises(InvalidDocument) as caught:
        images.load(io.BytesIO(BROKEN[name]))
    assert caught.value.what and images.list() == ()


def test_a_blob_that_is_not_its_name(images, make, other):
    """A blob with other bytes than its digest says is refused while it is read."""
    make(A, names=("hello:1",))
    data = saved(images, "hello:1").replace(b"a" * 10, b"b" * 10)
    with pytest.raises(CorruptBlob):
        other().load(io.BytesIO(data))


def test_a_layer_that_is_not_its_diff_id(images):
    """In docker's layout the layer is checked against the config's diff id."""
    members = docker_archive(tar_of(A))
    members[f"{0:064x}/layer.tar"] = tar_of(B)
    with pytest.raises(CorruptBlob):
        images.load(archive(members))
    assert images.list() == ()


def test_every_truncation_is_noticed(images, make, other):
    """An archive cut short anywhere is refused, or holds nothing less than the whole image."""
    image = make(A, names=("hello:1",))
    data, far = saved(images, "hello:1"), other()
    for length in range(0, len(data) - 1024, 997):
        with pytest.raises(MinirtError):
            far.load(io.BytesIO(data[:length]))
    assert far.list() == () and far.load(io.BytesIO(data))[0].id == image.id


@pytest.mark.parametrize("value", [None, 1, "x", [], {}, [1], {"a": 1}, True])
def test_fields_of_the_wrong_type(images, value):
    """Whatever stands in a field of a stranger's document, the answer is an image or an error that can be shown."""
    for name, fields in {
        "manifest.json": ("RepoTags", "Layers", "Config"),
        "config": ("rootfs", "config", "history", "created", "os"),
    }.items():
        for field in fields:
            members = docker_archive(tar_of(A))
            path = next(key for key in members if key.endswith(".json") and key != "manifest.json")
            document = json.loads(members["manifest.json" if name == "manifest.json" else path])
            (document[0] if name == "manifest.json" else document)[field] = value
            members["manifest.json" if name == "manifest.json" else path] = json.dumps(document).encode()
            try:
                images.load(archive(members))
            except MinirtError as error:
                assert error.explain()


def test_before_docker_1_10(images):
    """The oldest layout is named for what it is."""
    with pytest.raises(Unsupported, match="2016"):
        images.load(archive({"repositories": b"{}", "x/json": b"{}", "x/layer.tar": tar_of(A)}))


def test_loading_can_be_interrupted(images, make, other):
    """A cancelled load leaves no image."""
    make(A, names=("hello:1",))
    with Cancel() as cancel:
        cancel.cancel()
        far = other()
        with pytest.raises(Cancelled):
            far.load(io.BytesIO(saved(images, "hello:1")), cancel=cancel)
        assert far.list() == ()


@pytest.mark.peer
@pytest.mark.skipif(not shutil.which("skopeo"), reason="skopeo is not installed")
@pytest.mark.parametrize("form", ["docker-archive", "oci-archive"])
def test_skopeo_reads_and_writes(images, make, other, tmp_path: Path, form):
    """Skopeo reads our archive in both of its forms, and we read what it writes."""
    image = make(A, B, names=("hello:1",))
    ours, theirs = tmp_path / "ours.tar", tmp_path / "theirs.tar"
    ours.write_bytes(saved(images, "hello:1"))
    said = subprocess.run(["skopeo", "inspect", f"{form}:{ours}"], capture_output=True, check=True, text=True)
    assert json.loads(said.stdout)["Layers"] == [str(layer.digest) for layer in image.manifest.layers]
    subprocess.run(["skopeo", "copy", "-q", f"{form}:{ours}", f"{form}:{theirs}:hello:1"], check=True)
    with theirs.open("rb") as stream:
        (loaded,) = other().load(stream)
    assert loaded.tags == ("hello:1",)
    assert loaded.config.diff_ids == image.config.diff_ids


def _docker_runs() -> bool:
    return bool(shutil.which("docker")) and subprocess.run(["docker", "info"], capture_output=True).returncode == 0


@pytest.mark.peer
@pytest.mark.skipif(not _docker_runs(), reason="no docker daemon answers here")
@pytest.mark.parametrize("zstd", [False, True])
def test_docker_loads_and_saves(images, make, other, tmp_path: Path, zstd):
    """Docker loads our archive under the same id, and we load what it saves: still the same id."""
    image = make(A, B, names=("minirt-test/peer:1",), zstd=zstd)
    path = tmp_path / "ours.tar"
    path.write_bytes(saved(images, "minirt-test/peer:1"))
    try:
        subprocess.run(["docker", "load", "-q", "-i", path], check=True, capture_output=True)
        said = subprocess.run(
            ["docker", "image", "inspect", "minirt-test/peer:1"], check=True, capture_output=True, text=True
        )
        theirs = json.loads(said.stdout)[0]
        mine = images.inspect("minirt-test/peer:1")
        for field in ("Id", "RepoTags", "Created", "Architecture", "Os", "RootFS", "Size", "Author"):
            assert mine[field] == theirs[field], field
        for field in ("Cmd", "Env", "Labels", "Entrypoint", "WorkingDir", "User", "Volumes"):
            assert mine["Config"][field] == theirs["Config"][field], field
        back = subprocess.run(["docker", "save", "minirt-test/peer:1"], check=True, capture_output=True).stdout
    finally:
        subprocess.run(["docker", "rmi", "minirt-test/peer:1"], capture_output=True)
    (loaded,) = other().load(io.BytesIO(back))
    assert loaded.id == image.id and loaded.tags == ("minirt-test/peer:1",)
