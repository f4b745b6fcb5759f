"""Paths inside a tree that somebody else filled."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from minirt.linux.paths import ensure_inside, opened


def _resolved(root: Path, path: str, *, directory: bool = True) -> str:
    with opened(str(root)) as root_fd:
        fd = ensure_inside(root_fd, path, directory=directory)
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "file").touch()
    os.symlink("/etc", root / "absolute")
    os.symlink("../../../../etc", root / "climbing")
    os.symlink("/not/yet/there", root / "dangling")
    os.symlink("loop", root / "loop")
    os.symlink("etc/../climbing/file", root / "winding")
    return root


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", ""),
        ("/etc", "/etc"),
        ("/absolute", "/etc"),
        ("/climbing", "/etc"),
        ("../../etc", "/etc"),
        ("/absolute/../etc/./new", "/etc/new"),
        ("/dangling/x", "/not/yet/there/x"),
        ("/a/b/c", "/a/b/c"),
    ],
)
def test_directories(root: Path, path: str, expected: str) -> None:
    """Links are followed as a process in the tree would, never out of it; what is missing is made."""
    assert _resolved(root, path) == f"{root}{expected}"
    assert (root / expected.lstrip("/")).is_dir()


def test_files(root: Path) -> None:
    """The last step is a file where a file is wanted; an existing one keeps its text."""
    (root / "etc" / "file").write_text("text")
    assert _resolved(root, "/winding", directory=False) == f"{root}/etc/file"
    assert (root / "etc" / "file").read_text() == "text"
    assert _resolved(root, "/absolute/sub/new", directory=False) == f"{root}/etc/sub/new"
    assert (root / "etc" / "sub" / "new").read_bytes() == b""


def test_what_is_made_is_noted(root: Path) -> None:
    """The caller hears of every directory and file that was missing."""
    notes: list[str] = []
    with opened(str(root)) as root_fd:
        fd = ensure_inside(root_fd, "/absolute/x/y", directory=False, note=lambda parent, name: notes.append(name))
    os.close(fd)
    assert notes == ["x", "y"]


@pytest.mark.parametrize(
    ("path", "directory", "error"),
    [("/loop", True, OSError), ("/etc/file/below", True, NotADirectoryError), ("/etc/file", True, NotADirectoryError),
     ("/etc", False, IsADirectoryError)],
)  # fmt: skip
def test_impossible_paths(root: Path, path: str, directory: bool, error: type[OSError]) -> None:
    """The errors are those of the system."""
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(error):
        _resolved(root, path, directory=directory)
    assert len(os.listdir("/proc/self/fd")) == before
