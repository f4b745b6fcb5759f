"""The pieces of the click tree: docker's options and commands, read by docker's rules and explained in its words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from minirt.cli.flags import FlagShape, split
from minirt.errors import InvalidInput, MinirtError, Unsupported, UsageError

if TYPE_CHECKING:
    from minirt.cli.session import Session

__all__ = ["Command", "Flag", "absent", "command", "number", "switch", "value", "values"]

Parse = Callable[[str], Any]
# What a command function looks like: (session, arguments, **options) -> exit code, None for 0.
Body = Callable[..., int | None]


class _Value(click.ParamType[Any]):
    """Turns an option's text into a value, and a refusal into docker's sentence about it."""

    name = "value"

    def __init__(self, parse: Parse) -> None:
        self.parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self.parse(value)
        except (MinirtError, ValueError) as error:
            reason = error.what if isinstance(error, MinirtError) else str(error)
            hint = error.hint if isinstance(error, MinirtError) else ""
            name = param.shown if isinstance(param, Flag) else ""
            raise UsageError(f'invalid argument "{value}" for "{name}" flag: {reason}', hint=hint) from error


class Flag(click.Option):
    """An option of docker's: ``word`` is what its help calls the value (``list``, ``bytes``; empty for a switch)."""

    def __init__(self, long: str, short: str, help: str, *, word: str, name: str, **attributes: Any) -> None:  # noqa: A002 - click's own word
        self.long, self.short, self.word = long, short, word
        self.not_yet = str(attributes.pop("not_yet", ""))
        super().__init__([name, long, *([f"-{short}"] if short else [])], help=help, **attributes)

    @property
    def shown(self) -> str:
        return f"-{self.short}, {self.long}" if self.short else self.long

    @property
    def shape(self) -> FlagShape:
        return FlagShape(self.long[2:], self.short, bool(self.word))


def _identifier(long: str) -> str:
    return long[2:].replace("-", "_")


def switch(long: str, short: str, text: str, *, name: str = "", default: bool = False) -> Flag:
    """A switch; ``--name=false`` turns it off."""
    shown = f"{text} (default true)" if default else text
    return Flag(long, short, shown, word="", name=name or _identifier(long), type=_Value(_bool), default=default)


def value(
    long: str,
    short: str,
    text: str,
    *,
    word: str = "string",
    name: str = "",
    parse: Parse = str,
    default: Any = "",
    hidden: bool = False,
) -> Flag:
    """One value; the last one given counts. ``parse`` may raise ValueError or a MinirtError."""
    name = name or _identifier(long)
    return Flag(long, short, text, word=word, name=name, type=_Value(parse), default=default, hidden=hidden)


def values(
    long: str, short: str, text: str, *, word: str = "list", name: str = "", parse: Parse = str, hidden: bool = False
) -> Flag:
    """A value each time it is given; a tuple."""
    name = name or _identifier(long)
    return Flag(long, short, text, word=word, name=name, type=_Value(parse), multiple=True, hidden=hidden)


def number(long: str, short: str, text: str, *, name: str = "", default: int | None = None) -> Flag:
    """A whole number."""
    return value(long, short, text, word="int", name=name, parse=_int, default=default)


def absent(long: str, short: str, text: str, *, word: str = "string", why: str = "minirt does not do it yet") -> Flag:
    """An option that docker has: it is read as docker reads it, and refused by name instead of ignored."""
    name = _identifier(long)
    return Flag(long, short, text, word=word, name=name, type=_Value(str), multiple=True, not_yet=why)


def _bool(text: str) -> bool:
    if text in ("1", "t", "T", "TRUE", "true", "True"):
        return True
    if text in ("0", "f", "F", "FALSE", "false", "False"):
        return False
    raise ValueError(f'strconv.ParseBool: parsing "{text}": invalid syntax')


def _int(text: str) -> int:
    try:
        return int(text, 10)
    except ValueError:
        raise ValueError(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None


class Command(click.Command):
    """One command of the tree.

    ``usage`` stands after the name in its help; ``arity`` is (least, most) arguments, None for any number. A command
    whose arguments are themselves a command line is not ``interspersed``. ``fault`` is its exit code for faults that
    have none of their own (docker: 125 for run, else 1).
    """

    def __init__(
        self,
        name: str,
        body: Body,
        *,
        text: str,
        usage: str = "[OPTIONS]",
        arity: tuple[int, int | None] = (0, 0),
        flags: Sequence[Flag] = (),
        interspersed: bool = True,
        fault: int = 1,
        operands: str = "",
    ) -> None:
        self.usage, self.arity, self.fault, self.operands = usage, arity, fault, operands
        self.body = body
        arguments = click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED)
        super().__init__(name, params=[*flags, arguments], help=text, add_help_option=False)
        self.allow_interspersed_args = interspersed

    @property
    def flags(self) -> list[Flag]:
        return [param for param in self.params if isinstance(param, Flag)]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Raises :class:`UsageError` (exit code 125 for flags, 1 for the number of arguments) and Unsupported."""
        shapes = [*(flag.shape for flag in self.flags), FlagShape("help", self._help_letter(), False)]
        found, rest = split(args, shapes, interspersed=self.allow_interspersed_args)
        if any(name == "help" for name, _ in found):
            ctx.params = {"help": True}
            return []
        self._refuse_absent(ctx, found)
        normal = [f"--{name}={given}" for name, given in found]
        unread = super().parse_args(ctx, [*normal, "--", *rest])
        self._check_arity(ctx, len(rest))
        return unread

    def invoke(self, ctx: click.Context) -> int:
        session: Session = ctx.obj
        if ctx.params.get("help"):
            from minirt.cli.help import command_help

            session.print(command_help(self, ctx.info_name or "", session.columns))
            return 0
        options = {k: v for k, v in ctx.params.items() if k != "arguments" and k not in self._refused}
        return self.body(session, ctx.params["arguments"], **options) or 0

    @property
    def _refused(self) -> set[str]:
        return {flag.name for flag in self.flags if flag.not_yet and flag.name}

    def _help_letter(self) -> str:
        return "" if any(flag.short == "h" for flag in self.flags) else "h"

    def _refuse_absent(self, ctx: click.Context, found: list[tuple[str, str]]) -> None:
        refusals = {flag.long[2:]: flag.not_yet for flag in self.flags if flag.not_yet}
        for name, _ in found:
            if name in refusals:
                raise Unsupported(f"--{name} of {ctx.info_name}: {refusals[name]}", hint=f"Leave --{name} out.")

    def _check_arity(self, ctx: click.Context, count: int) -> None:
        least, most = self.arity
        if least <= count and (most is None or count <= most):
            return
        if most == 0:
            error: InvalidInput = UsageError(f"'{ctx.info_name}' accepts no arguments")
        else:
            bound = least if count < least else most
            words = "" if least == most else "at least " if count < least else "at most "
            plural = "argument" if bound == 1 else "arguments"
            error = UsageError(f"'{ctx.info_name}' requires {words}{bound} {plural}")
        error.exit_code = 1
        raise error


def command(name: str, text: str, **attributes: Any) -> Callable[[Body], Command]:
    """Decorates the function that does the work; see :class:`Command` for the attributes."""

    def decorate(body: Body) -> Command:
        return Command(name, body, text=text, **attributes)

    return decorate
