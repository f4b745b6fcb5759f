"""Reading a path of a stack of layers without a mount follows overlayfs's rules."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from minirt.errors import InvalidSpec
from minirt.model.spec import User
from minirt.snapshots import Union
from minirt.snapshots.users import lookup_user


@pytest.fixture
def layers(tmp_path: Path) -> list[Path]:
    """Three empty layers, base first."""
    made = [tmp_path / name for name in ("base", "middle", "top")]
    for layer in made:
        layer.mkdir()
    return made


def _write(layer: Path, path: str, text: str = "x") -> None:
    target = layer / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)


def _whiteout(layer: Path, path: str) -> None:
    target = layer / path
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.mknod(target, 0o020000, os.makedev(0, 0))
    except PermissionError:
        pytest.skip("this kernel makes whiteouts for root only")


def _opaque(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    try:
        os.setxattr(directory, "user.overlay.opaque", b"y")
    except OSError:
        pytest.skip("this file system has no user extended attributes")


def test_the_topmost_layer_wins_and_lower_ones_show_through(layers: list[Path]) -> None:
    """A file is read from the highest layer that has it."""
    _write(layers[0], "a/one", "base")
    _write(layers[0], "a/two", "base")
    _write(layers[2], "a/one", "top")
    union = Union.of(layers)
    assert union.read("/a/one") == b"top"
    assert union.read("/a/two") == b"base"
    assert union.names("/a") == {"one", "two"}
    assert union.read("/a/three") is None


def test_a_whiteout_hides_a_file_or_a_whole_directory(layers: list[Path]) -> None:
    """What is deleted in a layer is not seen from above it, and may come back in a higher one."""
    _write(layers[0], "a/one")
    _write(layers[0], "b/c/two")
    _whiteout(layers[1], "a/one")
    _whiteout(layers[1], "b")
    union = Union.of(layers)
    assert union.read("/a/one") is None
    assert union.read("/b/c/two") is None
    _write(layers[2], "a/one", "again")
    assert union.read("/a/one") == b"again"


def test_an_opaque_directory_hides_all_below_but_not_its_own(layers: list[Path]) -> None:
    """An opaque directory starts afresh."""
    _write(layers[0], "d/old")
    _opaque(layers[1] / "d")
    _write(layers[1], "d/new")
    union = Union.of(layers)
    assert union.read("/d/old") is None
    assert union.read("/d/new") == b"x"
    assert union.names("/d") == {"new"}


def test_a_file_in_the_place_of_a_directory_hides_it(layers: list[Path]) -> None:
    """A name is one thing: the highest layer's."""
    _write(layers[0], "d/old")
    _write(layers[1], "d")
    assert Union.of(layers).read("/d/old") is None


def test_symlinks_are_followed_inside_the_union_only(layers: list[Path], tmp_path: Path) -> None:
    """Absolute links start at the image's root, `..` stops there, and a loop is nothing."""
    (tmp_path / "secret").write_text("host")
    _write(layers[0], "usr/etc/passwd", "root:x:0:0::/root:")
    (layers[1] / "etc").symlink_to("/usr/etc")
    (layers[2] / "out").symlink_to("../../secret")
    (layers[2] / "host").symlink_to(tmp_path / "secret")
    (layers[2] / "loop").symlink_to("loop")
    union = Union.of(layers)
    assert union.read("/etc/passwd") == b"root:x:0:0::/root:"
    assert union.read("/out") is None
    assert union.read("/host") is None
    assert union.read("/loop") is None


PASSWD = "root:x:0:0:root:/root:/bin/sh\n# note\nbroken\napp:x:1000:50::/home/app:/bin/sh\n"
GROUP = "root:x:0:\nstaff:x:50:\naudio:x:29:app,root\n"


@pytest.mark.parametrize(
    ("text", "user", "home"),
    [
        ("", User(0, 0, (0, 29)), "/root"),
        ("app", User(1000, 50, (50, 29)), "/home/app"),
        ("1000", User(1000, 50, (50, 29)), "/home/app"),
        ("app:audio", User(1000, 29, (29,)), "/home/app"),
        ("app:7", User(1000, 7, (7,)), "/home/app"),
        ("4242", User(4242, 0, (0,)), "/"),
        ("4242:staff", User(4242, 50, (50,)), "/"),
    ],
)
def test_users_are_looked_up_in_the_image(layers: list[Path], text: str, user: User, home: str) -> None:
    """Names and numbers, alone or with a group, give docker's ids, groups and HOME."""
    _write(layers[0], "etc/passwd", PASSWD)
    _write(layers[1], "etc/group", GROUP)
    account = lookup_user(text, Union.of(layers))
    assert (account.user, account.home) == (user, home)


@pytest.mark.parametrize("text", ["nobody", "app:none", "99999999999"])
def test_unknown_users_and_groups_are_told_in_dockers_words(layers: list[Path], text: str) -> None:
    """A name the image does not have, or an id out of range, is refused before anything starts."""
    _write(layers[0], "etc/passwd", PASSWD)
    with pytest.raises(InvalidSpec, match=r"unable to find|must be in range"):
        lookup_user(text, Union.of(layers))


def test_an_image_without_passwd_still_has_root() -> None:
    """FROM scratch images run as 0:0."""
    assert lookup_user("", Union.of(())).user == User(0, 0, (0,))
