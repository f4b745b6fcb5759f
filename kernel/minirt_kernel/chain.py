"""Cells that together are one Dockerfile: what ``--continue`` goes on from, and what ``--export`` writes.

Every run of a Dockerfile cell makes a new *link*: the text up to and with that cell. Links are never changed, so
running an earlier cell again forks: both Dockerfiles go on to exist, and the build cache makes the old one instant.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from minirt.errors import Location, UsageError

__all__ = ["Chain", "Link", "Piece", "Wish", "read_wish"]

_FLAG = "--continue"


@dataclass(frozen=True, slots=True)
class Piece:
    """One cell's part: its ``text`` begins on the cell's line ``line``; ``number`` is the one in its brackets."""

    text: str
    line: int
    number: int

    @property
    def whole(self) -> str:
        """The text with a newline at its end."""
        return self.text if not self.text or self.text.endswith("\n") else self.text + "\n"


@dataclass(frozen=True, slots=True)
class Link:
    """``key`` names the cell, the same each time it runs; ``parent`` is the link it goes on from.

    ``options`` and ``context`` are those of ``docker build`` that the cells after it take over.
    """

    key: str
    piece: Piece
    parent: Link | None = None
    options: tuple[str, ...] = ()
    context: str = ""

    @property
    def lineage(self) -> Iterator[Link]:
        """The link itself, then what it goes on from, back to the first cell."""
        link: Link | None = self
        while link is not None:
            yield link
            link = link.parent

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """In the order of the Dockerfile."""
        return tuple(link.piece for link in self.lineage)[::-1]

    @property
    def text(self) -> str:
        """The whole Dockerfile."""
        *before, last = self.pieces
        return "".join(piece.whole for piece in before) + last.text

    def place(self, where: Location) -> Location:
        """A place in :attr:`text` as one in the cell that holds it; earlier cells are called by their number."""
        line = where.line
        pieces = self.pieces
        for piece in pieces:
            count = piece.whole.count("\n")
            if line <= count or piece is pieces[-1]:
                source = "cell" if piece is pieces[-1] else f"cell [{piece.number}]"
                return replace(where, source=source, line=piece.line - 1 + line)
            line -= count
        return where

    def owns(self, line: int) -> bool:
        """Whether the line of :attr:`text` was written in this cell, not in one before it."""
        before = sum(piece.whole.count("\n") for piece in self.pieces[:-1])
        return line > before


@dataclass(frozen=True, slots=True)
class Wish:
    """``--continue`` of a cell: ``number`` is that of the cell to go on from, None for the last one."""

    number: int | None = None


def read_wish(arguments: list[str], where: Location) -> tuple[Wish | None, list[str]]:
    """``--continue`` or ``--continue=NUMBER`` among a cell's options, and the options without it."""
    wish, rest = None, []
    for word in arguments:
        name, equals, value = word.partition("=")
        if name != _FLAG:
            rest.append(word)
        elif not equals:
            wish = Wish()
        elif value.isascii() and value.isdigit():
            wish = Wish(int(value[:9]))
        else:
            raise UsageError(
                f"--continue={value}: not the number of a cell",
                where=where,
                hint="Write --continue alone, or the number in the brackets beside a cell: --continue=3",
            )
    return wish, rest


class Chain:
    """All links of one kernel, in the order in which their cells ran."""

    def __init__(self) -> None:
        self._links: list[Link] = []

    @property
    def last(self) -> Link | None:
        return self._links[-1] if self._links else None

    def is_new(self, key: str) -> bool:
        """Whether this cell was never built before."""
        return self._newest(key) is None

    def keep(self, link: Link) -> None:
        """Remember a cell that was built."""
        self._links.append(link)

    def parent(self, wish: Wish, key: str, where: Location) -> Link:
        """What the cell ``key`` goes on from. Raises :class:`UsageError`.

        The cell that ran last; but never the cell itself, or one that came after it: then it is run again, and goes
        on from where it went on before.
        """
        if self.last is None:
            raise UsageError(
                "there is nothing to continue: no Dockerfile cell was built yet in this kernel",
                where=where,
                hint="Run the cell with FROM first.",
            )
        if wish.number is not None:
            return self._numbered(wish.number, where)
        own = next((link for link in self.last.lineage if link.key == key), None)
        if own is None:
            return self.last
        if own.parent is None:
            raise UsageError(
                "there is nothing to continue: this cell was the first of its Dockerfile",
                where=where,
                hint="Leave --continue out here, or say which cell it goes on from: --continue=NUMBER",
            )
        return self._newest(own.parent.key) or own.parent

    def _newest(self, key: str) -> Link | None:
        return next((link for link in reversed(self._links) if link.key == key), None)

    def _numbered(self, number: int, where: Location) -> Link:
        for link in reversed(self._links):
            if link.piece.number == number:
                return link
        known = ", ".join(str(link.piece.number) for link in self._links[-8:])
        raise UsageError(
            f"cell [{number}] built no Dockerfile in this kernel", where=where, hint=f"Those that did: {known}."
        )
