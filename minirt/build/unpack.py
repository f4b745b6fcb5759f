"""ADD of a local archive: unpack tar, plain or compressed (gzip, bzip2, xz, zstd), into a directory of the image.

Owners, modes and times are the archive's; what is in the way is replaced, except that a directory stays a directory.
An archive is told by its content, not its name (BuildKit, ``solver/llbsolver/file/unpack.go``). Entries cannot leave
the directory: links on the way are followed as if it were the whole machine.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO

from minirt.build.copy_files import set_bare_owner, set_owner, take_back
from minirt.build.selection import resolve
from minirt.errors import CopyFailed
from minirt.layers.metadata import set_directory_mode

__all__ = ["is_archive", "unpack"]

_ZSTD = b"\x28\xb5\x2f\xfd"
_LZMA = b"\x5d\x00\x00"  # what Python's tarfile reads and BuildKit copies as it is
_ATTRIBUTE = "SCHILY.xattr."


def is_archive(path: str) -> bool:
    """Whether ``path`` begins as a tar archive does, once decompressed."""
    try:
        with _opened(path) as archive:
            return archive.next() is not None
    except (tarfile.TarError, OSError, EOFError, ValueError):
        return False


@contextmanager
def _opened(path: str) -> Iterator[tarfile.TarFile]:
    with open(path, "rb") as file:
        start = file.read(4)
        file.seek(0)
        stream: IO[bytes] = file
        if start == _ZSTD:
            import zstandard

            stream = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
            with tarfile.open(fileobj=stream, mode="r|", errorlevel=2) as archive:
                yield archive
            return
        if start.startswith(_LZMA):
            raise tarfile.ReadError("lzma alone is not among the compressions")
        with tarfile.open(fileobj=stream, mode="r:*", errorlevel=2) as archive:
            yield archive


def unpack(path: str, into: str, *, owner: tuple[int, int] | None = None) -> None:
    """Unpack ``path`` into the directory ``into``; ``owner`` replaces the archive's. Raises :class:`CopyFailed`."""
    directories: list[tuple[str, tarfile.TarInfo]] = []
    try:
        with _opened(path) as archive:
            for member in archive:
                _place(archive, member, into, owner, directories)
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise CopyFailed(
            f"the archive {os.path.basename(path)} cannot be read to its end: {error}",
            cause="it is damaged or was cut short",
            hint="Make it again, or use COPY to add it as it is.",
        ) from error
    # Last, and the deepest first: filling a directory changes its time, and a mode may forbid filling it.
    for full, member in reversed(directories):
        set_directory_mode(full, member.mode & 0o7777)
        os.utime(full, ns=_times(member))


def _place(
    archive: tarfile.TarFile,
    member: tarfile.TarInfo,
    into: str,
    owner: tuple[int, int] | None,
    directories: list[tuple[str, tarfile.TarInfo]],
) -> None:
    parts = [part for part in member.name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise CopyFailed(f"the archive's entry {member.name!r} would leave the directory it is unpacked into")
    full = into
    if parts:
        parent = os.path.join(into, _directory(into, member, "/".join(parts[:-1])))
        _make_parents(parent)
        full = os.path.join(parent, parts[-1])
    if member.isdir():
        if os.path.islink(full) or not os.path.isdir(full):
            _clear(full)
            os.mkdir(full, 0o700)
        set_owner(full, owner or (member.uid, member.gid), member.mode & 0o7777)
        directories.append((full, member))
    elif parts:
        _clear(full)
        _make(archive, member, into, full)
        _dress(full, member, owner or (member.uid, member.gid))  # a hard link's own header counts too, as in docker


def _directory(into: str, member: tarfile.TarInfo, path: str) -> str:
    try:
        return resolve(into, path, confined=True)
    except OSError as error:
        raise CopyFailed(
            f"the archive's entry {member.name!r} cannot be unpacked: {error.strerror}",
            cause=f"{path} passes a symbolic link that leads above the directory the archive is unpacked into"
            if error.errno == errno.EXDEV
            else "",
        ) from error


def _make_parents(path: str) -> None:
    """Directories that the archive does not mention."""
    if os.path.lexists(path) and not os.path.isdir(path):
        raise CopyFailed(
            f"the archive has a directory {os.path.basename(path)}, and a file is in the way",
            hint="Unpack it into another directory, or remove the file in an earlier RUN.",
        )
    if not os.path.isdir(path):
        _make_parents(os.path.dirname(path))
        os.mkdir(path)
        os.chmod(path, 0o755)


def _make(archive: tarfile.TarFile, member: tarfile.TarInfo, into: str, full: str) -> None:
    if member.isreg():
        content = archive.extractfile(member)
        with open(full, "xb") as file:
            if content is not None:
                shutil.copyfileobj(content, file, 1 << 20)
    elif member.issym():
        os.symlink(member.linkname, full)
    elif member.islnk():
        name = "/".join(part for part in member.linkname.split("/") if part not in ("", ".", ".."))
        first = os.path.join(into, resolve(into, os.path.dirname(name)), os.path.basename(name))
        if not os.path.lexists(first):
            raise CopyFailed(
                f"the archive's entry {member.name!r} is a hard link to {member.linkname!r}, which is not there",
                cause="the archive was made of a part of a tree",
            )
        os.link(first, full, follow_symlinks=False)
    elif member.isfifo():
        os.mkfifo(full)
    elif member.ischr() or member.isblk():
        kind = stat.S_IFCHR if member.ischr() else stat.S_IFBLK
        os.mknod(full, kind | 0o600, os.makedev(member.devmajor, member.devminor))


def _dress(full: str, member: tarfile.TarInfo, owner: tuple[int, int]) -> None:
    if not os.path.lexists(full):
        return
    kind = os.lstat(full).st_mode
    if stat.S_ISLNK(kind):
        set_bare_owner(full, owner)
        if member.islnk():
            return
    elif not stat.S_ISREG(kind):
        set_bare_owner(full, owner)
        os.chmod(full, member.mode & 0o7777)
    else:
        mode = member.mode & 0o7777
        if member.islnk():
            take_back(full)  # set_owner takes what is ours for new
        set_owner(full, owner, mode)
        os.chmod(full, mode)
        for key, value in _attributes(member):
            try:
                os.setxattr(full, key, value)
            except OSError:
                continue
    os.utime(full, ns=_times(member), follow_symlinks=False)


def _attributes(member: tarfile.TarInfo) -> Iterator[tuple[str, bytes]]:
    headers: Mapping[str, str] = member.pax_headers
    for key, value in headers.items():
        name = key.removeprefix(_ATTRIBUTE)
        if name != key and not name.startswith(("trusted.", "user.overlay.")):
            yield name, value.encode("utf-8", "surrogateescape")


def _times(member: tarfile.TarInfo) -> tuple[int, int]:
    moment = int(member.mtime * 10**9) if isinstance(member.mtime, float) else member.mtime * 10**9
    return moment, moment


def _clear(full: str) -> None:
    if os.path.islink(full) or not os.path.isdir(full):
        try:
            os.unlink(full)
        except FileNotFoundError:
            pass
    else:
        shutil.rmtree(full)
