"""A statement while it is being read: its flags, its arguments, and errors that point into it."""

from __future__ import annotations

from minirt.dockerfile.flags import Flags, read_flags
from minirt.dockerfile.forms import Command, ExecForm, ShellForm
from minirt.dockerfile.lexer import Statement
from minirt.dockerfile.source import Origin, Span
from minirt.dockerfile.words import NotStrings, argument_spans, at_blanks, exec_form
from minirt.errors import DockerfileError

__all__ = ["Request"]


class Request:
    """A statement while it is being read."""

    __slots__ = ("arguments", "escape", "flags", "keyword", "origin", "statement")

    def __init__(self, statement: Statement, escape: str):
        self.statement = statement
        self.escape = escape
        self.origin: Origin = statement.origin
        self.keyword = statement.keyword
        self.arguments = statement.arguments
        self.flags: Flags = read_flags(statement.keyword, statement.flags, statement.origin)

    def span(self) -> Span:
        """All the arguments."""
        return (self.statement.arguments_start, len(self.origin.text))

    def error(self, what: str, span: Span | None = None, *, cause: str = "", hint: str = "") -> DockerfileError:
        if span is None and self.arguments:
            span = self.span()
        return self.origin.error(what, span, cause=cause, hint=hint)

    def one(self) -> str:
        """The whole rest as one argument."""
        if not self.arguments:
            raise self.error(f"{self.keyword} requires exactly one argument")
        return self.arguments

    def json(self) -> tuple[str, ...] | None:
        """The words of the exec form, None in the shell form."""
        try:
            return exec_form(self.arguments)
        except NotStrings as error:
            raise self.error(
                str(error), cause="something in the brackets is not in double quotes", hint='["program", "argument"]'
            ) from None

    def command(self) -> Command:
        words = self.json()
        return ShellForm(self.arguments) if words is None else ExecForm(words)

    def list_of_words(self) -> tuple[str, ...]:
        words = self.json()
        return at_blanks(self.arguments) if words is None else words

    def find(self, word: str) -> Span:
        """The first place of a word among the arguments."""
        start = self.origin.text.find(word, self.statement.arguments_start)
        return (start, start + len(word)) if start >= 0 else self.span()

    def last_span(self) -> Span:
        spans = argument_spans(self.origin.text)
        return spans[-1] if spans else self.span()
