"""``--format``: runs Go templates over plain data (pkg.go.dev/text/template; docker/cli, templates/templates.go)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from minirt.cli.template_functions import FUNCTIONS, HEADER_FUNCTIONS, go_text, nil_text, omitted, truth
from minirt.cli.template_lexer import syntax_error
from minirt.cli.template_syntax import (
    Assign,
    Chain,
    Command,
    If,
    Literal,
    Name,
    Node,
    Output,
    Pipeline,
    Range,
    Text,
    Variable,
    With,
    parse,
)
from minirt.errors import InvalidInput, MinirtError

__all__ = ["Fields", "Template", "unescape"]

_NOTHING = object()


class Fields(dict[str, Any]):
    """The fields of one row of a list: a field it does not have is a mistake that names those there are.

    A value may be a function, for ``{{.Label "name"}}``.
    """


class Template:
    """A checked template. ``Template(text).render(data)``; both raise :class:`InvalidInput` with the place."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.nodes = parse(source)

    def render(self, data: Any, *, header: bool = False) -> str:
        """``header``: ``data`` are column titles, which functions such as ``json`` leave as they are."""
        run = _Run(self.source, data, HEADER_FUNCTIONS if header else FUNCTIONS)
        run.nodes(self.nodes, data)
        return "".join(run.out)


def unescape(template: str) -> str:
    r"""``\t`` and ``\n`` typed in single quotes mean a tab and a newline in formats of lists, as docker reads them.

    Not in ``inspect``, ``info``, ``version``, ``events``: there they stand for themselves; ``{{"\n"}}`` is a newline.
    """
    return template.replace("\\t", "\t").replace("\\n", "\n")


class _Run:
    def __init__(self, source: str, data: Any, functions: Mapping[str, Callable[..., Any]]) -> None:
        self.source = source
        self.functions = functions
        self.variables: dict[str, Any] = {"$": data}
        self.out: list[str] = []

    def nodes(self, nodes: tuple[Node, ...], dot: Any) -> None:
        for node in nodes:
            match node:
                case Text(text):
                    self.out.append(text)
                case Output(pipeline):
                    value = self.pipeline(pipeline, dot)
                    self.out.append(self.nil(pipeline, dot) if value is None else go_text(value, top=True))
                case Assign(name, pipeline, _):
                    self.variables[name] = self.pipeline(pipeline, dot)
                case If(test, then, otherwise):
                    self.nodes(then if truth(self.pipeline(test, dot)) else otherwise, dot)
                case With(value, then, otherwise):
                    inner = self.pipeline(value, dot)
                    self.nodes(then, inner) if truth(inner) else self.nodes(otherwise, dot)
                case Range():
                    self.range(node, dot)

    def nil(self, pipeline: Pipeline, dot: Any) -> str:
        """A field that is there and holds nothing is not the same as one that is not there."""
        match pipeline.commands[-1].operands:
            case (Chain(base, (*above, last), at),):
                parent = self.operand(Chain(base, tuple(above), at), dot)
                if isinstance(parent, Mapping) and last in {*parent, *omitted(parent)}:
                    return nil_text(last)
        return go_text(None, top=True)

    def range(self, node: Range, dot: Any) -> None:
        over = self.pipeline(node.over, dot)
        if isinstance(over, Mapping):
            items: list[tuple[Any, Any]] = sorted(over.items())
        elif isinstance(over, Sequence) and not isinstance(over, str):
            items = list(enumerate(over))
        elif over is None:
            items = []
        else:
            raise self.fail(f"range can't iterate over {go_text(over)}", 0)
        for index, element in items:
            self.variables.update(zip(node.variables, (index, element)[-len(node.variables) or 2 :], strict=False))
            self.nodes(node.body, element)
        if not items:
            self.nodes(node.otherwise, dot)

    def pipeline(self, pipeline: Pipeline, dot: Any) -> Any:
        value: Any = _NOTHING
        for command in pipeline.commands:
            value = self.command(command, dot, value)
        return value

    def command(self, command: Command, dot: Any, last: Any) -> Any:
        first = command.operands[0]
        arguments: list[Callable[[], Any]] = [partial(self.operand, operand, dot) for operand in command.operands[1:]]
        if last is not _NOTHING:
            arguments.append(lambda: last)
        if isinstance(first, Name):
            return self.call(first, arguments)
        value = self.operand(first, dot, callable_ok=bool(arguments))
        if not arguments:
            return value
        if not callable(value):
            raise self.fail("can't give argument to non-function", getattr(first, "at", 0))
        return value(*(argument() for argument in arguments))

    def call(self, name: Name, arguments: list[Callable[[], Any]]) -> Any:
        if name.name in ("and", "or"):  # they stop at the first that decides
            value: Any = None
            for argument in arguments:
                value = argument()
                if truth(value) == (name.name == "or"):
                    return value
            return value
        if name.name not in self.functions:
            raise syntax_error(f'function "{name.name}" not defined', self.source, name.at)
        try:
            return self.functions[name.name](*(argument() for argument in arguments))
        except MinirtError:
            raise
        except (TypeError, ValueError, LookupError) as error:
            raise self.fail(f"error calling {name.name}: {error}", name.at) from error

    def operand(self, operand: Any, dot: Any, *, callable_ok: bool = False) -> Any:
        match operand:
            case Literal(value):
                return value
            case Variable():
                return self.variable(operand)
            case Name():
                return self.call(operand, [])
            case Pipeline():
                return self.pipeline(operand, dot)
            case Chain(base, fields, at):
                value = dot if base is None else self.operand(base, dot)
                for name in fields:
                    value = self.field(value, name, at, fields)
                if callable(value) and not callable_ok:
                    raise self.fail(f"wrong number of args for {fields[-1]}: want 1 got 0", at)
                return value
        raise AssertionError(operand)

    def variable(self, variable: Variable) -> Any:
        if variable.name not in self.variables:
            raise syntax_error(f'undefined variable "{variable.name}"', self.source, variable.at)
        return self.variables[variable.name]

    def field(self, value: Any, name: str, at: int, fields: tuple[str, ...]) -> Any:
        if isinstance(value, Mapping):
            if name in value:
                return value[name]
            if name == fields[-1] and name in (empty := omitted(value)):
                return empty[name]
            shown = "." + ".".join(fields)
            if isinstance(value, Fields):
                raise self.fail(f'executing "" at <{shown}>: can\'t evaluate field {name}', at, name, value)
            raise self.fail(f'executing "" at <{shown}>: map has no entry for key "{name}"', at, name, value)
        if value is None:
            raise self.fail(f"nil pointer evaluating .{name}", at)
        raise self.fail(f"can't evaluate field {name} in {go_text(value)!r}", at)

    def fail(self, message: str, at: int, name: str = "", known: Mapping[str, Any] | None = None) -> InvalidInput:
        error = syntax_error(message, self.source, at)
        if known:
            import difflib

            near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
            error.hint = f"Did you mean .{near[0]}?" if near else f"There are: {', '.join(sorted(known))}."
        return error
