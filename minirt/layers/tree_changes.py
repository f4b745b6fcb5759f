"""What became of a tree that was copied from another: the same changes that an overlay's upper directory would tell.

Overlayfs notes a change when it happens; here it is found out afterwards, by comparing. What both can see is told
alike, to the last byte of the layer:

* a file counts as changed when its inode was touched since the copy was made (ctime), as overlayfs copies a file up
  when its content, mode, owner, time, attributes or names change;
* a directory is listed when something in it changed, or its own mode, owner, time or attributes;
* a directory that was removed and made again is opaque, if the old tree had one in its place.

What comparing cannot see: a file that was opened for writing and then not written, and a directory that was given the
mode, owner or time it has already.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from minirt.errors import LayerError
from minirt.layers.beneath import flags
from minirt.layers.changes import Change, Opaque, Present, Whiteout, present_of, root_changed
from minirt.layers.closed import open_file
from minirt.layers.metadata import read_xattrs
from minirt.layers.styles import Owners

__all__ = ["Since", "tree_changes"]

_DIRECTORY = flags("O_RDONLY", "O_DIRECTORY", "O_NOFOLLOW", "O_CLOEXEC")
_CHUNK = 1 << 20


def _never(_path: str, _fd: int) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Since:
    """What was noted when the copy was made.

    ``ctime_ns``: whatever changes later has a ctime from then on (nanoseconds since 1970). ``replaced`` tells, of a
    path and its open directory, whether that is another directory than the copied one.
    """

    ctime_ns: int
    replaced: Callable[[str, int], bool] = _never


def tree_changes(old: Path, new: Path, *, owners: Owners, since: Since | None = None) -> Iterator[Change]:
    """Compare ``new`` with ``old``, which it was copied from, in the order of :func:`~minirt.layers.changes`.

    The copy must not have kept the hard links of ``old``: overlayfs breaks them too, when a file changes. Without
    ``since``, files that look the same in all else are compared byte by byte. Sockets are left out.
    Raises :class:`OSError`, :class:`LayerError`.
    """
    comparison = _Comparison(owners, since)
    ours = os.open(new, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    theirs = os.open(old, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        root = present_of("", os.fstat(ours), read_xattrs(ours), owners)
        if root_changed(root, [old], owners):
            yield root
        yield from comparison.below("", ours, theirs)
    finally:
        os.close(ours)
        os.close(theirs)


@dataclass(slots=True)
class _Comparison:
    owners: Owners
    since: Since | None

    def below(self, prefix: str, ours: int, theirs: int | None) -> Iterator[Change]:
        """The changes in one directory; ``theirs`` is None where the old tree has none, or one that was replaced."""
        there = _listed(theirs) if theirs is not None else {}
        here = _listed(ours, prefix)
        for name in sorted(here.keys() | there.keys(), key=os.fsencode):
            path = prefix + name
            before, after = there.get(name), here.get(name)
            if after is None:
                yield Whiteout(path)
            elif stat.S_ISDIR(after.st_mode):
                yield from self._directory(path, (ours, name), after, theirs, before)
            elif not stat.S_ISSOCK(after.st_mode) and self._changed((ours, name), after, theirs, before):
                yield present_of(path, after, read_xattrs((ours, name)), self.owners)

    def _directory(
        self,
        path: str,
        place: tuple[int, str],
        after: os.stat_result,
        theirs: int | None,
        before: os.stat_result | None,
    ) -> Iterator[Change]:
        try:
            ours = os.open(place[1], _DIRECTORY, dir_fd=place[0])
        except PermissionError as error:
            raise _closed(path, after) from error
        was_directory = before is not None and stat.S_ISDIR(before.st_mode)
        old = os.open(place[1], _DIRECTORY, dir_fd=theirs) if was_directory else None
        try:
            present = present_of(path, after, read_xattrs(ours), self.owners)
            if before is None or old is None:
                yield present
                yield from self.below(f"{path}/", ours, None)
            elif self.since is not None and self.since.replaced(path, ours):
                yield present
                yield Opaque(path)
                yield from self.below(f"{path}/", ours, None)
            else:
                yield from self._merged(present, before, ours, old)
        finally:
            os.close(ours)
            if old is not None:
                os.close(old)

    def _merged(self, present: Present, before: os.stat_result, ours: int, old: int) -> Iterator[Change]:
        found = self.below(f"{present.path}/", ours, old)
        first = next(found, None)
        was = present_of(present.path, before, read_xattrs(old), self.owners)
        if first is not None or present.metadata != was.metadata:
            yield present
        if first is not None:
            yield first
            yield from found

    def _changed(
        self, place: tuple[int, str], after: os.stat_result, theirs: int | None, before: os.stat_result | None
    ) -> bool:
        if before is None or theirs is None or stat.S_IFMT(before.st_mode) != stat.S_IFMT(after.st_mode):
            return True
        if after.st_nlink > 1:
            return True  # the copy gave each file one name
        if self.since is None:
            return self._differs(place, after, (theirs, place[1]), before)
        if after.st_ctime_ns < self.since.ctime_ns:
            return False
        if not stat.S_ISREG(after.st_mode) or after.st_mode & 0o600 == 0o600:
            return True
        return self._differs(place, after, (theirs, place[1]), before)

    def _differs(
        self, place: tuple[int, str], after: os.stat_result, old: tuple[int, str], before: os.stat_result
    ) -> bool:
        """By all that can be seen.

        A tracer that stands in for root opens a file it may not write by changing its mode for a moment: that touches
        the inode too, so such files are looked at closely.
        """
        one = present_of("", after, read_xattrs(place), self.owners)
        other = present_of("", before, read_xattrs(old), self.owners)
        if (one.kind, one.metadata, one.size, one.number) != (other.kind, other.metadata, other.size, other.number):
            return True
        if stat.S_ISLNK(after.st_mode):
            return os.readlink(place[1], dir_fd=place[0]) != os.readlink(old[1], dir_fd=old[0])
        return stat.S_ISREG(after.st_mode) and not _same_content(place, old)


def _listed(fd: int, prefix: str = "") -> dict[str, os.stat_result]:
    try:
        with os.scandir(fd) as entries:
            return {entry.name: entry.stat(follow_symlinks=False) for entry in entries}
    except PermissionError as error:
        raise _closed(prefix, os.fstat(fd)) from error


def _closed(path: str, status: os.stat_result) -> LayerError:
    return LayerError(
        f"the directory /{path.rstrip('/')} cannot be looked into",
        cause=f"its mode {stat.S_IMODE(status.st_mode):04o} keeps its owner out, and without privilege that counts",
        hint="Let its owner in: chmod u+rwx on directories (--chmod=u=rwX,go=rX gives files no x).",
    )


def _same_content(one: tuple[int, str], other: tuple[int, str]) -> bool:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    with (
        open(open_file(one[1], flags, one[0]), "rb", buffering=0) as first,
        open(open_file(other[1], flags, other[0]), "rb", buffering=0) as second,
    ):
        while True:
            ours, theirs = first.read(_CHUNK), second.read(_CHUNK)
            if ours != theirs:
                return False
            if not ours:
                return True
