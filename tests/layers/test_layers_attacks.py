"""Layers made to break out: whatever they hold, nothing outside the tree changes."""

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minirt.errors import LayerError, MinirtError, StorageFull
from minirt.layers.apply import apply
from minirt.layers.entries import read_entries
from minirt.layers.styles import Owners, Plain, WhiteoutStyle
from minirt.testing.trees import Node, tree_of

MakeTar = Callable[..., io.BytesIO]

# {outside} is a directory beside the tree that holds "secret" and "dir/inner". "refused" layers raise LayerError;
# the others are unpacked, with everything inside the tree.
REFUSED = {
    "parent in a name": [("../outside/evil", b"x")],
    "parent further down": [("a/../../outside/evil", b"x")],
    "parent after a link": ["a -> dir", ("a/../evil", b"x")],
    "directory above": ["../outside/new/"],
    "link above": ["../outside/link -> secret"],
    "hard link from above": ["mine => ../outside/secret"],
    "hard link from above, deeper": ["a/", "mine => a/../../outside/secret"],
    "hard link to what is only outside": ["mine => {outside}/secret"],
    "hard link through a link": ["out -> {outside}", "mine => out/secret"],
    "whiteout of the parent": ["dir/.wh..."],
    "whiteout of the parent at the top": [".wh..."],
    "whiteout of the directory itself": ["dir/.wh.."],
    "whiteout of nothing": ["dir/.wh."],
    "whiteout above": ["../outside/.wh.secret"],
    "opaque above": ["../outside/.wh..wh..opq"],
    "a link as the root": [". -> {outside}"],
    "a file as the root": ["./"[:1]],
    "loop of links": ["a -> b", "b -> a", ("a/x", b"x")],
    "entries below a file": [("a", b"x"), ("a/b", b"x")],
}
CONTAINED = {
    "absolute name": [("{outside}/secret", b"x")],
    "write through an absolute link": ["out -> {outside}", ("out/evil", b"x")],
    "write through a relative link": ["out -> ../outside", ("out/evil", b"x")],
    "write through a chain of links": ["a -> b", "b -> ../../outside", ("a/dir/inner", b"x")],
    "overwrite through a link": ["out -> {outside}/secret", ("out", b"x")],
    "directory over a link": ["out -> {outside}", "out/", ("out/secret", b"x")],
    "directory through a link": ["out -> {outside}", "out/dir/"],
    "link through a link": ["out -> {outside}", "out/secret -> /etc/passwd"],
    "overwrite a hard link to a link": ["a -> {outside}/secret", "b => a", ("b", b"x")],
    "whiteout of a link": ["out -> {outside}", ".wh.out"],
    "whiteout through a link": ["out -> {outside}", "out/.wh.secret"],
    "opaque through a link": ["out -> {outside}", "out/.wh..wh..opq"],
    "link above the top": ["up -> ../../../../../..", ("up/evil", b"x")],
    "loop that nothing enters": ["a -> b", "b -> a"],
}


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    directory = tmp_path / "outside"
    (directory / "dir").mkdir(parents=True)
    (directory / "secret").write_text("secret")
    (directory / "dir" / "inner").write_text("inner")
    return directory


@pytest.fixture(params=["overlay", "plain"])
def style(request: pytest.FixtureRequest, overlay: WhiteoutStyle) -> WhiteoutStyle:
    return overlay if request.param == "overlay" else Plain()


def fill(entries: list[object], outside: Path) -> list[object]:
    """The entries with the real place of {outside} in them."""

    def one(entry: object) -> object:
        if isinstance(entry, tuple):
            return (entry[0].replace("{outside}", str(outside)), entry[1])
        return entry.replace("{outside}", str(outside)) if isinstance(entry, str) else entry

    return [one(entry) for entry in entries]


def surroundings(target: Path) -> dict[str, Node]:
    """Everything beside the tree (its own node changes, of course)."""
    return {path: node for path, node in tree_of(target.parent).items() if path and not path.startswith("root")}


@pytest.mark.parametrize("name", REFUSED)
def test_a_layer_that_would_leave_is_refused(
    name: str, tmp_path: Path, outside: Path, style: WhiteoutStyle, owners: Owners, make_tar: MakeTar
) -> None:
    """The layer raises LayerError and the host outside is unchanged."""
    target = tmp_path / "root"
    (target / "dir").mkdir(parents=True)
    before = surroundings(target)
    with pytest.raises(LayerError):
        apply(make_tar(*fill(REFUSED[name], outside)), target, whiteouts=style, owners=owners)
    assert surroundings(target) == before


@pytest.mark.parametrize("name", CONTAINED)
def test_a_layer_that_points_outside_stays_inside(
    name: str, tmp_path: Path, outside: Path, style: WhiteoutStyle, owners: Owners, make_tar: MakeTar
) -> None:
    """The layer is unpacked as if the tree were the whole world, and the host outside is unchanged."""
    target = tmp_path / "root"
    target.mkdir()
    before = surroundings(target)
    apply(make_tar(*fill(CONTAINED[name], outside)), target, whiteouts=style, owners=owners)
    assert surroundings(target) == before


