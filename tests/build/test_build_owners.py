"""Owners of what cannot carry a note of them, where all files belong to one id."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

from minirt.engine import Engine


def test_an_archive_with_somebody_elses_links_and_pipes_is_added(build: Any, engine: Engine, tmp_path: Path) -> None:
    """As most that were made by an ordinary user: they are root's then, and files keep their owner."""
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, kind in (("file", tarfile.REGTYPE), ("link", tarfile.SYMTYPE), ("pipe", tarfile.FIFOTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.uid, member.gid = kind, "file" if name == "link" else "", 1000, 1000
            member.mode = 0o640
            archive.addfile(member, io.BytesIO())
    image = build("FROM scratch\nADD a.tar /\n", context=tmp_path).image_id
    stream = b"".join(engine.images.get(str(image)).save(named=False))
    with tarfile.open(fileobj=io.BytesIO(stream)) as saved:
        blobs = [saved.extractfile(one) for one in saved if one.name.startswith("blobs/") and one.isfile()]
        layers = [io.BytesIO(blob.read()) for blob in blobs if blob is not None]
    found = {}
    for layer in layers:
        if layer.getvalue()[257:262] == b"ustar":
            with tarfile.open(fileobj=layer) as members:
                found = {one.name: (one.uid, one.mode) for one in members if not one.isdir()}
    bare = 0 if engine.machine.single_id else 1000
    assert found == {"file": (1000, 0o640), "link": (bare, 0o777), "pipe": (bare, 0o640)}
