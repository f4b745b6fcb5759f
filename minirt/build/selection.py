"""Which files a COPY means: source words -> files of a tree, walked safely.

The tree is the build context, or the root filesystem of another stage or image. Symbolic links on the way to a
source are followed as if the tree were the whole machine, so none leads out of it; links *below* a copied directory
are copied as links. (BuildKit does both; fsutil ``copy.Copy`` and continuity ``fs.RootPath``.)

Only the standard library and minirt's errors are imported: this also runs in the sandbox's worker.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from minirt.build.wildcards import compile_pattern, split_wildcards
from minirt.layers.styles import OVERRIDE_STAT

__all__ = ["Found", "Item", "Skip", "follow", "resolve", "walk"]

_MOST_LINKS = 40  # as the kernel's ELOOP limit
_KEPT_ATTRIBUTES = ("security.capability", "user.")
_OURS = ("user.overlay.", OVERRIDE_STAT)


class Skip(Protocol):
    """What is left out of a tree; paths are relative to its top."""

    def __call__(self, path: str, is_directory: bool) -> bool:
        """Whether this path itself is left out."""

    def prunes(self, directory: str) -> bool:
        """Whether it is a directory of which nothing at all is kept."""


class Item(NamedTuple):
    """One file to copy. ``path`` is relative to the source ("" is the source itself); sizes in bytes, times in ns."""

    path: str
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    ctime: int
    device: int
    inode: int
    links: int
    rdev: int = 0
    target: str = ""
    attributes: tuple[tuple[str, bytes], ...] = ()


class Found(NamedTuple):
    """One match of a source word: where it lies in the tree (links followed), and the name it was asked by.

    ``unpack``: an archive is unpacked.
    """

    place: str
    name: str
    unpack: bool = False


def resolve(top: str, path: str, *, confined: bool = False) -> str:
    """Where ``path`` leads inside ``top``, links followed within it: a relative path without links or dots.

    What does not exist stays as it is written. ``..`` above the top is the top; ``confined``: it is an error. Raises
    ``OSError`` (ELOOP, EXDEV).
    """
    done: list[str] = []
    parts = [part for part in reversed(path.split("/")) if part not in ("", ".")]
    links = 0
    while parts:
        part = parts.pop()
        if part == "..":
            if done:
                done.pop()
            elif confined:
                raise OSError(errno.EXDEV, "it leads out of the directory", path)
            continue
        done.append(part)
        try:
            target = os.readlink(os.path.join(top, *done))
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOENT, errno.ENOTDIR):
                continue
            raise
        links += 1
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        if target.startswith("/"):
            done.clear()
        else:
            done.pop()
        parts.extend(part for part in reversed(target.split("/")) if part not in ("", "."))
    return "/".join(done)


def follow(top: str, word: str, skip: Skip | None) -> Iterator[Found]:
    """The matches of one source word, sorted as a directory walk meets them; none when there are none."""
    fixed, pattern = split_wildcards(_clean(word))
    if not pattern:
        place = resolve(top, fixed)
        # A link that is left out leads nowhere.
        if (
            os.path.lexists(os.path.join(top, place))
            and not _hidden(top, place, skip)
            and not _hidden(top, fixed, skip)
        ):
            yield Found(place, fixed.rpartition("/")[2])
        return
    start = resolve(top, fixed)
    wanted = compile_pattern(pattern)
    for path in _matches(top, start, "", wanted, pattern.count("/"), skip):
        place = resolve(top, _join(start, path))
        if not _hidden(top, place, skip) and not _hidden(top, _join(start, path), skip):
            yield Found(place, path.rpartition("/")[2])


def _clean(word: str) -> str:
    """Go's ``path.Join("/", word)``: dots resolved, never above the top."""
    done: list[str] = []
    for part in word.split("/"):
        if part == "..":
            done = done[:-1]
        elif part not in ("", "."):
            done.append(part)
    return "/".join(done)


def _matches(top: str, start: str, below: str, wanted: re.Pattern[str], depth: int, skip: Skip | None) -> Iterator[str]:
    directory = os.path.join(top, start, below)
    try:
        names = sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        path = _join(below, name)
        is_directory = _is_directory(os.path.join(top, start, path))
        if wanted.fullmatch(path):
            yield path
        elif depth and is_directory and not (skip is not None and skip.prunes(_join(start, path))):
            yield from _matches(top, start, path, wanted, depth - 1, skip)


