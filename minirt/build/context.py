"""The build context, and every other tree that COPY takes from: what a source word means there.

A context is a directory seen through .dockerignore. The same questions are asked of another stage's files inside
the worker (see :mod:`.copying`), so everything that looks at files is in :mod:`.selection`; here are the errors.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from minirt.build.contenthash import ContentDigest, FileHashes
from minirt.build.parents import ParentsFilter, split_pivot
from minirt.build.room import check_room, mostly_holes
from minirt.build.selection import Found, Item, Skip, follow, walk
from minirt.build.wildcards import BadPattern, has_wildcards
from minirt.dockerfile.ignore import Ignore
from minirt.dockerfile.suggest import did_you_mean
from minirt.errors import CopyFailed, Location

__all__ = ["Gathered", "Query", "Source", "Tree", "open_context"]

_MOST_NAMES = 400


@dataclass(frozen=True, slots=True)
class Source:
    """One match, ready to copy: the tree's directory, where in it, its name, and all files below it."""

    top: str
    found: Found
    items: tuple[Item, ...]
    digests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Gathered:
    """All sources of one COPY, and what they amount to: ``content`` is a digest, ``marks`` say it file by file.

    ``sockets`` are the paths that were sockets: an image gets an empty file in their place, as from BuildKit.
    ``sparse`` are sentences about big files that are mostly holes.
    """

    sources: tuple[Source, ...]
    content: str
    marks: dict[str, str]
    sockets: tuple[str, ...] = ()
    sparse: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Query:
    """What an instruction asks of a tree. ``locate`` gives the place of the n-th word, for errors.

    ``literal``: the words are names as they are on disk, without wildcards.
    """

    words: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    parents: bool = False
    owners: bool = False
    locate: Callable[[int], Location | None] = lambda _index: None
    what: str = "COPY"
    literal: bool = False


class IgnoreFilter:
    """.dockerignore, or ``--exclude``, as a :class:`Skip`.

    ``home`` is minirt's own directory where it lies inside the context: an image that held all images would never end.
    """

    def __init__(self, ignore: Ignore, home: str = "") -> None:
        self.ignore = ignore
        self._home = home

    def prunes(self, directory: str) -> bool:
        """Whether nothing below ``directory`` can be wanted."""
        return bool(self._home and directory == self._home) or self.ignore.prunes(directory)

    def __call__(self, path: str, is_directory: bool) -> bool:
        if self._home and (path == self._home or path.startswith(f"{self._home}/")):
            return True
        return self.ignore.excludes(path, is_directory)


