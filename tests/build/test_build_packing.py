"""A COPY packs its layer while it writes the files: the layer is the one that looking at them afterwards would give."""

import hashlib
import io
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from minirt.engine import Engine
from minirt.layers.changes import changes
from minirt.layers.entries import read_entries
from minirt.layers.pack import pack
from minirt.layers.styles import OverlayTrusted, OverlayUser, RealOwners, SideOwners
from minirt.model.digest import Digest
from minirt.model.events import WarningRaised
from minirt.model.spec import OverlayRoot

BEFORE = (
    "RUN mkdir -p /to/shared/deep /to/kept && echo old > /to/replaced && echo old > /to/shared/also && chmod 1777 /to\n"
)


def tree(where: Path) -> Path:
    """One of everything that a build context may hold, below ``where/from``."""
    top = where / "from"
    for name in ("shared/deep", "fresh/empty", "closed"):
        (top / name).mkdir(parents=True)
    (top / "replaced").write_text("new")
    (top / "shared" / "also").write_text("new")
    (top / "shared" / "deep" / "file").write_text("deep")
    (top / "a.txt").write_text("a")
    (top / "fresh" / "a-b").write_text("b")
    (top / "fresh" / "a").mkdir()
    (top / "fresh" / "a" / "z").write_text("z")
    (top / "fresh" / "gr\u00fc\u00df \U0001f40b").write_text("whale")
    (top / "fresh" / ("long" * 60)).write_text("long")
    (top / "big").write_bytes(bytes(range(256)) * 10_000)
    (top / "set").write_text("s")
    (top / "set").chmod(0o6755)
    (top / "closed" / "secret").write_text("1")
    (top / "closed" / "secret").chmod(0o400)
    os.link(top / "a.txt", top / "fresh" / "twin")
    os.link(top / "shared" / "also", top / "fresh" / "second")
    os.symlink("../a.txt", top / "fresh" / "link")
    os.mkfifo(top / "fresh" / "pipe")
    with open(top / "sparse", "wb") as file:
        file.truncate(5_000_000)
        file.seek(3_000_000)
        file.write(b"island")
    (top / "closed").chmod(0o500)
    return where


def packed_anew(engine: Engine, layers: Sequence[Digest]) -> str:
    """The digest of the last of ``layers``, packed once more from its unpacked files."""
    *below, last = [engine.snapshots.diff_path(layer) for layer in layers]
    style = OverlayTrusted() if engine.machine.root else OverlayUser()
    owners = SideOwners() if engine.machine.one_owner else RealOwners()
    out = io.BytesIO()
    pack(changes(last, whiteouts=style, owners=owners, lowers=below[::-1]), last, out)
    return f"sha256:{hashlib.sha256(out.getvalue()).hexdigest()}"


@pytest.mark.parametrize("flags", ["", "--chmod=u=rwX,go=rX", "--chown=7:8"])
@pytest.mark.parametrize("before", ["", BEFORE])
@pytest.mark.parametrize("to", ["/to", "/", "/new/below/"])
def test_the_layer_is_what_the_disk_says(
    engine: Engine, build: Any, tmp_path: Path, flags: str, before: str, to: str
) -> None:
    """Packed anew from what was written, the layer has the same digest: every name, mode, owner, time and byte."""
    if flags.startswith("--chown") and not engine.machine.root:
        pytest.skip("only root may read what belongs to others, as this test does")
    result = build(f"FROM minirt/base\n{before}COPY {flags} from {to}\n", tree(tmp_path))
    made = result.config.diff_ids
    if not isinstance(engine.snapshots.view(made), OverlayRoot):
        pytest.skip("a copied root is compared before it is packed")
    assert packed_anew(engine, made) == str(made[-1])


def test_a_hole_stays_a_hole(engine: Engine, build: Any, events: list[Any], tmp_path: Path) -> None:
    """A sparse gigabyte takes seconds to copy and next to no room, unpacked or in its blob; a warning tells of it."""
    with open(tmp_path / "giant", "wb") as file:
        try:
            file.truncate(1 << 30)
        except OSError:
            pytest.skip("this file system has no files of that size")
        file.seek(1 << 29)
        file.write(b"island")
    if os.stat(tmp_path / "giant").st_blocks > 1 << 10:
        pytest.skip("this file system has no holes")
    before = time.monotonic()
    result = build("FROM minirt/base\nCOPY giant /x\n", tmp_path)
    assert time.monotonic() - before < 60
    (warning,) = [event for event in events if isinstance(event, WarningRaised)]
    assert "giant holds 0 MB, but counts 1.1 GB" in warning.message
    layer = result.config.diff_ids[-1]
    blob = engine.store.path(layer)
    assert blob.stat().st_size > 1 << 30
    assert blob.stat().st_blocks * 512 < 16 << 20
    assert (engine.snapshots.diff_path(layer) / "x").stat().st_blocks * 512 < 16 << 20
    words = ["sh", "-c", "tail -c +536870913 /x | head -c 6; wc -c < /x"]
    assert engine.containers.run(str(result.image_id), words, remove=True).split() == [b"island1073741824"]


def test_one_entry_a_file_in_order(engine: Engine, build: Any, tmp_path: Path) -> None:
    """The names in the layer are those of the tree, each directory before what it holds."""
    result = build("FROM minirt/base\nCOPY from /to\n", tree(tmp_path))
    with open(engine.store.path(result.config.diff_ids[-1]), "rb") as blob:
        names = [entry.path for entry in read_entries(blob)]
    there = [str(path.relative_to(tmp_path / "from")) for path in (tmp_path / "from").rglob("*")]
    assert sorted(names) == sorted(["to", *(f"to/{name}" for name in there)])
    assert all("/" not in name or name.rpartition("/")[0] in names[: names.index(name)] for name in names)
