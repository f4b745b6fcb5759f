"""Other tools unpack our layers to the tree that we unpack, and we unpack theirs to the tree that they do."""

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minirt.layers.apply import apply
from minirt.layers.changes import changes
from minirt.layers.pack import pack
from minirt.layers.streams import decompress
from minirt.layers.styles import OverlayTrusted, Plain, RealOwners
from minirt.model.digest import Digest
from minirt.model.manifest import CONFIG, LAYER, MANIFEST, Descriptor, Manifest
from minirt.model.reference import Reference
from minirt.store import Store
from minirt.testing.layout import check_layout
from minirt.testing.plans import KINDS, NAMES, Step, carry_out
from minirt.testing.trees import Node, tree_of

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: real owners, and overlay mounts without a namespace"),
]

STYLE, OWNERS = OverlayTrusted(), RealOwners()
HELLO = Reference.parse("hello:1")
NUMBER = st.integers(0, 40)
PLAN = st.lists(st.builds(Step, st.sampled_from(KINDS), NUMBER, NUMBER, st.sampled_from(NAMES), NUMBER), max_size=15)


def need(*programs: str) -> None:
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")


def run(*command: object) -> bytes:
    done = subprocess.run([str(part) for part in command], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


class Image:
    """An image made layer by layer on real overlay mounts."""

    def __init__(self, where: Path) -> None:
        self.where = where
        self.store = Store(where / "home")
        self.lowers: list[Path] = []
        self.layers: list[Descriptor] = []

    def add_layer(self, plan: list[Step]) -> None:
        upper, merged, work = (self.where / f"{name}{len(self.layers)}" for name in ("upper", "merged", "work"))
        for path in (upper, merged, work):
            path.mkdir()
        if self.lowers:
            options = f"lowerdir={':'.join(map(str, self.lowers))},upperdir={upper},workdir={work}"
            mount = ["mount", "-t", "overlay", "overlay", "-o", f"{options},redirect_dir=off,metacopy=off", str(merged)]
            done = subprocess.run(mount, capture_output=True, text=True)
            if done.returncode:
                pytest.skip(f"overlayfs cannot be mounted here: {done.stderr.strip()}")
            carry_out(plan, merged, privileged=True)
            run("umount", merged)
        else:
            carry_out(plan, upper, privileged=True)
        with self.store.writer() as writer:
            pack(changes(upper, whiteouts=STYLE, owners=OWNERS, lowers=self.lowers), upper, writer)
            self.layers.append(writer.commit(LAYER))
        self.lowers.insert(0, upper)

    def name(self) -> Path:
        """Give the image its name; the layout."""
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["/x"]},
            "rootfs": {"type": "layers", "diff_ids": [str(layer.digest) for layer in self.layers]},
        }
        manifest = Manifest(self.store.put(json.dumps(config).encode(), CONFIG), tuple(self.layers))
        self.store.set_reference(HELLO, self.store.put(manifest.to_bytes(), MANIFEST))
        return self.store.home

    def unpacked(self) -> Path:
        target = self.where / "ours"
        target.mkdir()
        for layer in self.layers:
            with self.store.open(layer.digest, layer.size) as blob:
                apply(blob, target, whiteouts=Plain(), owners=OWNERS, diff_id=layer.digest)
        return target


