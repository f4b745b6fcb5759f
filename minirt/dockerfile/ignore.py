"""``.dockerignore``: which paths of a context are left out.

Patterns are tried in order and the last that matches decides; ``!`` takes a path back in. A pattern that matches a
directory matches everything below it. Source: Dockerfile reference, ".dockerignore file"; details from
moby/patternmatcher and its ``ignorefile`` package.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from minirt.dockerfile.globs import BadPattern, matcher
from minirt.dockerfile.source import GO_SPACE, printable
from minirt.errors import DockerfileError, Location

__all__ = ["Ignore", "IgnorePattern"]


@dataclass(frozen=True, slots=True)
class IgnorePattern:
    """One line: ``text`` without ``!``, cleaned; ``includes`` is the ``!``; ``line`` counts from 1."""

    text: str
    includes: bool = False
    line: int = 0
    matches: Callable[[str], bool] = field(default=lambda _: False, compare=False, repr=False)

    def may_match_below(self, directory: str) -> bool:
        """Whether a path below ``directory`` could match, so that the directory must be walked."""
        parts, above = self.text.split("/"), directory.split("/")
        for part, name in zip(parts, above, strict=False):
            if "**" in part or "[" in part:  # either may take a slash too
                return True
            if not matcher(part)(name):
                return False
        return len(parts) > len(above)


class Ignore:
    """All the patterns. Asking costs each pattern once a path; directories are remembered."""

    def __init__(self, patterns: Iterable[IgnorePattern] = ()):
        self.patterns = tuple(patterns)
        self._directories: dict[str, tuple[bool, ...]] = {}

    @classmethod
    def parse(cls, text: str | bytes, source: str = ".dockerignore") -> Ignore:
        """Raises :class:`DockerfileError` for a malformed pattern."""
        if isinstance(text, bytes):
            text = text.decode("utf-8", "surrogateescape")
        patterns = []
        for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
            # Only a # in the first column begins a comment: " #x" is a pattern.
            pattern = line.strip(GO_SPACE)
            if line.startswith("#") or not pattern:
                continue
            try:
                patterns.append(_pattern(pattern, number))
            except BadPattern as error:
                raise DockerfileError(
                    f"the pattern {printable(pattern)!r} is malformed",
                    where=Location(source, number, 1, max(1, len(line.rstrip())), printable(line.rstrip())),
                    cause=str(error),
                    hint="Write \\[ for a bracket that is part of a name.",
                ) from None
        return cls(patterns)

    @classmethod
    def of(cls, patterns: Iterable[str]) -> Ignore:
        """From ``--exclude`` flags. Raises :class:`BadPattern` (a ValueError)."""
        return cls(_pattern(text, 0, rooted=False) for text in patterns)

    def excludes(self, path: str, is_dir: bool = False) -> bool:
        """Whether ``path`` (relative to the context, with slashes) is left out.

        A directory that is left out may still hold paths that are not: see :meth:`prunes`.
        """
        matches = self._directory(path) if is_dir else self._matches(path)
        excluded = False
        for pattern, matched in zip(self.patterns, matches, strict=True):
            if matched:
                excluded = not pattern.includes
        return excluded

    def excluded_by(self, path: str) -> IgnorePattern | None:
        """The pattern to blame, for errors and for the check CopyIgnoredFile; None if the path is not left out."""
        found = [one for one, matched in zip(self.patterns, self._matches(path), strict=True) if matched]
        return found[-1] if found and not found[-1].includes else None

    def prunes(self, directory: str) -> bool:
        """Whether a walk need not enter ``directory``: it is left out, and no later ``!`` reaches below it."""
        if not self.excludes(directory, is_dir=True):
            return False
        return not any(one.includes and one.may_match_below(directory) for one in self.patterns)

    def _directory(self, path: str) -> tuple[bool, ...]:
        found = self._directories.get(path)
        if found is None:
            found = self._directories[path] = self._matches(path)
        return found

    def _matches(self, path: str) -> tuple[bool, ...]:
        """For each pattern, whether it matches the path or a directory above it.

        A pattern that could change nothing is not asked: a ``!`` while the path is kept, another while it is left out.
        So ``!dir`` says nothing of what is in dir unless dir itself was left out (moby/patternmatcher has it so).
        """
        above, _, _ = path.rpartition("/")
        inherited = self._directory(above) if above else (False,) * len(self.patterns)
        found, excluded = [], False
        for already, one in zip(inherited, self.patterns, strict=True):
            matched = already or (one.includes == excluded and one.matches(path))
            found.append(matched)
            excluded = not one.includes if matched else excluded
        return tuple(found)


def _pattern(text: str, line: int, *, rooted: bool = True) -> IgnorePattern:
    """``rooted``: a slash in front means the top; without it, it means that nothing matches."""
    includes = text.startswith("!")
    body = text[1:].strip(GO_SPACE) if includes else text
    if not body:
        raise BadPattern('illegal exclusion pattern: "!"')
    body = posixpath.normpath(body)
    if rooted:
        body = body.lstrip("/") or "/"
    return IgnorePattern(body, includes, line, matcher(body))
