"""Go's template language, read into a tree: the part of text/template that ``--format`` is used with.

Grammar (pkg.go.dev/text/template)::

    template := { text | "{{" action "}}" }          "{{-" and "-}}" trim the white space beside them
    action   := comment | pipeline | $x := pipeline | $x = pipeline
              | "if" pipeline … {"else if" pipeline …} ["else" …] "end"
              | "range" [[$i,] $x :=] pipeline … ["else" …] "end"      | "with" pipeline … ["else" …] "end"
    pipeline := command { "|" command }
    command  := operand { operand }
    operand  := .Field.Field | $x.Field | "string" | `string` | 123 | true | false | nil | function | ( pipeline )
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from minirt.cli.template_lexer import Token, pieces, syntax_error
from minirt.errors import InvalidInput

__all__ = ["Assign", "Chain", "Command", "If", "Literal", "Name", "Node", "Operand", "Output", "Pipeline", "Range",
           "Text", "Variable", "With", "parse", "syntax_error"]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Literal:
    value: str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Name:
    """A function."""

    name: str
    at: int


@dataclass(frozen=True, slots=True)
class Variable:
    name: str
    at: int


@dataclass(frozen=True, slots=True)
class Chain:
    """Fields of something: ``base`` None is the dot itself."""

    base: Variable | Pipeline | None
    fields: tuple[str, ...]
    at: int


Operand = Literal | Name | Variable | Chain


@dataclass(frozen=True, slots=True)
class Command:
    operands: tuple[Operand | Pipeline, ...]


@dataclass(frozen=True, slots=True)
class Pipeline:
    commands: tuple[Command, ...]


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class Output:
    pipeline: Pipeline


@dataclass(frozen=True, slots=True)
class Assign:
    name: str
    pipeline: Pipeline
    declares: bool


@dataclass(frozen=True, slots=True)
class If:
    test: Pipeline
    then: tuple[Node, ...]
    otherwise: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class With:
    value: Pipeline
    then: tuple[Node, ...]
    otherwise: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """``variables``: none, (element) or (index, element)."""

    variables: tuple[str, ...]
    over: Pipeline
    body: tuple[Node, ...]
    otherwise: tuple[Node, ...]


Node = Text | Output | Assign | If | With | Range


def parse(source: str) -> tuple[Node, ...]:
    """Raises :class:`minirt.errors.InvalidInput` with the place of the mistake."""
    parser = _Parser(source, pieces(source))
    nodes, end = parser.block(())
    assert end == ""
    return nodes


class _Parser:
    def __init__(self, source: str, pieces: list[str | list[Token]]) -> None:
        self.source = source
        self.pieces = pieces
        self.index = 0
        self.tokens: list[Token] = []

    def fail(self, message: str) -> InvalidInput:
        at = self.tokens[0].at if self.tokens else len(self.source)
        return syntax_error(message, self.source, at)

    def block(self, ends: tuple[str, ...]) -> tuple[tuple[Node, ...], str]:
        """Nodes up to an action that starts with one of ``ends``, and that word (``""``: the text's end)."""
        nodes: list[Node] = []
        while self.index < len(self.pieces):
            piece = self.pieces[self.index]
            self.index += 1
            if isinstance(piece, str):
                if piece:
                    nodes.append(Text(piece))
                continue
            self.tokens = list(piece)
            word = piece[0].text if piece[0].kind == "word" else ""
            if word in ("end", "else"):
                if word not in ends:
                    raise self.fail(f"unexpected {{{{{word}}}}}")
                self.tokens.pop(0)
                return tuple(nodes), word
            nodes.append(self.action(word))
        if ends:
            self.tokens = []
            raise self.fail("unexpected EOF")
        return tuple(nodes), ""

    def action(self, word: str) -> Node:
        if word in ("if", "with", "range"):
            self.tokens.pop(0)
            return self.control(word)
        if len(self.tokens) > 1 and self.tokens[0].kind == "variable" and self.tokens[1].text in (":=", "="):
            name, sign = self.tokens.pop(0).text, self.tokens.pop(0).text
            return Assign(name, self.pipeline_to_end(), sign == ":=")
        return Output(self.pipeline_to_end())

    def control(self, word: str) -> Node:
        variables = self.range_variables() if word == "range" else ()
        test = self.pipeline_to_end()
        body, end = self.block(("else", "end"))
        otherwise: tuple[Node, ...] = ()
        if end == "else":
            if self.tokens and self.tokens[0].text in ("if", "with"):
                otherwise = (self.control(self.tokens.pop(0).text),)  # its {{end}} closes the whole chain
            else:
                otherwise, _ = self.block(("end",))
        if word == "range":
            return Range(variables, test, body, otherwise)
        return If(test, body, otherwise) if word == "if" else With(test, body, otherwise)

    def range_variables(self) -> tuple[str, ...]:
        texts = [token.text for token in self.tokens]
        if ":=" not in texts:
            return ()
        names = tuple(text for text in texts[: texts.index(":=")] if text != ",")
        if not 1 <= len(names) <= 2 or not all(name.startswith("$") for name in names):
            raise self.fail("range can have at most two variables")
        del self.tokens[: texts.index(":=") + 1]
        return names

    def pipeline_to_end(self) -> Pipeline:
        pipeline = self.pipeline()
        if self.tokens:
            raise self.fail(f"unexpected {self.tokens[0].text!r} in command")
        return pipeline

    def pipeline(self) -> Pipeline:
        commands = [self.command()]
        while self.tokens and self.tokens[0].text == "|":
            self.tokens.pop(0)
            commands.append(self.command())
        return Pipeline(tuple(commands))

    def command(self) -> Command:
        operands: list[Operand | Pipeline] = []
        while self.tokens and self.tokens[0].text not in ("|", ")"):
            operands.append(self.operand())
        if not operands:
            raise self.fail("missing value for command")
        return Command(tuple(operands))

    def operand(self) -> Operand | Pipeline:
        token = self.tokens.pop(0)
        if token.kind == "string":
            return Literal(token.text[1:-1] if token.text[0] == "`" else self.unquote(token))
        if token.kind == "number":
            return Literal(float(token.text) if "." in token.text else int(token.text))
        if token.kind in ("field", "dot"):
            return Chain(None, tuple(filter(None, token.text.split("."))), token.at)
        if token.kind == "variable":
            return self.chained(Variable(token.text, token.at))
        if token.text == "(":
            inner = self.pipeline()
            if not self.tokens or self.tokens.pop(0).text != ")":
                raise self.fail("unclosed left paren")
            return self.chained(inner)
        if token.kind == "word":
            constants = {"true": True, "false": False, "nil": None}
            return Literal(constants[token.text]) if token.text in constants else Name(token.text, token.at)
        raise syntax_error(f"unexpected {token.text!r} in command", self.source, token.at)

    def chained(self, base: Variable | Pipeline) -> Operand | Pipeline:
        if self.tokens and self.tokens[0].kind == "field" and self.tokens[0].glued:
            token = self.tokens.pop(0)
            return Chain(base, tuple(filter(None, token.text.split("."))), token.at)
        return base

    def unquote(self, token: Token) -> str:
        try:
            return str(json.loads(token.text))
        except ValueError:
            words = f"invalid syntax in string {token.text}" if "\n" not in token.text else "unterminated quoted string"
            raise syntax_error(words, self.source, token.at) from None