def comparable(root: Path) -> dict[str, Node]:
    return {path: node for path, node in tree_of(root).items() if path}


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(base=PLAN, history=st.lists(PLAN, min_size=1, max_size=2))
def test_umoci_unpacks_an_image_of_ours_to_the_same_tree(
    base: list[Step], history: list[list[Step]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Random layers with whiteouts: umoci's tree and ours are equal in all that a layer carries."""
    need("umoci", "skopeo")
    where = tmp_path_factory.mktemp("umoci")
    image = Image(where)
    for plan in (base, *history):
        image.add_layer(plan)
    run("skopeo", "copy", "-q", f"oci:{image.name()}:hello:1", f"oci:{where / 'copy'}:tag")
    run("umoci", "unpack", "--image", f"{where / 'copy'}:tag", where / "bundle")
    assert comparable(where / "bundle" / "rootfs") == comparable(image.unpacked())
    shutil.rmtree(where)


def test_we_unpack_what_umoci_packs(tmp_path: Path) -> None:
    """An image that umoci repacked after deletions, compressed, unpacks to the tree that umoci was given."""
    need("umoci", "skopeo")
    image = Image(tmp_path)
    image.add_layer([Step("directory", 0, 0, "a", 0), Step("file", 1, 0, "b", 3), Step("file", 0, 0, "c", 5)])
    copy, bundle = f"{tmp_path / 'copy'}:tag", tmp_path / "bundle"
    run("skopeo", "copy", "-q", f"oci:{image.name()}:hello:1", f"oci:{copy}")
    run("umoci", "unpack", "--image", copy, bundle)
    shutil.rmtree(bundle / "rootfs" / "a")
    (bundle / "rootfs" / ("n" * 150)).write_text("new")
    os.setxattr(bundle / "rootfs" / "c", "user.x", b"\xff")
    for path in (bundle / "rootfs").iterdir():
        os.utime(path, (5, 5), follow_symlinks=False)  # umoci keeps whole seconds only
    wanted = comparable(bundle / "rootfs")
    run("umoci", "repack", "--image", copy, bundle)
    theirs = Store(tmp_path / "copy")
    (entry,) = json.loads((theirs.home / "index.json").read_bytes())["manifests"]
    target = tmp_path / "target"
    target.mkdir()
    for layer in Manifest.from_bytes(theirs.read(Digest.parse(entry["digest"]))).layers:
        with theirs.open(layer.digest, layer.size) as blob:
            apply(decompress(blob, layer.media_type), target, whiteouts=Plain(), owners=OWNERS)
    assert comparable(target) == wanted


def test_docker_exports_the_tree_that_we_unpack(tmp_path: Path) -> None:
    """An image of ours, loaded into docker, has there the files, modes, owners and links that it has here."""
    need("docker", "skopeo")
    if subprocess.run(["docker", "info"], capture_output=True).returncode:
        pytest.skip("no docker daemon answers here")
    image = Image(tmp_path)
    image.add_layer(
        [
            Step("directory", 0, 0, "a", 0),
            Step("file", 1, 0, "b", 3),
            Step("file", 0, 0, "é", 5),
            Step("chmod", 0, 1, "", 2),
            Step("chown", 0, 1, "", 1),
        ]
    )
    image.add_layer([Step("delete", 0, 1, "", 0), Step("file", 0, 0, "c", 1), Step("hardlink", 0, 1, "m" * 255, 0)])
    name = f"minirt-test-{os.getpid()}:1"
    archive = f"docker-archive:{tmp_path / 'image.tar'}:{name}"
    run("skopeo", "copy", "-q", f"oci:{image.name()}:hello:1", archive)
    run("docker", "load", "-q", "-i", tmp_path / "image.tar")
    container = ""
    try:
        container = run("docker", "create", name).decode().strip()
        exported = run("docker", "export", container)
    finally:
        if container:
            run("docker", "rm", container)
        run("docker", "rmi", name)
    assert _listing(exported) == _listing(_tar_of(image.unpacked()))


def _tar_of(root: Path) -> bytes:
    out = io.BytesIO()
    pack(changes(root, whiteouts=Plain(), owners=OWNERS), root, out)
    return out.getvalue()


def _listing(raw: bytes) -> dict[str, tuple[object, ...]]:
    """Without what docker adds to every container, and without times, which docker cuts to seconds."""
    added = ("dev", "etc", "proc", "sys", ".dockerenv")
    found = {}
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        for member in tar:
            name = member.name.removeprefix("./").rstrip("/")
            if name and name.split("/")[0] not in added:
                file = tar.extractfile(member) if member.isreg() else None
                content = hashlib.sha256(file.read()).hexdigest() if file else ""
                found[name] = (member.type, member.mode & 0o7777, member.uid, member.gid, member.linkname, content)
    return found


def test_the_home_with_many_layers_is_sound(tmp_path: Path) -> None:
    """The layout that these tests write passes the validator."""
    image = Image(tmp_path)
    image.add_layer([Step("file", 0, 0, "a", 1)])
    check_layout(image.name())
