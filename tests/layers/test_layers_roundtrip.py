"""Trees become layers and layers become the same trees again: by hand, by chance, and against real overlayfs."""

import io
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from minirt.errors import CorruptBlob, LayerError
from minirt.layers.apply import apply
from minirt.layers.changes import Opaque, Present, Whiteout, changes
from minirt.layers.entries import read_entries
from minirt.layers.pack import pack
from minirt.layers.styles import OverlayTrusted, Owners, Plain, RealOwners, WhiteoutStyle
from minirt.model.digest import Digest
from minirt.testing.plans import KINDS, NAMES, Step, carry_out
from minirt.testing.trees import tree_of

IS_ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not IS_ROOT, reason="needs root: real owners, and overlay mounts without a namespace")
Mount = Callable[[Sequence[Path], Path | None], Path]
STYLE, OWNERS = OverlayTrusted(), RealOwners()
NUMBER = st.integers(0, 40)


def steps(most: int) -> st.SearchStrategy[list[Step]]:
    one = st.builds(Step, st.sampled_from(KINDS), NUMBER, NUMBER, st.sampled_from(NAMES), NUMBER)
    return st.lists(one, max_size=most)


def packed(tree: Path, style: WhiteoutStyle, owners: Owners, lowers: Sequence[Path] | None = None) -> bytes:
    out = io.BytesIO()
    result = pack(changes(tree, whiteouts=style, owners=owners, lowers=lowers), tree, out)
    assert result.diff_id == Digest.of(out.getvalue())
    assert result.size == len(out.getvalue())
    return out.getvalue()


def unpacked(
    tar: bytes, target: Path, style: WhiteoutStyle, owners: Owners, lowers: Sequence[Path] | None = None
) -> Path:
    target.mkdir(exist_ok=True)
    apply(io.BytesIO(tar), target, whiteouts=style, owners=owners, lowers=lowers, diff_id=Digest.of(tar))
    return target


def comparable(root: Path) -> dict[str, object]:
    """A tree without the root's time, which no layer carries."""
    tree = tree_of(root, owners=IS_ROOT)
    return {path: node for path, node in tree.items() if path} | {"": (tree[""].mode, tree[""].uid, tree[""].xattrs)}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plan=steps(20))
def test_any_tree_comes_back_equal(plan: list[Step], overlay: WhiteoutStyle, owners: Owners) -> None:
    """pack, then apply: names, contents, modes, owners, times, attributes, devices and hard links are the same."""
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "source"
        source.mkdir()
        carry_out(plan, source, privileged=IS_ROOT)
        tar = packed(source, overlay, owners)
        copy = unpacked(tar, Path(name) / "copy", overlay, owners)
        assert comparable(copy) == comparable(source)
        assert packed(copy, overlay, owners) == tar


@needs_root
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(  # a directory with an attribute, and one without it in its place
    base=[Step("directory", 0, 0, "a", 0), Step("xattr", 0, 0, "a", 0)],
    history=[[Step("file", 0, 0, "a", 0), Step("delete", 0, 0, "a", 0), Step("directory", 0, 0, "a", 0)]],
)
@given(base=steps(15), history=st.lists(steps(12), min_size=1, max_size=3))
def test_any_history_on_real_overlayfs_comes_back_equal(base: list[Step], history: list[list[Step]]) -> None:
    """Random changes on real overlay mounts, layer by layer: what the layers give, in both forms, is what was seen."""
    with tempfile.TemporaryDirectory() as name, Mounts(Path(name)) as mounts:
        lowers = [Path(name) / "lower"]
        lowers[0].mkdir()
        carry_out(base, lowers[0], privileged=True)
        plain = unpacked(packed(lowers[0], STYLE, OWNERS), Path(name) / "plain", Plain(), OWNERS)
        again = [unpacked(packed(lowers[0], STYLE, OWNERS), Path(name) / "again", STYLE, OWNERS)]
        for number, plan in enumerate(history):
            upper = Path(name) / f"upper{number}"
            upper.mkdir()
            shutil.copystat(lowers[0], upper)
            carry_out(plan, mounts.mount(lowers, upper), privileged=True)
            mounts.umount()
            seen = comparable(mounts.mount([upper, *lowers]))
            list(changes(upper, whiteouts=STYLE, owners=OWNERS, lowers=lowers, tidy=True))
            tar = packed(upper, STYLE, OWNERS, lowers)
            assert packed(upper, STYLE, OWNERS, lowers) == tar
            assert comparable(mounts.mount([upper, *lowers])) == seen
            assert comparable(unpacked(tar, plain, Plain(), OWNERS)) == seen
            again.insert(0, unpacked(tar, Path(name) / f"again{number}", STYLE, OWNERS, again))
            assert comparable(mounts.mount(again)) == seen
            lowers.insert(0, upper)


