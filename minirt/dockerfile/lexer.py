"""From text to statements: directives, comments, continuation lines and heredocs.

::

    file      = [BOM] { directive } { blank | comment | statement }
    directive = "#" name "=" value          only at the top: escape, syntax, check
    statement = { line escape newline { comment | blank } } line { heredoc body }

A line ends with LF or CRLF. A statement's text is its lines joined, without the escapes, trimmed; comments and blank
lines between continuation lines are left out. Source: Dockerfile reference, "Format" and "Parser directives".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from minirt.dockerfile.document import Directive
from minirt.dockerfile.forms import Heredoc
from minirt.dockerfile.heredocs import heredocs_of_line, read_bodies
from minirt.dockerfile.source import GO_SPACE, Origin, Source, Span, printable
from minirt.dockerfile.words import NotStrings, exec_form, split_flags
from minirt.errors import DockerfileError, Location

__all__ = ["LINE_LIMIT", "Lexer", "Statement", "decode"]

LINE_LIMIT = 65_535
"""Bytes of one line: the buffer of BuildKit's scanner."""

_KEYWORD = re.compile(r"[^\t\v\f\r ]+")
_PLAIN = re.compile(r"([A-Za-z]+) (?=[^-\s])")
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9]*")
_DIRECTIVES = ("escape", "syntax", "check")
_WITH_HEREDOCS = ("RUN", "COPY", "ADD")


@dataclass(frozen=True, slots=True)
class Statement:
    """An instruction not yet understood: ``keyword`` in upper case, flags unquoted, arguments as one text."""

    origin: Origin
    keyword: str
    flags: tuple[tuple[str, Span], ...]
    arguments_start: int
    heredocs: tuple[Heredoc, ...] = ()

    @property
    def arguments(self) -> str:
        return self.origin.text[self.arguments_start :]

    @classmethod
    def of(cls, origin: Origin, heredocs: tuple[Heredoc, ...] = ()) -> Statement:
        text = origin.text
        match = _PLAIN.match(text)
        if match:  # most instructions have no flags: one look is enough
            return cls(origin, match[1].upper(), (), match.end(), heredocs)
        match = _KEYWORD.match(text)
        end = match.end() if match else 0
        flags, start = split_flags(text, end)
        return cls(origin, text[:end].upper(), flags, start, heredocs)

    def inner(self) -> Statement:
        """The statement inside ONBUILD, with the same heredocs."""
        return Statement.of(self.origin.tail(self.arguments_start), self.heredocs)


