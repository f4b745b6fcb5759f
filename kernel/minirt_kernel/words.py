r"""The small part of a shell that ``docker …`` lines need: text -> commands -> words.

::

    cell       = { command | separator }
    separator  = newline | ";" | "&&"           one fails, none after it runs: in a cell they all mean the same
    command    = word { blank word }
    word       = { literal | "'" … "'" | '"' … '"' | variable | substitution }
    variable   = "$NAME" | "${NAME}" | "~"      a Python variable of that name, else the environment's
    substitution = "$(docker …)" | "$(pwd)"
    comment    = "#" … newline                  where a word would start
    continuation = "\" newline

Nothing here runs a shell, so what only a shell can do (pipes, redirection, globs) is refused with a hint.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from minirt.errors import Location, UsageError

__all__ = ["Command", "Literal", "Part", "Substitution", "Variable", "Word", "join", "parse_commands", "parse_words"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SPECIAL = " \t\r\n;&|<>\\'\"$`"
_ONLY_A_SHELL = {
    "||": "Run the second command in a cell of its own.",
    "|": "A pipe is a shell's: write `!minirt … | …`, or keep the pipe inside the container with sh -c '… | …'.",
    ">": "Redirection is a shell's: write `!minirt … > file`, or redirect inside the container with sh -c '… > file'.",
    "<": "Redirection is a shell's: write `!minirt … < file`, or use %%run, whose cell is the input.",
    "&": "Use docker run -d to leave a container running in the background.",
    "`": "Write $(…) instead of backquotes.",
}


@dataclass(frozen=True, slots=True)
class Literal:
    """Text as it is."""

    text: str


@dataclass(frozen=True, slots=True)
class Variable:
    """``$name``; ``where`` it stands, for the error when nothing of that name is set."""

    name: str
    where: Location


@dataclass(frozen=True, slots=True)
class Substitution:
    """``$(text)``. ``quoted``: its output stays one word."""

    text: str
    quoted: bool
    where: Location


Part = Literal | Variable | Substitution


@dataclass(frozen=True, slots=True)
class Word:
    """One argument, before expansion."""

    parts: tuple[Part, ...]

    @property
    def literal(self) -> str | None:
        """Its text, when nothing in it needs expansion."""
        texts = [part.text for part in self.parts if isinstance(part, Literal)]
        return "".join(texts) if len(texts) == len(self.parts) else None


@dataclass(frozen=True, slots=True)
class Command:
    """``text`` as it was typed, ``where`` it starts."""

    words: tuple[Word, ...]
    text: str
    where: Location


def parse_commands(text: str, source: str = "cell", first_line: int = 1) -> tuple[Command, ...]:
    """All commands of a cell, in order. Raises :class:`UsageError` with the place."""
    return tuple(_Lexer(text, source, first_line).commands())


def parse_words(text: str, source: str = "cell", line: int = 1) -> tuple[Word, ...]:
    """The words of one line, such as what follows ``%%run``. Raises :class:`UsageError`."""
    commands = parse_commands(text, source, line)
    if len(commands) > 1:
        raise UsageError("one line of options was expected", where=commands[1].where)
    return commands[0].words if commands else ()


def join(words: tuple[str, ...] | list[str]) -> str:
    """The words as one line that reads back to the same words."""
    import shlex

    return shlex.join(words)


class _Lexer:
    def __init__(self, text: str, source: str, first_line: int) -> None:
        self.text = text
        self.source = source
        self.first_line = first_line
        self.at = 0

    def commands(self) -> Iterator[Command]:
        words: list[Word] = []
        start = end = 0
        while self.at < len(self.text):
            self._skip_blanks()
            if self._take_separator():
                if words:
                    yield Command(tuple(words), self.text[start:end], self._where(start, end - start))
                words = []
            elif self.at < len(self.text):
                start = start if words else self.at
                words.append(self._word())
                end = self.at
        if words:
            yield Command(tuple(words), self.text[start:end], self._where(start, end - start))

    def _skip_blanks(self) -> None:
        while self.at < len(self.text):
            if self.text[self.at] in " \t\r":
                self.at += 1
            elif self.text.startswith("\\\n", self.at):
                self.at += 2
            elif self.text[self.at] == "#":
                newline = self.text.find("\n", self.at)
                self.at = len(self.text) if newline < 0 else newline
            else:
                return

    def _take_separator(self) -> bool:
        for separator in ("\n", ";", "&&"):
            if self.text.startswith(separator, self.at):
                self.at += len(separator)
                return True
        return False

    def _word(self) -> Word:
        parts: list[Part] = []
        if re.compile(r"~(?=[/\s]|$)").match(self.text, self.at):
            parts.append(Variable("HOME", self._where(self.at)))
            self.at += 1
        while self.at < len(self.text) and self.text[self.at] not in " \t\r\n;":
            if self.text.startswith("&&", self.at):
                break
            parts.extend(self._piece())
        return Word(tuple(parts) or (Literal(""),))

    def _piece(self) -> list[Part]:
        """One part at the cursor, outside quotes."""
        char = self.text[self.at]
        if char == "'":
            return [self._single_quoted()]
        if char == '"':
            return self._double_quoted()
        if char == "\\":
            escaped = self.text[self.at + 1 : self.at + 2]
            self.at += 2
            return [] if escaped == "\n" else [Literal(escaped or "\\")]
        if char == "$":
            return [self._dollar(quoted=False)]
        for operator, hint in _ONLY_A_SHELL.items():
            if self.text.startswith(operator, self.at):
                where = self._where(self.at, len(operator))
                raise UsageError(
                    f"{operator!r} is not understood here", where=where, cause="no shell runs this line", hint=hint
                )
        start = self.at
        while self.at < len(self.text) and self.text[self.at] not in _SPECIAL:
            self.at += 1
        return [Literal(self.text[start : self.at])]

    def _single_quoted(self) -> Literal:
        start = self.at
        end = self.text.find("'", start + 1)
        if end < 0:
            raise self._unclosed(start, "'")
        self.at = end + 1
        return Literal(self.text[start + 1 : end])

    def _double_quoted(self) -> list[Part]:
        start = self.at
        self.at += 1
        parts: list[Part] = [Literal("")]
        while self.at < len(self.text):
            char = self.text[self.at]
            if char == '"':
                self.at += 1
                return parts
            if char == "$":
                parts.append(self._dollar(quoted=True))
            elif char == "\\" and self.text[self.at + 1 : self.at + 2] in tuple('$`"\\\n'):
                escaped = self.text[self.at + 1]
                parts.append(Literal("" if escaped == "\n" else escaped))
                self.at += 2
            else:
                parts.append(Literal(char))
                self.at += 1
        raise self._unclosed(start, '"')

    def _dollar(self, *, quoted: bool) -> Part:
        start = self.at
        if self.text.startswith("$(", start):
            end = self._closing(start + 1)
            self.at = end + 1
            return Substitution(self.text[start + 2 : end].strip(), quoted, self._where(start, self.at - start))
        braced = self.text.startswith("${", start)
        match = _NAME.match(self.text, start + (2 if braced else 1))
        if match is None or (braced and not self.text.startswith("}", match.end())):
            if braced:
                raise UsageError("only ${NAME} is understood between braces", where=self._where(start, 2))
            self.at += 1
            return Literal("$")  # a lone dollar is itself, as in a shell
        self.at = match.end() + (1 if braced else 0)
        return Variable(match.group(), self._where(start, self.at - start))

    def _closing(self, opening: int) -> int:
        """The index of the parenthesis that closes the one at ``opening``; quotes hide parentheses."""
        depth = 0
        quote = ""
        for index in range(opening, len(self.text)):
            char = self.text[index]
            if quote:
                quote = "" if char == quote else quote
            elif char in "'\"":
                quote = char
            elif char == "(":
                depth += 1
            elif char == ")":
                depth -= 1
                if depth == 0:
                    return index
        raise self._unclosed(opening - 1, "$(")

    def _unclosed(self, start: int, mark: str) -> UsageError:
        return UsageError(f"{mark} is never closed", where=self._where(start, len(mark)), hint="Add the closing one.")

    def _where(self, at: int, length: int = 1) -> Location:
        begin = self.text.rfind("\n", 0, at) + 1
        newline = self.text.find("\n", at)
        line = self.text[begin : len(self.text) if newline < 0 else newline]
        number = self.first_line + self.text.count("\n", 0, at)
        return Location(self.source, number, at - begin + 1, max(1, length), line)