class Mounts:
    """Overlay mounts below one directory, undone in the end."""

    def __init__(self, where: Path) -> None:
        self._where = where
        self._mounted: list[Path] = []
        self._count = 0

    def mount(self, lowers: Sequence[Path], upper: Path | None = None) -> Path:
        self._count += 1
        merged = self._where / f"merged{self._count}"
        merged.mkdir()
        if upper is None and len(lowers) == 1:
            return lowers[0]
        options = "lowerdir=" + ":".join(path.name for path in lowers)
        if upper is not None:
            (self._where / f"work{self._count}").mkdir()
            options += f",upperdir={upper.name},workdir=work{self._count},redirect_dir=off,metacopy=off"
        done = subprocess.run(
            ["mount", "-t", "overlay", "overlay", "-o", options, merged],
            cwd=self._where,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            pytest.skip(f"overlayfs cannot be mounted here: {done.stderr.strip()}")
        self._mounted.append(merged)
        return merged

    def umount(self) -> None:
        subprocess.run(["umount", self._mounted.pop()], check=True)

    def __enter__(self) -> "Mounts":
        return self

    def __exit__(self, *_: object) -> None:
        for merged in reversed(self._mounted):
            subprocess.run(["umount", "--lazy", merged], check=False)


def test_the_empty_layer_is_dockers(tmp_path: Path, overlay: WhiteoutStyle, owners: Owners) -> None:
    """No change gives the empty layer that every docker image knows."""
    tmp_path.chmod(0o755)
    tar = packed(tmp_path, overlay, owners, [tmp_path])
    assert str(Digest.of(tar)) == "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"


def test_packing_is_deterministic(tmp_path: Path, overlay: WhiteoutStyle, owners: Owners) -> None:
    """The same tree made twice, in another order, gives the same bytes."""
    names = ["b", "a", "é", "Z", "z"]
    tars = []
    for turn, order in enumerate((names, names[::-1])):
        tree = tmp_path / str(turn)
        tree.mkdir()
        for name in order:
            (tree / name).write_text(name)
            os.utime(tree / name, ns=(1, 1))
        tree.chmod(0o755)
        os.utime(tree, ns=(1, 1))
        tars.append(packed(tree, overlay, owners))
    assert tars[0] == tars[1]
    assert [e.path for e in read_entries(io.BytesIO(tars[0])) if e.path] == ["Z", "a", "b", "z", "é"]


def test_times_are_held_back_to_the_source_date(tmp_path: Path, overlay: WhiteoutStyle, owners: Owners) -> None:
    """With source_date_epoch, later times become it and earlier ones stay."""
    for name, time in (("old", 5), ("new", 500)):
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, (time, time))
    out = io.BytesIO()
    pack(changes(tmp_path, whiteouts=overlay, owners=owners), tmp_path, out, source_date_epoch=100)
    copy = unpacked(out.getvalue(), tmp_path / "copy", overlay, owners)
    assert [(copy / name).stat().st_mtime for name in ("old", "new")] == [5, 100]


def test_a_layer_for_another_image_is_refused(tmp_path: Path, overlay: WhiteoutStyle, owners: Owners) -> None:
    """A tar whose digest is not the announced diff id raises CorruptBlob, even if the difference is after its end."""
    tar = bytes(1024)
    with pytest.raises(CorruptBlob):
        apply(io.BytesIO(tar + b"more"), tmp_path, whiteouts=overlay, owners=owners, diff_id=Digest.of(tar))


