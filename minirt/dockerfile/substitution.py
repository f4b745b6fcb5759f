"""Variables in instructions: an instruction in, its expanded twin out.

Which words of which instruction expand is BuildKit's choice: ADD, ARG, COPY, ENV, EXPOSE, FROM, LABEL, STOPSIGNAL,
USER, VOLUME and WORKDIR, the options of ``RUN --mount``, and heredocs of COPY and ADD whose delimiter is not quoted.
RUN, CMD, ENTRYPOINT, SHELL, HEALTHCHECK and ONBUILD leave ``$`` to the shell, or to later.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Generic, TypeVar, cast

from minirt.dockerfile.expansion import Expanded, Mode, expand
from minirt.dockerfile.forms import ArgDeclaration, Pair
from minirt.dockerfile.instructions import (
    Add,
    Arg,
    Copy,
    Env,
    Expose,
    From,
    Instruction,
    Label,
    Run,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from minirt.dockerfile.mounts import InvalidMount, Mount, UnresolvedMount, parse_mount
from minirt.errors import DockerfileError

__all__ = ["Substituted", "expand_instruction"]

_HEREDOC = Mode(quotes=False)
_I = TypeVar("_I", bound=Instruction)


@dataclass(frozen=True, slots=True)
class Substituted(Generic[_I]):
    """The expanded instruction, with the names of the variables it used and of those nobody defined."""

    instruction: _I
    used: tuple[str, ...] = ()
    undefined: tuple[str, ...] = ()


def expand_instruction(
    instruction: _I,
    variables: Mapping[str, str],
    *,
    escape: str = "\\",
    build_args: Mapping[str, str] | None = None,
) -> Substituted[_I]:
    """Expand every word of ``instruction`` that expands; ``escape`` is the Dockerfile's.

    All words see the same ``variables``: in ``ENV a=1 b=$a`` the new ``a`` is not seen. ARG is the exception, as in
    BuildKit: a default sees the names to its left, and is not looked at when ``build_args`` (``--build-arg``) gives
    the value, which then stands as the default. Raises DockerfileError.
    """
    work = _Work(instruction, variables, escape, build_args or {})
    expanded = cast(_I, work.instruction())
    return Substituted(expanded, tuple(work.used), tuple(work.undefined))


class _Work:
    def __init__(
        self, instruction: Instruction, variables: Mapping[str, str], escape: str, build_args: Mapping[str, str]
    ):
        self.written = instruction
        self.variables = variables
        self.build_args = build_args
        self.escape = escape
        self.used: dict[str, None] = {}
        self.undefined: dict[str, None] = {}

    def expand(self, word: str) -> Expanded:
        if not word:
            return Expanded("")
        try:
            return self.note(expand(word, self.variables, escape=self.escape))
        except DockerfileError as error:
            raise self.placed(error, word) from None

    def placed(self, error: DockerfileError, word: str) -> DockerfileError:
        """The error in the Dockerfile instead of in the word: looked for only now, for it takes a search."""
        place, within = self.written.origin.find(word), error.where
        if within is not None and place.text.startswith(word, place.column - 1):
            place = replace(place, column=place.column + within.column - 1, length=within.length)
        return DockerfileError(error.what, where=place, cause=error.cause, hint=error.hint)

    def note(self, done: Expanded) -> Expanded:
        self.used.update(dict.fromkeys(done.used))
        self.undefined.update(dict.fromkeys(done.undefined))
        return done

    def text(self, word: str) -> str:
        return self.expand(word).text

    def texts(self, words: Iterable[str]) -> tuple[str, ...]:
        return tuple(self.text(word) for word in words)

    def pairs(self, pairs: Iterable[Pair]) -> tuple[Pair, ...]:
        return tuple(Pair(self.text(pair.name), self.text(pair.value)) for pair in pairs)

    def instruction(self) -> Instruction:
        match self.written:
            case From() as one:
                return replace(one, base=self.text(one.base), platform=self.text(one.platform))
            case Env() | Label() as one:
                return replace(one, pairs=self.pairs(one.pairs))
            case Arg() as one:
                return self.declarations(one)
            case Copy() | Add() as one:
                return self.transfer(one)
            case Run() as one:
                return self.run(one)
            case Expose() as one:
                return replace(one, ports=tuple(word for port in one.ports for word in self.expand(port).words))
            case Volume() as one:
                return replace(one, paths=self.texts(one.paths))
            case Workdir() as one:
                return replace(one, path=self.text(one.path))
            case User() as one:
                return replace(one, user=self.text(one.user))
            case StopSignal() as one:
                return replace(one, signal=self.text(one.signal))
            case other:
                return other

    def declarations(self, one: Arg) -> Arg:
        known = self.variables = dict(self.variables)
        done = []
        for arg in one.args:
            value = self.build_args.get(arg.name)
            if value is None and arg.default is not None:
                value = self.text(arg.default)
            if value is not None:
                known[arg.name] = value
            done.append(ArgDeclaration(arg.name, value))
        return replace(one, args=tuple(done))

    def transfer(self, one: Copy | Add) -> Copy | Add:
        files = tuple(replace(file, data=self.heredoc(file.data)) if file.expand else file for file in one.files)
        done = replace(
            one,
            sources=self.texts(one.sources),
            destination=self.text(one.destination),
            files=files,
            chown=self.text(one.chown),
            chmod=self.text(one.chmod),
        )
        return replace(done, checksum=self.text(done.checksum)) if isinstance(done, Add) else done

    def heredoc(self, data: str) -> str:
        """A body is escaped with a backslash, whatever the escape directive says."""
        return self.note(expand(data, self.variables, where=self.written.location, mode=_HEREDOC)).text

    def run(self, one: Run) -> Run:
        return replace(one, mounts=tuple(self.mount(mount) for mount in one.mounts))

    def mount(self, mount: Mount) -> Mount:
        if not isinstance(mount, UnresolvedMount):
            return mount
        try:
            return parse_mount(mount.text, self.text)
        except InvalidMount as error:
            where = self.written.origin.find(mount.text)
            raise DockerfileError(str(error), where=where, hint=error.hint) from None
