"""Whiteouts as the image-spec has them, on both forms of trees, with tars written by another hand."""

import io
import os
import stat
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from minirt.errors import LayerError
from minirt.layers.apply import apply
from minirt.layers.changes import Opaque, Whiteout, changes
from minirt.layers.styles import (
    OverlayTrusted,
    Owners,
    Plain,
    RealOwners,
    SideOwners,
    WhiteoutStyle,
    owners_named,
    style_named,
)

MakeTar = Callable[..., io.BytesIO]
Mount = Callable[[Sequence[Path], Path | None], Path]

LOWER = ["keep", "file", "dir/", "dir/one", "dir/two", "dir/sub/", "dir/sub/deep", "empty/"]

# A second layer on LOWER, and what is there afterwards.
CASES: dict[str, tuple[list[object], set[str]]] = {
    "nothing": ([], {"keep", "file", "dir", "dir/one", "dir/two", "dir/sub", "dir/sub/deep", "empty"}),
    "a file": ([".wh.file"], {"keep", "dir", "dir/one", "dir/two", "dir/sub", "dir/sub/deep", "empty"}),
    "a directory": ([".wh.dir"], {"keep", "file", "empty"}),
    "inside a directory that the layer does not mention": (
        ["dir/.wh.one", "dir/sub/.wh.deep"],
        {"keep", "file", "dir", "dir/two", "dir/sub", "empty"},
    ),
    "what was never there": (
        [".wh.nowhere", "no/such/.wh.file"],
        {"keep", "file", "dir", "dir/one", "dir/two", "dir/sub", "dir/sub/deep", "empty"},
    ),
    "opaque": (["dir/", "dir/.wh..wh..opq"], {"keep", "file", "dir", "empty"}),
    "opaque, then new": (["dir/", "dir/.wh..wh..opq", "dir/new"], {"keep", "file", "dir", "dir/new", "empty"}),
    "new, then opaque": (["dir/", "dir/new", "dir/.wh..wh..opq"], {"keep", "file", "dir", "dir/new", "empty"}),
    "new below, then opaque": (
        ["dir/sub/new", "dir/.wh..wh..opq"],
        {"keep", "file", "dir", "dir/sub", "dir/sub/new", "empty"},
    ),
    "deleted, then a directory again": ([".wh.dir", "dir/", "dir/new"], {"keep", "file", "dir", "dir/new", "empty"}),
    "deleted, then something below again": ([".wh.dir", "dir/new"], {"keep", "file", "dir", "dir/new", "empty"}),
    "a directory again, then deleted": (["dir/", "dir/new", ".wh.dir"], {"keep", "file", "dir", "dir/new", "empty"}),
    "deleted, then a file again": ([".wh.dir", ("dir", b"x")], {"keep", "file", "dir", "empty"}),
    "a file again, then deleted": ([("dir", b"x"), ".wh.dir"], {"keep", "file", "dir", "empty"}),
    "a file, then deleted": (
        [("file", b"x"), ".wh.file"],
        {"keep", "file", "dir", "dir/one", "dir/two", "dir/sub", "dir/sub/deep", "empty"},
    ),
    "a directory over a file": (
        ["file/", "file/x"],
        {"keep", "file", "file/x", "dir", "dir/one", "dir/two", "dir/sub", "dir/sub/deep", "empty"},
    ),
    "a file over a directory": ([("dir", b"x")], {"keep", "file", "dir", "empty"}),
    "aufs' own notes": (
        [".wh..wh.plnk/", ".wh..wh.aufs"],
        {"keep", "file", "dir", "dir/one", "dir/two", "dir/sub", "dir/sub/deep", "empty"},
    ),
    "everything at the top": (["new", ".wh..wh..opq"], {"new"}),
}