def _is_directory(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False


def _hidden(top: str, place: str, skip: Skip | None) -> bool:
    if skip is None or not place:
        return False
    is_directory = _is_directory(os.path.join(top, place))
    if not skip(place, is_directory):
        return False
    if not is_directory or skip.prunes(place):
        return True
    return not any(item.path for item in walk(top, place, skip))


def _join(left: str, right: str) -> str:
    return f"{left}/{right}" if left and right else left or right


def walk(top: str, place: str, skip: Skip | None = None, exclude: Skip | None = None) -> Iterator[Item]:
    """The source at ``place`` and all below it, directories before their contents, names sorted.

    ``skip`` is asked with paths from ``top`` (.dockerignore), ``exclude`` with paths from ``place`` (--exclude).
    A directory that is left out itself still comes when something in it does not.
    """
    full = os.path.join(top, place) if place else top
    info = os.lstat(full)
    yield _item("", full, info)
    if stat.S_ISDIR(info.st_mode):
        yield from _below(full, place, "", skip, exclude)


def _below(directory: str, place: str, prefix: str, skip: Skip | None, exclude: Skip | None) -> Iterator[Item]:
    with os.scandir(directory) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        path = f"{prefix}{entry.name}"
        is_directory = entry.is_dir(follow_symlinks=False)
        verdict = _verdict(place, path, is_directory, skip, exclude)
        if verdict is _NO:
            continue
        try:
            item = _item(path, entry.path, entry.stat(follow_symlinks=False))
        except FileNotFoundError:
            continue  # removed while we looked: as if it had gone before
        if not is_directory:
            yield item
            continue
        inside = _below(entry.path, place, f"{path}/", skip, exclude)
        if verdict is _MAYBE:
            first = next(inside, None)
            if first is None:
                continue
            yield item
            yield first
        else:
            yield item
        yield from inside


_YES, _NO, _MAYBE = "kept", "left out", "kept if something in it is"


def _verdict(place: str, path: str, is_directory: bool, skip: Skip | None, exclude: Skip | None) -> str:
    verdict = _YES
    for test, name in ((skip, f"{place}/{path}" if place else path), (exclude, path)):
        if test is not None and test(name, is_directory):
            if not is_directory or test.prunes(name):
                return _NO
            verdict = _MAYBE
    return verdict


def _item(path: str, full: str, info: os.stat_result) -> Item:
    mode = info.st_mode
    target = os.readlink(full) if stat.S_ISLNK(mode) else ""
    names = _attribute_names(full)
    uid, gid = _noted_owner(full) if OVERRIDE_STAT in names else (info.st_uid, info.st_gid)
    return Item(
        path,
        mode,
        uid,
        gid,
        info.st_size if stat.S_ISREG(mode) else 0,
        info.st_mtime_ns,
        info.st_ctime_ns,
        info.st_dev,
        info.st_ino,
        info.st_nlink,
        info.st_rdev if stat.S_ISCHR(mode) or stat.S_ISBLK(mode) else 0,
        target,
        _attributes(full, names) if names else (),
    )


def _attribute_names(full: str) -> list[str]:
    try:
        return os.listxattr(full, follow_symlinks=False)
    except OSError:
        return []


def _noted_owner(full: str) -> tuple[int, int]:
    """The owner that a namespace with a single id keeps beside the file (layers.styles, SideOwners)."""
    try:
        uid, gid, _ = os.getxattr(full, OVERRIDE_STAT, follow_symlinks=False).split(b":")
        return int(uid), int(gid)
    except (OSError, ValueError):
        return 0, 0


def _attributes(full: str, names: list[str]) -> tuple[tuple[str, bytes], ...]:
    """The extended attributes that belong into an image: capabilities and the user's own."""
    kept = sorted(name for name in names if name.startswith(_KEPT_ATTRIBUTES) and not name.startswith(_OURS))
    found = []
    for name in kept:
        try:
            found.append((name, os.getxattr(full, name, follow_symlinks=False)))
        except OSError:
            continue
    return tuple(found)
