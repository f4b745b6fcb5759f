"""An image archive as plain values: its config, and its files once all layers are laid over each other."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import posixpath
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

OLD = 1_700_000_000
"""Seconds since 1970: what is younger was not in a base or a context, but made by the build."""

KINDS = {tarfile.REGTYPE: "file", tarfile.DIRTYPE: "dir", tarfile.SYMTYPE: "link", tarfile.FIFOTYPE: "fifo"}


@dataclass(frozen=True)
class Unpacked:
    """``files`` by absolute path: kind, octal mode, uid:gid, extended attributes and the text, target or digest, in one
    string. ``times`` in seconds; ``links`` are the groups of names that are one file.
    """

    config: dict[str, Any]
    files: dict[str, str]
    times: dict[str, float]
    links: frozenset[frozenset[str]] = frozenset()

    def old_times(self) -> dict[str, float | str]:
        """The times of all but directories; those that the build itself brought as ``now``.

        Docker keeps a context from one build to the next and brings it up to date, which touches its directories.
        """
        files = {path: when for path, when in self.times.items() if not self.files[path].startswith("dir")}
        return {path: when if when < OLD else "now" for path, when in files.items()}

    def plain_config(self) -> dict[str, Any]:
        """All of the config but what hangs on the layers and the clock; empty values left out."""
        outer = {k: v for k, v in self.config.items() if k not in ("created", "history", "rootfs", "config")}
        inner = {key: value for key, value in self.config["config"].items() if value not in (None, [], {}, "")}
        return {**{key: value for key, value in outer.items() if value not in (None, "")}, "config": inner}

    def history(self) -> list[dict[str, Any]]:
        return [{k: v for k, v in entry.items() if k != "created"} for entry in self.config["history"]]


def unpack(chunks: Iterable[bytes]) -> Unpacked:
    """Read what ``docker save`` and ``minirt save`` write."""
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
        (manifest,) = json.loads(_member(archive, "manifest.json"))
        config = json.loads(_member(archive, manifest["Config"]))
        files: dict[str, str] = {}
        times: dict[str, float] = {}
        same: dict[str, str] = {}
        for layer in manifest["Layers"]:
            data = _member(archive, layer)
            _lay_over(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data, files, times, same)
    return Unpacked(config, files, {path: times[path] for path in files}, _groups(same, files))


def _groups(same: dict[str, str], files: dict[str, str]) -> frozenset[frozenset[str]]:
    """From the first name that each name was linked to, to the sets of names that are one file."""
    groups: dict[str, set[str]] = {}
    for path, first in same.items():
        if path in files:
            groups.setdefault(first, set()).add(path)
    return frozenset(frozenset(group) for group in groups.values() if len(group) > 1)


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file is not None
    return file.read()


def _lay_over(data: bytes, files: dict[str, str], times: dict[str, float], same: dict[str, str]) -> None:
    made: dict[str, str] = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as layer:
        members = layer.getmembers()
        for member in members:
            directory, name = posixpath.split("/" + member.name.strip("/"))
            if name == ".wh..wh..opq":
                _forget(files, directory, itself=False)
            elif name.startswith(".wh."):
                _forget(files, posixpath.join(directory, name[4:]), itself=True)
        for member in members:
            path = "/" + member.name.removeprefix("./").strip("/")
            if not posixpath.basename(path).startswith(".wh."):
                if not member.isdir():
                    _forget(files, path, itself=True)
                files[path] = _described(layer, member, files)
                times[path] = member.mtime
                made[path] = made[_target(member)] if member.islnk() else f"{id(layer)} {path}"
    same.update(made)


def _forget(files: dict[str, str], path: str, *, itself: bool) -> None:
    for other in [one for one in files if one.startswith(path.rstrip("/") + "/")]:
        del files[other]
    if itself:
        files.pop(path, None)


def _described(layer: tarfile.TarFile, member: tarfile.TarInfo, files: dict[str, str]) -> str:
    if member.islnk():
        return files[_target(member)]
    kind = KINDS.get(member.type) or f"device {member.devmajor},{member.devminor}"
    said = f"{kind} {member.mode & 0o7777:04o} {member.uid}:{member.gid}{_attributes(member)}"
    if kind == "file":
        file = layer.extractfile(member)
        assert file is not None
        return f"{said} {_content(file.read())}"
    if kind == "link":
        return f"link {member.uid}:{member.gid} -> {member.linkname}"
    return said


def _target(member: tarfile.TarInfo) -> str:
    return "/" + member.linkname.removeprefix("./").strip("/")


def _attributes(member: tarfile.TarInfo) -> str:
    kept = {key.removeprefix("SCHILY.xattr."): value for key, value in member.pax_headers.items() if "xattr" in key}
    return "".join(f" {key}={value.encode(errors='surrogateescape').hex()}" for key, value in sorted(kept.items()))


def _content(data: bytes) -> str:
    if (len(data) <= 60 and data.isascii() and data.decode().isprintable()) or data in (b"", b"\n"):
        return repr(data.decode())
    text = data.decode(errors="replace")
    if len(data) <= 60 and all(char.isprintable() or char == "\n" for char in text):
        return repr(text)
    return f"{len(data)} bytes {hashlib.sha256(data).hexdigest()[:16]}"


def difference(base: Unpacked, image: Unpacked) -> dict[str, str]:
    """What the image's files are beyond its base's: changed and new ones, and ``gone`` for removed ones."""
    changed = {path: said for path, said in image.files.items() if base.files.get(path) != said}
    return changed | {path: "gone" for path in base.files if path not in image.files}
