"""ADD of an address: http and https, with ``--checksum``. The file's time is the server's Last-Modified."""

from __future__ import annotations

import email.utils
import hashlib
import os
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from minirt.build.contenthash import FileHashes
from minirt.build.context import Gathered, Query, Tree
from minirt.dockerfile import Add
from minirt.errors import CopyFailed, Location
from minirt.model.cancel import Cancel

__all__ = ["download", "is_address", "is_git"]

_CHUNK = 1 << 18
_PATIENCE = 60  # seconds without a byte


def is_address(source: str) -> bool:
    """Whether a source is fetched rather than found."""
    return source.startswith(("http://", "https://")) or is_git(source)


def is_git(source: str) -> bool:
    """``git@host:path``, ``git://…``, ``ssh://…`` or an http address that ends in .git (BuildKit, dfgitutil)."""
    if source.startswith(("git@", "git://", "ssh://")):
        return True
    address = urllib.parse.urlsplit(source) if source.startswith(("http://", "https://")) else None
    return address is not None and address.path.endswith(".git")


def download(one: Add, index: int, where: Path, cancel: Cancel | None) -> Gathered:
    """Fetch the ``index``-th source into the new directory ``where``. Raises :class:`CopyFailed`."""
    source, place = one.sources[index], one.locate_source(index)
    if is_git(source):
        from minirt.build.repositories import clone

        return clone(one, index, where, cancel)
    name = _name_of(source, place)
    where.mkdir()
    path = where / name
    digest, modified = _fetch(source, path, place, cancel)
    if one.checksum and one.checksum != f"sha256:{digest}":
        raise CopyFailed(
            f"{source} has the digest sha256:{digest}, but --checksum says {one.checksum}",
            where=one.origin.find(one.checksum),
            cause="the file behind the address is another one now, or it was changed on the way",
        )
    path.chmod(0o600)
    os.utime(path, (modified, modified))
    return Tree(str(where), source, None, FileHashes(None)).gather(Query((name,), literal=True))


def _name_of(source: str, place: Location) -> str:
    """The last part of the address's path; Content-Disposition does not count (BuildKit, dispatchCopy)."""
    name = urllib.parse.unquote(urllib.parse.urlsplit(source).path).rstrip("/").rpartition("/")[2]
    if "\0" in name:
        raise CopyFailed(f"{source} has a NUL character (%00) in its name", where=place, hint="No file is named so.")
    return {"": "__unnamed__", ".": "__unnamed__", "..": "download"}.get(name, name)


def _fetch(source: str, path: Path, place: Location, cancel: Cancel | None) -> tuple[str, float]:
    hasher = hashlib.sha256()
    request = urllib.request.Request(source, headers={"User-Agent": "minirt"})
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE) as answer, path.open("xb") as file:
            while data := answer.read(_CHUNK):
                if cancel is not None:
                    cancel.check()
                hasher.update(data)
                file.write(data)
            if answer.length:
                raise CopyFailed(
                    f"the download of {source} ended {answer.length} bytes too early",
                    where=place,
                    cause="the connection was cut, or the server announced more than it sent",
                    hint="Build again.",
                )
            return hasher.hexdigest(), _modified(answer.headers["Last-Modified"])
    except urllib.error.HTTPError as error:
        raise _refused(source, error, place) from error
    except (OSError, ValueError) as error:
        raise CopyFailed(
            f"cannot fetch {source}: {getattr(error, 'reason', error)}",
            where=place,
            cause="there is no network here, or no such host",
            hint="Download the file yourself and COPY it.",
        ) from error


def _modified(stamp: str | None) -> float:
    """What the server says, in seconds; 1970 if it says nothing that can be read, as with BuildKit."""
    try:
        return email.utils.parsedate_to_datetime(stamp).timestamp() if stamp else 0
    except ValueError:
        return 0


def _refused(source: str, error: urllib.error.HTTPError, place: Location) -> CopyFailed:
    if 300 <= error.code < 400:
        return CopyFailed(f"{source} leads from address to address without an end", where=place)
    cause = "the server itself has trouble" if error.code >= 500 else "there is nothing to be had at this address"
    if error.code in (401, 403):
        cause = "the server wants to know who asks, and ADD has no name or password to give"
    hint = "Open the address in a browser; or download the file yourself and COPY it."
    return CopyFailed(f"{source} answered {error.code} {error.reason}", where=place, cause=cause, hint=hint)
