"""Packing a layer while its files are written: each is read once, and goes to the disk and into the tar.

A step that makes all its changes itself (COPY) need not have them found again afterwards. What is packed is still what
the disk says of each file, just after it was written, so the tar is the very one that ``commit`` would have made. The
tar and its facts lie in the step's directory, where ``commit`` finds them.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Generator
from pathlib import Path
from typing import Any, Self

from minirt.layers.beneath import Beneath
from minirt.layers.blob_file import BlobFile
from minirt.layers.changes import Present, changes, present_of
from minirt.layers.metadata import read_xattrs
from minirt.layers.outflow import Outflow
from minirt.layers.pack import Packing, PackResult
from minirt.layers.styles import OverlayTrusted, OverlayUser, RealOwners, SideOwners
from minirt.snapshots.contract import LOWER

__all__ = ["EarlyPack", "form_of", "layers_below", "packed_facts", "take_packed"]

_TAR = "packed.tar"
_FACTS = "packed.json"


class EarlyPack:
    """The layer of ``where/upper`` while it is filled. ``form`` is what :func:`minirt.layers.changes` wants to know.

    Begin after the directories above what is written were made, take every entry in the order of a walk, finish.
    """

    def __init__(self, where: Path, home: Path, form: dict[str, Any], epoch: int | None) -> None:
        self._where = where
        self._owners = form["owners"]
        self._out = BlobFile(where / _TAR)
        self._beneath = Beneath(where / "upper")
        self._flow = Outflow(self._out)
        self._packing = Packing(self._beneath, self._flow, epoch)
        self._found = changes(where / "upper", lowers=layers_below(where, home), tidy=True, **form)
        self.finished = False

    @classmethod
    def of(cls, arguments: dict[str, Any], epoch: int | None) -> Self:
        """From what :meth:`minirt.snapshots.contract.Snapshots.early` gave."""
        return cls(Path(arguments["where"]), Path(arguments["home"]), form_of(arguments), epoch)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._flow.__exit__()
        if isinstance(self._found, Generator):
            self._found.close()
        self._beneath.close()
        self._out.close()
        if not self.finished:
            (self._where / _TAR).unlink(missing_ok=True)

    def begin(self) -> None:
        """Take what is there already: the way down to where files will be written."""
        for change in self._found:
            self._packing.take(change)

    def take(
        self, path: str, status: os.stat_result, xattrs: dict[str, bytes], content: bytes | int | None, *, linked: bool
    ) -> None:
        """An entry just written, as the disk has it, at ``path`` below the root; ``linked``: it may get more names."""
        present = present_of(path, status, xattrs, self._owners)
        if linked and present.inode is None and not stat.S_ISDIR(status.st_mode):
            present = Present(
                path, present.kind, present.metadata, present.size, (status.st_dev, status.st_ino), present.number
            )
        self._packing.take(present, content)

    def take_plain(self, path: str, fd: int, content: bytes | int) -> os.stat_result:
        """A plain file just written, still open; returns what the disk says of it."""
        status, xattrs = os.fstat(fd), read_xattrs(fd)
        one = not xattrs and status.st_nlink == 1 and isinstance(self._owners, RealOwners)
        if one and isinstance(content, bytes) and len(content) == status.st_size:
            self._packing.plain(path, status, content)
        else:
            self.take(path, status, xattrs, content, linked=False)
        return status

    def take_named(self, path: str, fd: int, name: str) -> None:
        """An entry just made in the open directory ``fd``: a link, a device, a further name of a file."""
        status = os.stat(name, dir_fd=fd, follow_symlinks=False)
        if not stat.S_ISSOCK(status.st_mode):
            self.take(path, status, read_xattrs((fd, name)), None, linked=True)

    def finish(self) -> None:
        """End the tar, and write down what it is."""
        (self._where / _FACTS).write_text(json.dumps(packed_facts(self._packing.finish())))
        self.finished = True


def form_of(arguments: dict[str, Any]) -> dict[str, Any]:
    """Which whiteouts the kernel reads, and whether files may have owners, on this machine."""
    return {
        "whiteouts": OverlayTrusted() if arguments["privileged"] else OverlayUser(),
        "owners": SideOwners() if arguments["one_id"] else RealOwners(),
    }


def layers_below(where: Path, home: Path) -> list[Path] | None:
    """The layers below ``where``, topmost first; None when nobody noted them."""
    try:
        names = (where / LOWER).read_text().split()
    except FileNotFoundError:
        return None
    return [home / "layers" / name / "diff" for name in names]


def take_packed(where: Path, blob: Path) -> dict[str, Any] | None:
    """The facts of the tar that was packed early, which is moved to ``blob``; None if none was."""
    try:
        facts: dict[str, Any] = json.loads((where / _FACTS).read_text())
    except FileNotFoundError:
        return None
    os.rename(where / _TAR, blob)
    (where / _FACTS).unlink()
    return facts


def packed_facts(packed: PackResult) -> dict[str, Any]:
    """The result of packing as JSON."""
    return {
        "diff_id": str(packed.diff_id),
        "size": packed.size,
        "content_bytes": packed.content_bytes,
        "entries": packed.entries,
        "whiteouts": [[mark.path, mark.opaque] for mark in packed.whiteouts],
    }
