"""``--chmod``: octal (``755``, ``0644``) or symbolic (``u=rwX,go=rX``, ``+x``) as chmod(1) reads it."""

from __future__ import annotations

import re

from minirt.errors import InvalidSpec

__all__ = ["ModeChange"]

_CLAUSE = re.compile(r"([ugoa]*)((?:[-+=][rwxXstugo]*)+)")
_ACTION = re.compile(r"([-+=])([rwxXstugo]*)")
_SHIFT = {"u": 6, "g": 3, "o": 0}
_BITS = {"r": 4, "w": 2, "x": 1}


class ModeChange:
    """A checked ``--chmod``; :meth:`apply` gives a file's new permission bits (12 bits)."""

    def __init__(self, text: str) -> None:
        """Raises :class:`InvalidSpec`."""
        self.text = text
        self._octal: int | None = None
        self._clauses: list[tuple[str, list[tuple[str, str]]]] = []
        if re.fullmatch(r"[0-9]+", text):
            if not re.fullmatch(r"[0-7]+", text) or int(text, 8) > 0o7777:
                raise InvalidSpec(
                    f"invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777",
                    hint="Write for example --chmod=755 or --chmod=u=rwX,go=rX.",
                )
            self._octal = int(text, 8)
            return
        for clause in text.split(","):
            match = _CLAUSE.fullmatch(clause)
            if match is None:
                raise InvalidSpec(
                    f"invalid chmod parameter: '{text}'",
                    cause=f"{clause!r} is not a symbolic mode",
                    hint="Write for example --chmod=755 or --chmod=u=rwX,go=rX.",
                )
            self._clauses.append((match[1] or "a", _ACTION.findall(match[2])))

    @property
    def for_parents(self) -> int:
        """The mode of directories that have to be made on the way: BuildKit makes them with an octal mode too."""
        return 0o755 if self._octal is None else self._octal & 0o777 & ~0o022  # mkdir, under a umask of 022

    def apply(self, mode: int, *, directory: bool) -> int:
        """The bits after the change of ``mode`` (the bits before)."""
        if self._octal is not None:
            return self._octal
        for who, actions in self._clauses:
            people = "ugo" if "a" in who else who
            for operator, letters in actions:
                mode = _change(mode, people, operator, letters, directory)
        return mode


def _change(mode: int, people: str, operator: str, letters: str, directory: bool) -> int:
    bits = 0
    for person in people:
        bits |= _bits(mode, person, letters, directory)
    if operator == "+":
        return mode | bits
    if operator == "-":
        return mode & ~bits
    mask = sum(7 << _SHIFT[person] for person in set(people))
    mask |= (0o4000 if "u" in people else 0) | (0o2000 if "g" in people else 0)
    return mode & ~mask | bits


def _bits(mode: int, person: str, letters: str, directory: bool) -> int:
    shift, value = _SHIFT[person], 0
    for letter in letters:
        if letter in _BITS:
            value |= _BITS[letter] << shift
        elif letter == "X" and (directory or mode & 0o111):
            value |= 1 << shift
        elif letter in _SHIFT:
            value |= (mode >> _SHIFT[letter] & 7) << shift
        elif letter == "s":
            value |= {"u": 0o4000, "g": 0o2000, "o": 0}[person]
        elif letter == "t":
            value |= 0o1000
    return value
