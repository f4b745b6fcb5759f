"""``COPY --parents``: the directories of a source come along (``COPY --parents a/b/c.txt /x/`` makes /x/a/b/c.txt).

With the pivot ``/./`` only what stands after it does. Patterns know ``**`` for any number of directories.
Source: Dockerfile reference, "COPY --parents"; BuildKit's ``convert_copy.go`` and fsutil's ``prefix.Match``.
"""

from __future__ import annotations

import posixpath

from minirt.build.selection import Skip
from minirt.build.wildcards import compile_pattern

__all__ = ["ParentsFilter", "split_pivot"]


def split_pivot(word: str) -> tuple[str, str]:
    """The part before the pivot, and the pattern below it."""
    before, pivot, after = word.partition("/./")
    base, pattern = (before, after) if pivot else ("/", word)
    return base or "/", posixpath.normpath("/" + pattern).lstrip("/")


class ParentsFilter:
    """A :data:`Skip` that leaves out what ``pattern`` does not name; directories on the way come with what is kept."""

    def __init__(self, pattern: str, exclude: Skip | None) -> None:
        self._parts = [part for part in pattern.split("/") if part]
        self._exclude = exclude

    def __call__(self, path: str, is_directory: bool) -> bool:
        if self._exclude is not None and self._exclude(path, is_directory):
            return True
        parts = path.split("/")
        return not any(self._matches(parts[:length]) for length in range(1, len(parts) + 1))

    def prunes(self, directory: str) -> bool:
        """Something below may match a longer pattern, so only ``--exclude`` can rule a directory out."""
        return self._exclude is not None and self._exclude.prunes(directory)

    def _matches(self, parts: list[str]) -> bool:
        """A match of a whole path, part by part; ``reached`` holds the pattern positions that are possible so far."""
        reached = self._skip_stars({0})
        for part in parts:
            after = set()
            for index in reached:
                if index < len(self._parts) and self._parts[index] == "**":
                    after.add(index)
                elif index < len(self._parts) and compile_pattern(self._parts[index]).fullmatch(part):
                    after.add(index + 1)
            reached = self._skip_stars(after)
        return len(self._parts) in reached

    def _skip_stars(self, reached: set[int]) -> set[int]:
        found = set(reached)
        for index in sorted(reached):
            while index < len(self._parts) and self._parts[index] == "**":
                index += 1
                found.add(index)
        return found