@pytest.mark.parametrize("name", CONTAINED)
def test_links_left_by_an_earlier_layer_do_not_lead_out(
    name: str, tmp_path: Path, outside: Path, owners: Owners, make_tar: MakeTar
) -> None:
    """On a tree where an earlier layer left the links, the later one cannot use them to get out."""
    target = tmp_path / "root"
    target.mkdir()
    before = surroundings(target)
    for entry in fill(CONTAINED[name], outside):
        apply(make_tar(entry), target, whiteouts=Plain(), owners=owners)
    assert surroundings(target) == before


def test_a_link_in_the_way_is_replaced_and_not_followed(
    tmp_path: Path, outside: Path, owners: Owners, make_tar: MakeTar
) -> None:
    """A directory entry over a symbolic link replaces the link; mode and owner of its target stay."""
    target = tmp_path / "root"
    target.mkdir()
    info = tarfile.TarInfo("out/")
    info.type, info.mode = tarfile.DIRTYPE, 0o777
    apply(make_tar(f"out -> {outside}", info), target, whiteouts=Plain(), owners=owners)
    assert (target / "out").is_dir() and not (target / "out").is_symlink()
    assert outside.stat().st_mode & 0o777 == 0o755


def test_overlayfs_own_marks_cannot_be_smuggled_in(
    tmp_path: Path, overlay: WhiteoutStyle, owners: Owners, make_tar: MakeTar
) -> None:
    """Attributes with which overlayfs marks directories, and devices 0:0, are not taken from a layer."""
    info = tarfile.TarInfo("dir/")
    info.type, info.mode = tarfile.DIRTYPE, 0o755
    info.pax_headers = {
        f"SCHILY.xattr.{p}.overlay.{n}": "y" for p in ("trusted", "user") for n in ("opaque", "redirect")
    }
    device = tarfile.TarInfo("gone")
    device.type, device.devmajor, device.devminor = tarfile.CHRTYPE, 0, 0
    result = apply(make_tar(info, device), tmp_path, whiteouts=overlay, owners=owners)
    assert os.listxattr(tmp_path / "dir") == []
    assert result.skipped == ("gone",)
    assert not (tmp_path / "gone").exists()


def test_a_pipe_in_the_way_does_not_hang(tmp_path: Path, owners: Owners, make_tar: MakeTar) -> None:
    """A file entry over a named pipe replaces it instead of waiting for a reader."""
    pipe = tarfile.TarInfo("x")
    pipe.type = tarfile.FIFOTYPE
    apply(make_tar(pipe, ("x", b"file")), tmp_path, whiteouts=Plain(), owners=owners)
    assert (tmp_path / "x").read_bytes() == b"file"


def test_a_size_beyond_the_disk_is_refused_before_it_is_written(
    tmp_path: Path, overlay: WhiteoutStyle, owners: Owners
) -> None:
    """An entry that announces more than the disk can hold is StorageFull at once."""
    info = tarfile.TarInfo("big")
    info.size = 1 << 60
    with pytest.raises(StorageFull):
        apply(io.BytesIO(info.tobuf(tarfile.GNU_FORMAT)), tmp_path, whiteouts=overlay, owners=owners)


def test_a_giant_extended_header_is_refused(tmp_path: Path, overlay: WhiteoutStyle, owners: Owners) -> None:
    """A pax header of gigabytes is refused by its announced size, not read into memory."""
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 4 << 30
    with pytest.raises(LayerError, match="extended header"):
        apply(io.BytesIO(info.tobuf(tarfile.USTAR_FORMAT) + bytes(2048)), tmp_path, whiteouts=overlay, owners=owners)


def test_a_very_deep_path_is_refused(tmp_path: Path, overlay: WhiteoutStyle, owners: Owners, make_tar: MakeTar) -> None:
    """A path of thousands of directories is a clear error, not a crash."""
    with pytest.raises(LayerError, match="directories"):
        apply(make_tar(("d/" * 3000 + "x", b"x")), tmp_path, whiteouts=overlay, owners=owners)


@pytest.mark.parametrize("cut", [1, 511, 513, 1000, 1500, 1600])
def test_a_truncated_layer_is_refused(
    cut: int, tmp_path: Path, overlay: WhiteoutStyle, owners: Owners, make_tar: MakeTar
) -> None:
    """A tar that ends within an entry raises LayerError."""
    whole = make_tar(("a", b"x" * 600), ("b", b"y")).getvalue()
    with pytest.raises(LayerError):
        apply(io.BytesIO(whole[:cut]), tmp_path, whiteouts=overlay, owners=owners)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_bytes_never_end_in_another_error(data: st.DataObject, make_tar: MakeTar) -> None:
    """Whatever bytes of a tar are changed, reading it gives entries or a MinirtError."""
    info = tarfile.TarInfo("pax")
    info.pax_headers = {"mtime": "1.5", "SCHILY.xattr.user.x": "y", "path": "p" * 120}
    raw = bytearray(make_tar("a/", ("a/b", b"x" * 700), "l -> a", info, ("é", b"")).getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, 5000))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        for start in range(0, 5120, 512):  # make the checksums right again, so that the fields are looked at
            block = raw[start : start + 512]
            if any(block):
                raw[start + 148 : start + 156] = b"%06o\0 " % (sum(block[:148]) + sum(block[156:]) + 256)
    try:
        list(read_entries(io.BytesIO(raw)))
    except MinirtError:
        pass