def decode(data: bytes, name: str) -> str:
    """Bytes to text. Bytes that are not UTF-8 survive in comments; in an instruction the lexer refuses them."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DockerfileError(
            "this file is UTF-16, not UTF-8",
            where=Location(name, 1),
            cause="an editor on Windows saved it as “Unicode”",
            hint="Save it again as UTF-8.",
        )
    return data.decode("utf-8", "surrogateescape")


class Lexer:
    """The statements of one text; ``directives`` and ``escape`` are known once the first statement is read."""

    def __init__(self, text: str, name: str):
        lines = text.removeprefix("\ufeff").split("\n")
        self._ends_with_newline = lines[-1] == ""
        if self._ends_with_newline:
            lines.pop()
        self.source = Source(name, tuple(lines))
        self.directives: dict[str, Directive] = {}
        self.escape = "\\"
        self._next = 0
        self._suspicious = "\0" in text or not _is_utf8(text)
        self._check_lengths(text)

    def statements(self) -> Iterator[Statement]:
        """Raises :class:`DockerfileError`."""
        comments: list[str] = []
        at_top = True
        lines = self.source.lines
        while self._next < len(lines):
            line = lines[self._next].strip(GO_SPACE)
            if line.startswith("#"):
                self._next += 1
                at_top = at_top and self._directive(line)
                if at_top or not line[1:].strip():
                    comments.clear()
                else:
                    comments.append(printable(line[1:].strip()))
                continue
            at_top = False
            if line:
                yield self._statement(tuple(comments))
                comments.clear()
            else:  # comments above an empty line are still those of the next instruction, as BuildKit reads them
                self._next += 1

    # -- parts of a file -----------------------------------------------------------------------------------

    def _directive(self, line: str) -> bool:
        """Whether the comment is a directive; the first that is none ends them all."""
        name, equals, value = line[1:].partition("=")
        name, value = name.strip().lower(), value.strip()
        if not equals or not value or not _NAME.fullmatch(name) or name not in _DIRECTIVES:
            return False
        where = self.source.whole_line(self._next)
        if name in self.directives:
            raise DockerfileError(f"only one {name} parser directive can be used", where=where)
        if name == "escape":
            if value not in ("\\", "`"):
                raise DockerfileError(
                    f"invalid escape token {value!r} does not match ` or \\",
                    where=where,
                    hint="Write # escape=` or leave the line out.",
                )
            self.escape = value
        self.directives[name] = Directive(name, value, where)
        return True

    def _statement(self, comments: tuple[str, ...]) -> Statement:
        line = self.source.lines[self._next]
        self._next += 1
        text = line.strip(GO_SPACE)
        if text.endswith(self.escape) and self._continues(line.rstrip("\r").rstrip(" \t")):
            origin = self._continued(line, comments)
        else:
            indent = len(line) - len(line.lstrip(GO_SPACE)) if line[0] in GO_SPACE else 0
            origin = Origin(self.source, text, ((0, self._next, indent),), self._next, comments)
        if self._suspicious:
            _refuse_bad_characters(origin)
        statement = Statement.of(origin)
        return self._with_heredocs(statement) if "<<" in text or "<<" in origin.text else statement

    def _continues(self, body: str) -> bool:
        """One escape at the end joins the next line; two or more are text, however many there are."""
        return body.endswith(self.escape) and not body.endswith(self.escape * 2)

    def _continued(self, line: str, comments: tuple[str, ...]) -> Origin:
        """Join the lines from ``line`` on, up to the first that does not end with the escape."""
        first = self._next
        parts: list[str] = []
        pieces: list[tuple[int, int, int]] = []
        blank: list[int] = []
        offset = 0
        lines = self.source.lines
        while True:
            body = line.rstrip("\r").rstrip(" \t")
            continues = self._continues(body)
            body = body[:-1] if continues else line.rstrip("\r")
            pieces.append((offset, self._next, 0))
            parts.append(body)
            offset += len(body)
            if not continues:
                break
            while self._next < len(lines):
                line = lines[self._next]
                self._next += 1
                bare = line.strip(GO_SPACE)
                if bare and not bare.startswith("#"):
                    break
                if not bare:
                    blank.append(self._next)
            else:
                break
        joined = "".join(parts)
        lead = len(joined) - len(joined.lstrip(GO_SPACE))
        whole = Origin(self.source, joined, tuple(pieces), max(first, self._next), comments, tuple(blank)).tail(lead)
        return Origin(self.source, whole.text.rstrip(GO_SPACE), whole.pieces, whole.last_line, comments, tuple(blank))

    def _with_heredocs(self, statement: Statement) -> Statement:
        inner = statement.inner() if statement.keyword == "ONBUILD" else statement
        if inner.keyword not in _WITH_HEREDOCS or _is_exec_form(inner.arguments):
            return statement
        opened = heredocs_of_line(inner.origin.text)
        if not opened:
            return statement
        filled, unfinished = read_bodies(opened, self._heredoc_line)
        if unfinished is not None:
            raise statement.origin.error(
                "unterminated heredoc",
                _span_of(statement.origin.text, unfinished.name),
                cause=self._why_open(unfinished.name, statement.origin.last_line),
                hint=f"End it with a line that is exactly {unfinished.name}.",
            )
        old = statement.origin
        origin = Origin(old.source, old.text, old.pieces, self._next, old.comments, old.blank_lines)
        return Statement(origin, statement.keyword, statement.flags, statement.arguments_start, filled)

    def _why_open(self, name: str, after: int) -> str:
        for number, line in enumerate(self.source.lines[after:], start=after + 1):
            if line.strip() == name:
                return f"line {number} has spaces or tabs around {name} (<<-{name} allows tabs before it)"
            if line.strip().startswith(name):
                return f"line {number} holds more than {name}"
        return f"no line below is {name}"

    def _heredoc_line(self) -> str | None:
        if self._next >= len(self.source.lines):
            return None
        line = self.source.lines[self._next]
        self._next += 1
        return line if self._next == len(self.source.lines) and not self._ends_with_newline else line + "\n"

    def _check_lengths(self, text: str) -> None:
        if len(text) <= LINE_LIMIT // 4:
            return
        for number, line in enumerate(self.source.lines, start=1):
            if len(line) > LINE_LIMIT // 4 and len(line.encode("utf-8", "surrogatepass")) > LINE_LIMIT:
                raise DockerfileError(
                    f"dockerfile line greater than max allowed size of {LINE_LIMIT}",
                    where=Location(self.source.name, number, 1, 60, line[:60] + "…"),
                    hint="Break the line, or COPY the data from a file.",
                )


def _is_exec_form(arguments: str) -> bool:
    try:
        return exec_form(arguments) is not None
    except NotStrings:
        return True  # an error soon, whatever stands in it


def _span_of(text: str, name: str) -> Span | None:
    start = text.find(name, text.find("<<"))
    return (start, start + len(name)) if start >= 0 else None


def _is_utf8(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse_bad_characters(origin: Origin) -> None:
    for index, char in enumerate(origin.text):
        if char == "\0":
            raise origin.error(
                "an instruction holds a NUL byte", (index, index + 1), cause="this may not be a text file"
            )
        if "\ud800" <= char <= "\udfff":
            raise origin.error(
                "an instruction holds bytes that are not UTF-8",
                (index, index + 1),
                cause="the file was saved in another encoding, such as Latin-1",
                hint="Save it again as UTF-8.",
            )
