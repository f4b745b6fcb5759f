"""Cases as folders: a Dockerfile, a context, and what must come out.

``<name>/Dockerfile`` is built with ``<name>/context`` as its context. ``case.json`` says the rest: ``build_args``,
``target``, ``prepare`` (what git cannot keep: modes, pipes, times, sparse files …), and what comes out: ``files`` (the
difference to the base, as in :mod:`unpacked`), ``config`` and ``history``, or ``error``, a part of the message.
``peer`` false: an older BuildKit differs, and ``why`` says how. ``several_ids``: RUN changes to another user.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import tarfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent / "cases"


def names() -> list[str]:
    return sorted(path.parent.name for path in ROOT.glob("*/Dockerfile"))


def load(name: str) -> dict[str, Any]:
    path = ROOT / name / "case.json"
    return json.loads(path.read_text()) if path.exists() else {}


def stage(name: str, where: Path) -> Path:
    """Copy the context to ``where`` and carry out ``prepare`` there. Returns the context."""
    context = where / "context"
    if (ROOT / name / "context").is_dir():
        shutil.copytree(ROOT / name / "context", context, symlinks=True)
    else:
        context.mkdir()
    # git keeps only whether a file is executable; what its umask makes of the rest must not matter.
    for directory, _, files in os.walk(context):
        os.chmod(directory, 0o755)
        for file in files:
            path = Path(directory) / file
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
    for step in load(name).get("prepare", ()):
        _prepare(context, *step)
    return context


def _prepare(context: Path, what: str, name: str, *rest: Any) -> None:
    path = context / name
    if what == "chmod":
        path.chmod(int(rest[0], 8))
    elif what == "fifo":
        os.mkfifo(path)
    elif what == "hardlink":
        os.link(context / rest[0], path)
    elif what == "symlink":
        path.symlink_to(rest[0])
    elif what == "mkdir":
        path.mkdir(parents=True)
    elif what == "write":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(rest[0])
    elif what == "mtime":
        os.utime(path, (rest[0], rest[0]))
    elif what == "tar":
        _tar(path, *rest)
    else:
        raise ValueError(what)


def _tar(path: Path, compression: str, members: list[dict[str, Any]]) -> None:
    """An archive: each member has ``name`` and what TarInfo calls ``mode``, ``uid``, ``gid``, ``mtime``, ``type``."""
    # gzip would write the time of day into its header.
    plain = gzip.GzipFile(path, "wb", mtime=0) if compression == "gz" else None
    with tarfile.open(path, "w" if plain else f"w:{compression}", fileobj=plain) as archive:
        for said in members:
            data = said.pop("data", "").encode()
            info = tarfile.TarInfo(said.pop("name"))
            info.size = len(data)
            for key, value in said.items():
                setattr(info, key, value.encode() if key == "type" else value)
            archive.addfile(info, io.BytesIO(data))
    if plain is not None:
        plain.close()