def names(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


@pytest.mark.parametrize("case", CASES)
def test_whiteouts_on_a_plain_tree(case: str, tmp_path: Path, owners: Owners, make_tar: MakeTar) -> None:
    """Applied to a plain tree, whiteouts remove what lower layers brought and nothing else."""
    entries, left = CASES[case]
    apply(make_tar(*LOWER), tmp_path, whiteouts=Plain(), owners=owners)
    apply(make_tar(*entries), tmp_path, whiteouts=Plain(), owners=owners)
    # Directories on the way to something that was never there are not made.
    assert names(tmp_path) == left


@pytest.mark.parametrize("case", CASES)
def test_whiteouts_on_real_overlayfs(case: str, tmp_path: Path, make_tar: MakeTar, mount_overlay: Mount) -> None:
    """Unpacked for overlayfs and mounted, the same layers show the same tree."""
    if os.geteuid():
        pytest.skip("needs root: overlay mounts without a namespace")
    entries, left = CASES[case]
    lower, upper = tmp_path / "lower", tmp_path / "upper"
    lower.mkdir()
    upper.mkdir()
    apply(make_tar(*LOWER), lower, whiteouts=OverlayTrusted(), owners=RealOwners())
    apply(make_tar(*entries), upper, whiteouts=OverlayTrusted(), owners=RealOwners(), lowers=[lower])
    seen = names(mount_overlay([upper, lower], None))
    # Overlayfs lists the mark of what was never there, in a directory that only this layer has.
    assert seen - {"no", "no/such", "no/such/file"} == left


def test_a_directory_that_the_layer_does_not_mention_looks_as_below(
    tmp_path: Path, overlay: WhiteoutStyle, owners: Owners, make_tar: MakeTar
) -> None:
    """A layer with only tmp/x leaves /tmp its mode: it is taken from the lower layer that has the directory."""
    lowers = [tmp_path / "middle", tmp_path / "base"]
    for lower in lowers:
        lower.mkdir()
    (lowers[1] / "tmp").mkdir()
    (lowers[1] / "tmp").chmod(0o1777)
    target = tmp_path / "target"
    target.mkdir(mode=0o700)
    apply(make_tar(("tmp/x", b""), ("new/x", b"")), target, whiteouts=overlay, owners=owners, lowers=lowers)
    assert [stat.S_IMODE((target / name).stat().st_mode) for name in ("tmp", "new", ".")] == [0o1777, 0o755, 0o755]


def test_an_opaque_directory_is_reported_only_if_it_hides_something(
    tmp_path: Path, overlay: WhiteoutStyle, owners: Owners
) -> None:
    """Overlayfs' marks count where a lower directory shows through: not below a file, a whiteout or another mark."""
    base, middle, upper = (tmp_path / name for name in ("base", "middle", "upper"))
    for name in ("seen", "file", "gone", "marked", "outer"):
        (base / name / "inner").mkdir(parents=True)
        (upper / name / "inner").mkdir(parents=True)
    (middle / "marked").mkdir(parents=True)
    (middle / "file").write_text("")
    os.mknod(middle / "gone", stat.S_IFCHR, 0)
    mark = f"{overlay.prefix}opaque"  # type: ignore[union-attr]  # the fixture gives an overlay style
    for path in (middle / "marked", upper / "outer", *(p / "inner" for p in upper.iterdir()), upper / "file"):
        os.setxattr(path, mark, b"y")
    found = changes(upper, whiteouts=overlay, owners=owners, lowers=[middle, base], tidy=True)
    assert [change.path for change in found if isinstance(change, Opaque)] == ["outer", "seen/inner"]
    # Tidied, the directory says the same to those who know nothing of lower layers.
    found = changes(upper, whiteouts=overlay, owners=owners)
    assert [change.path for change in found if isinstance(change, Opaque)] == ["outer", "seen/inner"]


def test_what_overlayfs_left_half_done_is_refused(tmp_path: Path, overlay: WhiteoutStyle, owners: Owners) -> None:
    """A directory that only refers to a lower one (redirect_dir) cannot be packed, and the error says so."""
    (tmp_path / "moved").mkdir()
    os.setxattr(tmp_path / "moved", f"{overlay.prefix}redirect", b"old")  # type: ignore[union-attr]
    with pytest.raises(LayerError, match="reference"):
        list(changes(tmp_path, whiteouts=overlay, owners=owners))


def test_owners_on_the_side(tmp_path: Path, overlay: WhiteoutStyle, make_tar: MakeTar) -> None:
    """Where chown is impossible, other owners are noted beside the file and read back when packing."""
    info = tarfile.TarInfo("mail/")
    info.type, info.mode, info.uid, info.gid = tarfile.DIRTYPE, 0o2775, 8, 12
    apply(make_tar(info, "rootly"), tmp_path, whiteouts=overlay, owners=SideOwners())
    assert os.getxattr(tmp_path / "mail", "user.containers.override_stat") == b"8:12:02775"
    assert (tmp_path / "mail").stat().st_uid == os.geteuid()
    found = {c.path: c.metadata for c in changes(tmp_path, whiteouts=overlay, owners=SideOwners()) if c.path}  # type: ignore[union-attr]
    assert (found["mail"].uid, found["mail"].gid, found["mail"].mode, found["mail"].xattrs) == (8, 12, 0o2775, {})


def test_a_plain_trees_whiteouts_never_reach_the_pack(tmp_path: Path, owners: Owners) -> None:
    """A whiteout device is a Whiteout for every style; nothing of it is packed as a device."""
    try:
        os.mknod(tmp_path / "gone", stat.S_IFCHR, 0)
    except PermissionError:
        pytest.skip("this kernel does not let users make whiteouts (Linux 5.8 does)")
    assert Whiteout("gone") in list(changes(tmp_path, whiteouts=Plain(), owners=owners))


def test_styles_and_owners_cross_a_socket_by_name() -> None:
    """Every style and kind of owners is found again by its name."""
    for style in ("overlay-trusted", "overlay-user", "plain"):
        assert style_named(style).name == style
    for owners in ("real", "side"):
        assert owners_named(owners).name == owners
