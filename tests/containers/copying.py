"""``docker cp``, cell by cell: the trees, and what a copy changed in them, as lines that can be compared."""

from __future__ import annotations

import io
import os
import re
import tarfile
from collections.abc import Iterable
from pathlib import Path

__all__ = ["SCRIPT", "STREAM", "changes", "gist", "host_lines", "lay_out", "tar_lines"]

# What the container's image has. /t/vol, /t/rovol and /t/bind get a volume, a read-only volume and a bind.
SCRIPT = """set -e
mkdir -p /t/d/sub /t/empty /t/vol /t/rovol /t/bind
echo a > /t/d/a; chmod 640 /t/d/a; chown 1000:1001 /t/d/a
echo b > /t/d/sub/b; chmod 755 /t/d/sub/b; chmod 750 /t/d/sub; chown 1000:1000 /t/d/sub
echo f > /t/f; echo v > /t/vol/v
ln -s /t/d/a /t/link; ln -s d/a /t/rel; ln -s /t/d /t/dirlink; ln -s /t/nowhere /t/broken
ln -s ../../../../t/d /t/up; ln -s /t/link /t/chain
"""
_SAYINGS = (
    "no such directory", "cannot copy directory", "Could not find the file", "no such file or directory",
    "invalid output path", "invalid symlink", "cannot overwrite", "must be a directory", "marked read-only",
    "device or resource busy", "container source", "copying between containers", "not a directory", "No such container",
)  # fmt: skip


def lay_out(base: Path) -> None:
    """The machine's side of every cell, in a fresh directory."""
    (base / "dir" / "sub").mkdir(parents=True)
    (base / "empty").mkdir()
    (base / "climb").mkdir()
    for name in ("file", "dir/x", "dir/sub/y", "exe", "owned", "a", "sub"):
        (base / name).write_text(name)
    for name, mode in (("dir/sub/y", 0o755), ("exe", 0o4755), ("owned", 0o600), ("dir/sub", 0o700)):
        (base / name).chmod(mode)
    for name, mode in (("file", 0o644), ("dir/x", 0o644), ("a", 0o644), ("sub", 0o644), ("dir", 0o755)):
        (base / name).chmod(mode)
    if os.geteuid() == 0:
        os.chown(base / "dir" / "sub", 1234, 4321)
        os.chown(base / "owned", 1234, 4321)
    links = {"link": "file", "dirlink": "dir", "broken": "nowhere", "abslink": "/etc/hostname", "climb/l": "../file"}
    for name, target in links.items():
        os.symlink(target, base / name)
    for name in ("file", "dir/x", "owned"):
        os.utime(base / name, (10**9, 10**9))


def _stream() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in (("p", None), ("p/q", b"q"), ("r", b"r")):
            entry = tarfile.TarInfo(name)
            entry.uid, entry.gid, entry.mtime, entry.mode = 55, 66, 10**9, 0o640
            if content is None:
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            entry.size = len(content or b"")
            archive.addfile(entry, io.BytesIO(content or b""))
    return out.getvalue()


STREAM = _stream()


def _line(name: str, kind: str, mode: int, owner: tuple[int, int], body: str, mtime: float) -> str:
    when = " old" if mtime == 10**9 else ""
    return f"{name} {kind} {mode & 0o7777:o} {owner[0]}:{owner[1]}{when} {body.strip()}".rstrip()


def host_lines(base: Path) -> set[str]:
    """Every path below ``base``."""
    found = set()
    for top, directories, files in os.walk(base):
        for name in (*directories, *files):
            path = Path(top, name)
            status = path.lstat()
            kind = "link" if path.is_symlink() else "dir" if path.is_dir() else "file"
            body = {"link": os.readlink, "dir": lambda _: "", "file": lambda one: one.read_text()}[kind](path)
            owner = (status.st_uid, status.st_gid)
            found.add(_line(str(path.relative_to(base)), kind, status.st_mode, owner, body, status.st_mtime))
    return found


def tar_lines(data: bytes) -> set[str]:
    """Every member of an archive."""
    found = set()
    if data:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for one in archive:
                content = archive.extractfile(one) if one.isfile() else None
                kind = "link" if one.issym() else "dir" if one.isdir() else "file"
                body = one.linkname if content is None else content.read().decode()
                found.add(_line(one.name, kind, one.mode, (one.uid, one.gid), body, one.mtime))
    return found


def changes(before: Iterable[str], after: Iterable[str], *, owners: bool = True) -> list[str]:
    """Lines that went and lines that came. Without ``owners``, who owns what is left out."""
    first, second = set(before), set(after)
    if not owners:
        first, second = ({_plain(line) for line in lines} for lines in (first, second))
    return sorted([f"- {line}" for line in first - second] + [f"+ {line}" for line in second - first])


def _plain(line: str) -> str:
    return re.sub(r" \d+:\d+( |$)", r"\1", line, count=1)


def gist(said: str) -> str:
    """Which of docker's refusals it is."""
    return next((saying for saying in _SAYINGS if saying in said), "")
