"""Committing an upper directory: its layer says what changed, and not what overlayfs notes for itself."""

import importlib
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from minirt.layers.entries import read_entries
from minirt.model.cancel import Cancel
from minirt.model.spec import RootFilesystem
from minirt.snapshots.overlay import OverlaySnapshots
from minirt.store import Store

PREFIX = "trusted.overlay." if os.geteuid() == 0 else "user.overlay."


def here(
    function: str,
    arguments: dict[str, Any],
    *,
    root: RootFilesystem | None = None,
    fds: Sequence[int] = (),
    cancel: Cancel | None = None,
    again: bool = False,
) -> Any:
    """A worker that does the work in this process."""
    module, _, name = function.partition(":")
    return getattr(importlib.import_module(module), name)(arguments, None, list(fds))


@pytest.fixture
def snapshots(tmp_path: Path) -> OverlaySnapshots:
    return OverlaySnapshots(Store(tmp_path / "home"), here, privileged=os.geteuid() == 0, one_id=os.geteuid() != 0)


def test_a_new_directory_hides_nothing_and_says_so(tmp_path: Path, snapshots: OverlaySnapshots) -> None:
    """Overlayfs marks every new directory as opaque; the layer mentions that only where something was hidden."""
    store = Store(tmp_path / "home")
    below = tmp_path / "below"
    snapshots.prepare([], below)
    (below / "upper" / "old").mkdir()
    (below / "upper" / "old" / "x").write_text("x")
    base = snapshots.commit(below)
    above = tmp_path / "above"
    snapshots.prepare([base.diff_id], above)
    for name in ("old", "new"):
        (above / "upper" / name).mkdir()
        os.setxattr(above / "upper" / name, f"{PREFIX}opaque", b"y")
    layer = snapshots.commit(above)
    assert [(mark.path, mark.opaque) for mark in layer.whiteouts] == [("old", True)]
    entries = read_entries(io.BytesIO(store.read(layer.diff_id)))
    assert [(entry.path, entry.kind) for entry in entries] == [
        ("new", "directory"),
        ("old", "directory"),
        ("old", "opaque"),
    ]
    kept = snapshots.diff_path(layer.diff_id)
    assert (os.listxattr(kept / "new"), os.listxattr(kept / "old")) == ([], [f"{PREFIX}opaque"])
    assert sorted(os.listdir(kept.parent)) == ["diff", "layer.json"]