def test_a_failed_pack_leaves_no_descriptor_open(tmp_path: Path, overlay: WhiteoutStyle, owners: Owners) -> None:
    """When packing fails half-way, every directory that was open on the way is closed."""
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    (deep / ".wh.x").write_text("")
    before = len(os.listdir("/proc/self/fd"))
    walk = changes(tmp_path, whiteouts=overlay, owners=owners)
    with pytest.raises(LayerError):
        pack(walk, tmp_path, io.BytesIO())
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_file_named_like_a_whiteout_cannot_be_packed(tmp_path: Path, overlay: WhiteoutStyle, owners: Owners) -> None:
    """A file whose name begins with .wh. is refused by name: as a layer's entry it would delete another file."""
    (tmp_path / ".wh.victim").write_text("")
    with pytest.raises(LayerError, match=r"\.wh\.victim"):
        packed(tmp_path, overlay, owners)


@needs_root
def test_what_is_deleted_becomes_whiteouts(tmp_path: Path, mount_overlay: Mount) -> None:
    """A deleted file is a Whiteout; a directory made anew over an old one is Opaque; a new directory is neither."""
    lower, upper = tmp_path / "lower", tmp_path / "upper"
    (lower / "old").mkdir(parents=True)
    (lower / "old" / "x").write_text("x")
    (lower / "gone").write_text("")
    upper.mkdir()
    merged = mount_overlay([lower], upper)
    (merged / "gone").unlink()
    shutil.rmtree(merged / "old")
    (merged / "old").mkdir()
    (merged / "new").mkdir()
    found = list(changes(upper, whiteouts=STYLE, owners=OWNERS, lowers=[lower]))
    assert [(type(c), c.path) for c in found] == [
        (Whiteout, "gone"),
        (Present, "new"),
        (Present, "old"),
        (Opaque, "old"),
    ]
    entries = list(read_entries(io.BytesIO(packed(upper, STYLE, OWNERS, [lower]))))
    assert [(e.path, e.kind) for e in entries] == [
        ("gone", "whiteout"),
        ("new", "directory"),
        ("old", "directory"),
        ("old", "opaque"),
    ]


@needs_root
def test_setuid_and_capabilities_survive_a_change_of_owner(tmp_path: Path) -> None:
    """A file's setuid bit and its file capabilities, both cleared by chown, are there after apply."""
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "ping").write_text("x")
    os.chown(tree / "ping", 5, 6)
    (tree / "ping").chmod(0o6755)
    capability = bytes.fromhex("0100000200200000000000000000000000000000")
    os.setxattr(tree / "ping", "security.capability", capability)
    copy = unpacked(packed(tree, STYLE, OWNERS), tmp_path / "copy", STYLE, OWNERS)
    status = (copy / "ping").stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (5, 6, 0o6755)
    assert os.getxattr(copy / "ping", "security.capability") == capability


@needs_root
def test_the_roots_own_mode_travels_when_it_changed(tmp_path: Path) -> None:
    """A layer that changes the mode of / has an entry for it; one that does not, has none and keeps the lower's."""
    lower, changed, same = tmp_path / "lower", tmp_path / "changed", tmp_path / "same"
    for tree, mode in ((lower, 0o755), (changed, 0o711), (same, 0o711)):
        tree.mkdir()
        tree.chmod(mode)
    tar = packed(changed, STYLE, OWNERS, [lower])
    assert [(e.path, e.mode) for e in read_entries(io.BytesIO(tar))] == [("", 0o711)]
    assert stat.S_IMODE(unpacked(tar, tmp_path / "a", STYLE, OWNERS, [lower]).stat().st_mode) == 0o711
    tar = packed(same, STYLE, OWNERS, [changed, lower])
    assert tar == bytes(1024)
    assert stat.S_IMODE(unpacked(tar, tmp_path / "b", STYLE, OWNERS, [changed, lower]).stat().st_mode) == 0o711
