"""Which unpacked layers of a shared store can be used as they lie, and that none is ever removed from there."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from minirt.model.digest import Digest
from minirt.snapshots.shared import SharedLayers, blob_of
from minirt.snapshots.work import discard

DIFF_ID = Digest.of(b"a layer")
ONE_ID = {"privileged": False, "one_id": True}
SEVERAL = {"privileged": False, "one_id": False}
ROOT = {"privileged": True, "one_id": False}


def _unpacked(home: Path, form: str | None) -> Path:
    place = home / "layers" / DIFF_ID.hex
    (place / "diff").mkdir(parents=True)
    (place / "diff" / "file").write_text("x")
    label = {"digest": str(Digest.of(b"blob"))} | ({} if form is None else {"form": form})
    (place / "layer.json").write_text(json.dumps(label))
    return place


@pytest.mark.parametrize(
    ("form", "arguments", "fits"),
    [
        ("one id", ONE_ID, True),
        ("root", ROOT, True),
        ("root", ONE_ID, False),
        ("one id", ROOT, False),
        ("several ids", SEVERAL, False),
        (None, ONE_ID, False),
    ],
)
def test_a_layer_serves_who_would_have_unpacked_it_the_same(
    tmp_path: Path, form: str | None, arguments: dict[str, bool], fits: bool
) -> None:
    """The form must be one's own; a range of ids belongs to one user, and what an older version left tells no form."""
    place = _unpacked(tmp_path, form)
    assert SharedLayers([tmp_path], arguments).layer(DIFF_ID) == (place if fits else None)
    assert blob_of(place) == Digest.of(b"blob")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_layer_of_another_user_does_not_serve(tmp_path: Path) -> None:
    """In a user namespace its files would be nobody's."""
    place = _unpacked(tmp_path, "one id")
    os.chown(place / "diff", 5, 5)
    assert SharedLayers([tmp_path], ONE_ID).layer(DIFF_ID) is None


def test_removing_a_borrowed_layer_removes_the_link_alone(tmp_path: Path) -> None:
    """Whatever its modes: the directories behind the link are neither removed nor opened up."""
    place = _unpacked(tmp_path / "shared", "root")
    (place / "diff").chmod(0o500)
    link = tmp_path / "layer"
    link.symlink_to(place)
    discard({"where": str(link)}, None, [])
    assert not link.is_symlink()
    assert ((place / "diff" / "file").read_text(), (place / "diff").stat().st_mode & 0o777) == ("x", 0o500)
    (place / "diff").chmod(0o700)