@dataclass(frozen=True, slots=True)
class Tree:
    """A directory to copy from. ``name`` is how errors call it, such as ``the build context``.

    ``disk`` is a path on the file system that the copy must fit on.
    """

    top: str
    name: str
    skip: Skip | None = None
    hashes: FileHashes | None = None
    disk: str | None = None

    def gather(self, query: Query) -> Gathered:
        """Find, list and hash what ``query`` asks for. Raises :class:`CopyFailed`."""
        hashes = self.hashes or FileHashes(None)
        content = ContentDigest()
        sources: list[Source] = []
        sockets: list[str] = []
        sparse: list[str] = []
        for index, source in self._found(query, sockets):
            where = query.locate(index)
            if self.disk is not None:
                check_room(self.disk, source.items, source.found.name)
            sparse += mostly_holes(os.path.join(self.top, source.found.place), source.items)
            content.note(query.words[index])
            digests = self._hash(hashes, source.found, source.items, where)
            content.add(source.found.name, source.items, digests, owners=query.owners)
            sources.append(replace(source, digests=tuple(digests)))
        return Gathered(tuple(sources), content.hexdigest(), content.marks, tuple(sockets), tuple(sparse))

    def gather_unhashed(self, query: Query) -> list[Source]:
        """Like :meth:`gather`, where the content was hashed before."""
        return [source for _, source in self._found(query, [])]

    def _found(self, query: Query, sockets: list[str]) -> Iterator[tuple[int, Source]]:
        exclude = IgnoreFilter(Ignore.of(query.exclude)) if query.exclude else None
        for index, word in enumerate(query.words):
            where = query.locate(index)
            for found, items in self._matches(query, word, where, exclude):
                sockets += [item.path or word for item in items if stat.S_ISSOCK(item.mode)]
                yield index, Source(self.top, found, tuple(items), ())

    def _matches(
        self, query: Query, word: str, where: Location | None, exclude: Skip | None
    ) -> list[tuple[Found, list[Item]]]:
        try:
            if query.parents:
                return self._with_parents(word, where, exclude)
            found = [Found(word, word)] if query.literal else list(follow(self.top, word, self.skip))
            if not found and not has_wildcards(word):
                raise self._not_found(query, word, where)
            for one in found:
                if not os.path.lexists(os.path.join(self.top, one.place)):
                    raise CopyFailed(
                        f'"/{one.place}" not found in {self.name}',
                        where=where,
                        cause=f"{word} names {one.name}, a symbolic link that leads there",
                        hint="Remove the link, or add a line for it to .dockerignore.",
                    )
            return [(one, list(walk(self.top, one.place, self.skip, exclude))) for one in found]
        except BadPattern as error:
            raise CopyFailed(f"{word!r} is not a pattern: {error}", where=where) from None
        except OSError as error:
            raise self._unreadable(error, where) from error

    def _with_parents(self, word: str, where: Location | None, exclude: Skip | None) -> list[tuple[Found, list[Item]]]:
        pivot, pattern = split_pivot(word)
        wanted = ParentsFilter(pattern, exclude)
        results = []
        for base in follow(self.top, pivot, self.skip):
            items = list(walk(self.top, base.place, self.skip, wanted))
            if len(items) > 1:
                results.append((base, items))
        if not results and not has_wildcards(pivot) and not has_wildcards(pattern):
            raise self._not_found(Query((word,)), f"{pivot}/{pattern}", where)
        return results

    def _hash(self, hashes: FileHashes, found: Found, items: Sequence[Item], where: Location | None) -> list[str]:
        try:
            return hashes.of(os.path.join(self.top, found.place), items)
        except OSError as error:
            raise self._unreadable(error, where) from error

    def _not_found(self, query: Query, word: str, where: Location | None) -> CopyFailed:
        shown = "/" + os.path.normpath("/" + word).lstrip("/")
        what = f'"{shown}" not found in {self.name}'
        if _leads_out(word):
            return CopyFailed(
                f"forbidden path outside {self.name}: {word}",
                where=where,
                cause=f"{query.what} sees only what is below {self.name}'s top, and .. does not lead out of it",
                hint="Move the file into the context, or build with the directory above as the context.",
            )
        if self.skip is not None and any(True for _ in follow(self.top, word, None)):
            return CopyFailed(
                what,
                where=where,
                cause="the file exists, but .dockerignore leaves it out of the build context",
                hint=f"Add a line !{shown.lstrip('/')} at the end of .dockerignore, or remove what hides it.",
            )
        hint = "" if _end_of_link(self.top, word) else self._near(word)
        return CopyFailed(what, where=where, cause=self._cause(word), hint=hint)

    def _cause(self, word: str) -> str:
        end = _end_of_link(self.top, word)
        if end:
            return f"it is a symbolic link to {end}, and {self.name} has nothing there"
        if word.startswith("/") and os.path.lexists(word) and self.hashes is not None:
            return f"{word} exists on the machine, but sources are looked up in {self.name}, not on the machine"
        return "no file or directory has that name there"

    def _near(self, word: str) -> str:
        wanted = os.path.basename(word.rstrip("/"))
        by_name: dict[str, str] = {}
        for item in _some(self.top, self.skip):
            by_name.setdefault(os.path.basename(item.path), item.path)
        hint = did_you_mean(wanted, by_name)
        if hint:
            name = next((one for one in by_name if f" {one}?" in hint), "")
            return f"Did you mean {by_name[name]}?" if name else hint
        folder = os.path.dirname(os.path.normpath(word.strip("/")))
        beside = sorted(name for name, path in by_name.items() if folder and os.path.dirname(path) == folder)[:8]
        if beside:
            return f"In {folder} there are: {', '.join(beside)}."
        names = sorted(name for name in by_name if "/" not in by_name[name])[:8]
        return f"There are: {', '.join(names)}." if names else f"{self.name.capitalize()} is empty."

    def _unreadable(self, error: OSError, where: Location | None) -> CopyFailed:
        path = os.fsdecode(error.filename or "")
        shown = os.path.relpath(path, self.top) if path.startswith(self.top) else path
        if error.errno == errno.ELOOP:
            return CopyFailed(
                f"{shown}: too many symbolic links",
                where=where,
                cause="the links lead to each other in a circle",
                hint="Look at them with ls -l and remove one.",
            )
        if error.errno in (errno.EACCES, errno.EPERM):
            return CopyFailed(
                f"cannot read {shown} in {self.name}: {error.strerror}",
                where=where,
                cause="the file's owner or mode keeps you from reading it",
                hint=f"Allow it with chmod u+r, or add a line {shown} to .dockerignore.",
            )
        return CopyFailed(f"cannot read {shown} in {self.name}: {error.strerror}", where=where)


def _end_of_link(top: str, word: str) -> str:
    """Where the link that ``word`` names points; "" if it is none."""
    path = os.path.join(top, os.path.normpath("/" + word).lstrip("/"))
    return os.readlink(path) if os.path.islink(path) else ""


def _leads_out(word: str) -> bool:
    depth = 0
    for part in word.split("/"):
        depth += {"..": -1, "": 0, ".": 0}.get(part, 1)
        if depth < 0:
            return True
    return False


def _some(top: str, skip: Skip | None) -> list[Item]:
    found: list[Item] = []
    try:
        for item in walk(top, "", skip):
            if item.path:
                found.append(item)
            if len(found) >= _MOST_NAMES:
                break
    except OSError:
        pass
    return found


def open_context(
    directory: Path, ignore: str | None, hashes: FileHashes, dockerfile: str = "", disk: str | None = None
) -> Tree:
    """The build context at ``directory``, with ``ignore`` or its own .dockerignore.

    ``<Dockerfile's name>.dockerignore`` beside the Dockerfile goes before ``.dockerignore``.
    """
    if ignore is None:
        names = ([f"{dockerfile}.dockerignore"] if dockerfile else []) + [".dockerignore"]
        for name in names:
            try:
                ignore = (directory / name).read_text(encoding="utf-8-sig", errors="surrogateescape")
                break
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                continue
    home = os.path.relpath(disk, directory) if disk is not None else ".."
    inside = home if home.split(os.sep)[0] not in ("..", ".") else ""
    asked = bool(ignore and ignore.strip())
    skip = IgnoreFilter(Ignore.parse(ignore or ""), inside) if asked or inside else None
    return Tree(os.path.abspath(directory), "the build context", skip, hashes, disk)
