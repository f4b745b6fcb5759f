"""Cases as folders: a Dockerfile, a context, and what must come out.

``<name>/Dockerfile`` is built with ``<name>/context`` as its context. ``case.json`` says the rest: ``build_args``,
``target``, ``prepare`` (what git cannot keep: modes, pipes, times, sparse files …), and what comes out: ``files`` (the
difference to the base, as in :mod:`unpacked`), ``config`` and ``history``, or ``error``, a part of the message.
``labels`` and ``contexts`` (a name and a directory of the context) are the flags of those names; ``below`` is the
part of the context that is built. ``peer`` false: docker is not asked, and ``why`` says why not. ``several_ids``:
somebody else has links or pipes, or a user is in further groups. ``reads_all``: the context has files that only root
may read. ``machine``: the only kind of machine on which this comes out. ``python record.py NAME`` writes what comes
out, as docker says it.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import shutil
import socket
import tarfile
import zlib
from pathlib import Path
from typing import Any

LONG_AGO = 1_000_000_000
"""The times of a context's files, in seconds since 1970, are a little after it, unless ``prepare`` says otherwise."""

ROOT = Path(__file__).parent / "cases"


def names() -> list[str]:
    return sorted(path.parent.name for path in ROOT.glob("*/Dockerfile"))


def load(name: str) -> dict[str, Any]:
    path = ROOT / name / "case.json"
    return json.loads(path.read_text()) if path.exists() else {}


def fields(said: dict[str, Any], context: Path) -> dict[str, Any]:
    """The fields of a BuildRequest that ``case.json`` asks for."""
    asked = {key: said[key] for key in ("build_args", "target", "labels") if key in said}
    contexts = {key: str(context / value) for key, value in said.get("contexts", {}).items()}
    return {**asked, "contexts": contexts, "no_cache": "times" in said}


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
    steps = load(name).get("prepare", ())
    for step in steps:
        _prepare(context, *step)
    for path in (context, *context.rglob("*")):
        # Docker takes a file of the same path, size and time for the one of the build before.
        seed = os.fsencode(f"{name}/{path.relative_to(context)}")
        moment = LONG_AGO + (zlib.crc32(seed) % LONG_AGO) // 10
        os.utime(path, (moment, moment), follow_symlinks=False)
    for step in steps:
        if step[0] == "mtime":
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
    elif what == "socket":
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(str(path))
    elif what == "xattr":
        os.setxattr(path, rest[0], rest[1].encode())
    elif what == "bytes":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes.fromhex(rest[0]))
    elif what == "bytesname":
        (context / os.fsdecode(bytes.fromhex(name))).write_text(rest[0])
    elif what == "truncate":
        (context / rest[0]).write_bytes(path.read_bytes()[: rest[1]])
        path.unlink()
    elif what == "compress":
        path.write_bytes(_COMPRESS[path.suffix](path.with_suffix("").read_bytes()))
    elif what == "tar":
        _tar(path, *rest)
    else:
        raise ValueError(what)


def _zstd(data: bytes) -> bytes:
    import zstandard

    return zstandard.ZstdCompressor().compress(data)


_COMPRESS = {
    ".gz": lambda data: gzip.compress(data, mtime=0),
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    ".zst": _zstd,
}


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
