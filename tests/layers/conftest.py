"""What the layers' tests share: forms of whiteouts and owners this user can have, tars by another hand, mounts."""

import io
import os
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from minirt.layers.styles import OverlayTrusted, OverlayUser, Owners, RealOwners, SideOwners, WhiteoutStyle

IS_ROOT = os.geteuid() == 0


@pytest.fixture
def overlay() -> WhiteoutStyle:
    """The overlay form that this user can write."""
    return OverlayTrusted() if IS_ROOT else OverlayUser()


@pytest.fixture
def owners() -> Owners:
    return RealOwners() if IS_ROOT else SideOwners()


@pytest.fixture
def make_tar() -> Callable[..., io.BytesIO]:
    """A tar written by the standard library: entries are names, (name, content) pairs or TarInfo objects.

    A name that ends with a slash is a directory; ``a -> b`` is a symbolic link, ``a => b`` a hard link.
    """

    def make(*entries: object) -> io.BytesIO:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for entry in entries:
                info, content = _info(entry)
                tar.addfile(info, io.BytesIO(content))
        out.seek(0)
        return out

    return make


def _info(entry: object) -> tuple[tarfile.TarInfo, bytes]:
    if isinstance(entry, tarfile.TarInfo):
        return entry, b""
    if isinstance(entry, tuple):
        info = tarfile.TarInfo(entry[0])
        info.size = len(entry[1])
        info.mode = 0o644
        return info, entry[1]
    assert isinstance(entry, str)
    for arrow, kind in ((" -> ", tarfile.SYMTYPE), (" => ", tarfile.LNKTYPE)):
        if arrow in entry:
            name, target = entry.split(arrow)
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            return info, b""
    info = tarfile.TarInfo(entry)
    if entry.endswith("/"):
        info.type, info.mode = tarfile.DIRTYPE, 0o755
    return info, b""


@pytest.fixture
def mount_overlay(tmp_path: Path) -> Iterator[Callable[[Sequence[Path], Path | None], Path]]:
    """Mount ``lowers`` (topmost first) with an upper directory; gives the merged directory. Undone at the end."""
    mounted: list[Path] = []

    def mount(lowers: Sequence[Path], upper: Path | None) -> Path:
        merged = tmp_path / f"merged{len(mounted)}"
        work = tmp_path / f"work{len(mounted)}"
        merged.mkdir()
        options = "lowerdir=" + ":".join(str(lower) for lower in lowers)
        if upper is not None:
            work.mkdir()
            options += f",upperdir={upper},workdir={work},redirect_dir=off,metacopy=off"
        done = subprocess.run(
            ["mount", "-t", "overlay", "overlay", "-o", options, merged], capture_output=True, text=True
        )
        if done.returncode:
            pytest.skip(f"overlayfs cannot be mounted here: {done.stderr.strip()}")
        mounted.append(merged)
        return merged

    yield mount
    for merged in reversed(mounted):
        subprocess.run(["umount", "--lazy", merged], check=False)
