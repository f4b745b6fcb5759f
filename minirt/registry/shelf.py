"""Where the small server keeps its images: a directory of plain files.

::

    blobs/sha256/<hex>                     configs, layers and manifests, by digest
    repositories/<name>/_manifests/<hex>   the media type of a manifest that the repository holds
    repositories/<name>/_tags/<tag>        the digest a tag points to
    uploads/<id>                           uploads under way

Names of repositories never begin with ``_``, so the two can share a directory.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from pathlib import Path
from typing import BinaryIO

from minirt.errors import CorruptBlob, InvalidDigest, InvalidReference
from minirt.model.digest import Digest

__all__ = ["Shelf"]

_NAME = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_UPLOAD = re.compile(r"[0-9a-f]{32}")


class Shelf:
    """The directory. Every file is written beside its place and renamed into it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("blobs/sha256", "repositories", "uploads"):
            (root / name).mkdir(parents=True, exist_ok=True)

    def blob(self, digest: str) -> Path | None:
        """The file of a blob, if it is here. Raises :class:`InvalidDigest`."""
        path = self._blob_path(Digest.parse(digest))
        return path if path.is_file() else None

    def manifest(self, name: str, reference: str) -> tuple[bytes, str, str] | None:
        """Bytes, media type and digest of a manifest by tag or digest."""
        folder = self._repository(name)
        digest = reference
        if ":" not in reference:
            tag = folder / "_tags" / _checked(_TAG, reference)
            if not tag.is_file():
                return None
            digest = tag.read_text()
        kind = folder / "_manifests" / Digest.parse(digest).hex
        path = self.blob(digest)
        return (path.read_bytes(), kind.read_text(), digest) if path and kind.is_file() else None

    def put_manifest(self, name: str, reference: str, raw: bytes, media_type: str) -> str:
        """Keep a manifest and let ``reference`` point to it; gives its digest."""
        folder = self._repository(name)
        digest = Digest.of(raw)
        if ":" in reference and Digest.parse(reference) != digest:
            raise CorruptBlob(f"the manifest has the digest {digest}, not {reference}")
        self._write(self._blob_path(digest), raw)
        self._write(folder / "_manifests" / digest.hex, media_type.encode())
        if ":" not in reference:
            self._write(folder / "_tags" / _checked(_TAG, reference), str(digest).encode())
        return str(digest)

    def delete_manifest(self, name: str, reference: str) -> bool:
        """Forget a tag, or a manifest with the tags that point to it."""
        folder = self._repository(name)
        if ":" not in reference:
            return _unlink(folder / "_tags" / _checked(_TAG, reference))
        for tag in self.tags(name) or ():
            if (folder / "_tags" / tag).read_text() == reference:
                _unlink(folder / "_tags" / tag)
        return _unlink(folder / "_manifests" / Digest.parse(reference).hex)

    def tags(self, name: str) -> list[str] | None:
        """The tags of a repository in order, None if there is no such repository."""
        folder = self._repository(name)
        if not (folder / "_manifests").is_dir():
            return None
        tags = folder / "_tags"
        return sorted(tag for tag in os.listdir(tags) if _TAG.fullmatch(tag)) if tags.is_dir() else []

    def repositories(self) -> list[str]:
        """The names of all repositories, in order."""
        base = self.root / "repositories"
        return sorted(str(folder.parent.relative_to(base)) for folder in base.rglob("_manifests"))

    def begin(self) -> str:
        """A new upload's id."""
        upload = secrets.token_hex(16)
        (self.root / "uploads" / upload).touch()
        return upload

    def upload_size(self, upload: str) -> int | None:
        path = self._upload(upload)
        return path.stat().st_size if path.is_file() else None

    def append(self, upload: str, source: BinaryIO, length: int) -> int:
        """Add ``length`` bytes of ``source`` to an upload; gives its size now."""
        with self._upload(upload).open("ab") as out:
            while length > 0 and (chunk := source.read(min(length, 1 << 18))):
                out.write(chunk)
                length -= len(chunk)
            return out.tell()

    def finish(self, upload: str, digest: str) -> None:
        """Turn an upload into a blob. Raises :class:`CorruptBlob`, and drops the upload, if the digest is another."""
        wanted, path = Digest.parse(digest), self._upload(upload)
        with path.open("rb") as data:
            found = hashlib.file_digest(data, "sha256").hexdigest()
        if wanted.algorithm != "sha256" or found != wanted.hex:
            path.unlink()
            raise CorruptBlob(f"the upload has the digest sha256:{found}, not {digest}")
        os.replace(path, self._blob_path(wanted))

    def drop(self, upload: str) -> bool:
        return _unlink(self._upload(upload))

    def _repository(self, name: str) -> Path:
        return self.root / "repositories" / _checked(_NAME, name)

    def _upload(self, upload: str) -> Path:
        return self.root / "uploads" / _checked(_UPLOAD, upload)

    def _blob_path(self, digest: Digest) -> Path:
        if digest.algorithm != "sha256":
            raise InvalidDigest(f"this registry keeps sha256 digests only, not {digest.algorithm}")
        return self.root / "blobs" / "sha256" / digest.hex

    def _write(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = self.root / "uploads" / f"{secrets.token_hex(16)}.new"
        beside.write_bytes(data)
        os.replace(beside, path)


def _checked(shape: re.Pattern[str], text: str) -> str:
    # Names become file names: what does not look like one must never reach the disk.
    if not shape.fullmatch(text):
        raise InvalidReference(f"{text!r} is not a name that a registry can hold")
    return text


def _unlink(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True
