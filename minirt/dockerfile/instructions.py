"""The instructions of a Dockerfile, one frozen type each.

Fields hold what was written, before variables are expanded (:mod:`minirt.dockerfile.substitution` makes the
expanded twin). Equality compares what an instruction says and not where it stands. Source: the Dockerfile
reference, and BuildKit's ``frontend/dockerfile/instructions`` where the reference is silent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from minirt.dockerfile.forms import ArgDeclaration, Command, ExecForm, Heredoc, InlineFile, Pair, ShellForm
from minirt.dockerfile.mounts import Mount
from minirt.dockerfile.source import Origin
from minirt.errors import Location
from minirt.model.config import Healthcheck as HealthConfig

__all__ = [
    "KEYWORDS",
    "Add",
    "Arg",
    "Cmd",
    "Copy",
    "Entrypoint",
    "Env",
    "Expose",
    "From",
    "Healthcheck",
    "Instruction",
    "Label",
    "Maintainer",
    "OnBuild",
    "Run",
    "Shell",
    "StopSignal",
    "User",
    "Volume",
    "Workdir",
]


@dataclass(frozen=True, slots=True)
class Instruction:
    """The base of all: where it stands, and how it was written."""

    keyword: ClassVar[str] = ""

    origin: Origin = field(compare=False, repr=False)

    @property
    def original(self) -> str:
        """The instruction on one line, continuations joined, as BuildKit shows it in its progress."""
        return self.origin.text

    @property
    def location(self) -> Location:
        return self.origin.location

    @property
    def lines(self) -> range:
        """The line numbers it takes, heredocs included."""
        return range(self.origin.first_line, self.origin.last_line + 1)


@dataclass(frozen=True, slots=True)
class From(Instruction):
    """``FROM [--platform=…] base [AS name]``. ``name`` is lower case, ``name_as_written`` is not."""

    keyword: ClassVar[str] = "FROM"

    base: str
    name: str = ""
    platform: str = ""
    name_as_written: str = ""

    def locate_base(self) -> Location:
        return self.origin.find(self.base)

    def locate_name(self) -> Location:
        spans = self.origin.words()
        return self.origin.locate(spans[-1]) if self.name else self.location


@dataclass(frozen=True, slots=True)
class Run(Instruction):
    """``RUN``. With heredocs, ``command`` is the line they stand in; :attr:`script` is what to run."""

    keyword: ClassVar[str] = "RUN"

    command: Command
    mounts: tuple[Mount, ...] = ()
    network: str = "default"
    security: str = "sandbox"
    heredocs: tuple[Heredoc, ...] = ()

    @property
    def only_heredoc(self) -> Heredoc | None:
        """The heredoc, when the command is nothing but it: its body is the script (or a file, with ``#!``)."""
        from minirt.dockerfile.heredocs import is_heredoc_word

        if self.heredocs and isinstance(self.command, ShellForm) and is_heredoc_word(self.command.text):
            return self.heredocs[0]
        return None

    @property
    def has_shebang(self) -> bool:
        """The script is to be run as a file by its own interpreter, not by the shell."""
        only = self.only_heredoc
        return only is not None and only.content.startswith("#!")

    @property
    def script(self) -> str:
        """What the shell gets: the line, the body of the only heredoc, or the line with its heredocs below it."""
        if not isinstance(self.command, ShellForm):
            return ""
        only = self.only_heredoc
        if only is not None:
            return only.body
        return self.command.text + "".join(f"\n{doc.content}{doc.name}" for doc in self.heredocs)


@dataclass(frozen=True, slots=True)
class _Transfer(Instruction):
    """What COPY and ADD share. ``sources`` are paths, patterns or (ADD) addresses; ``files`` come from heredocs."""

    sources: tuple[str, ...]
    destination: str
    files: tuple[InlineFile, ...] = ()
    chown: str = ""
    chmod: str = ""
    link: bool = False
    exclude: tuple[str, ...] = ()

    def locate_source(self, index: int) -> Location:
        """The ``index``-th path among ``sources``, also after expansion."""
        from minirt.dockerfile.words import argument_spans

        spans = [span for span in argument_spans(self.origin.text)[:-1] if not self._is_heredoc(span)]
        return self.origin.locate(spans[index]) if index < len(spans) else self.location

    def locate_destination(self) -> Location:
        from minirt.dockerfile.words import argument_spans

        spans = argument_spans(self.origin.text)
        return self.origin.locate(spans[-1]) if spans else self.location

    def _is_heredoc(self, span: tuple[int, int]) -> bool:
        from minirt.dockerfile.heredocs import is_heredoc_word

        return bool(self.files) and is_heredoc_word(self.origin.text[slice(*span)])


@dataclass(frozen=True, slots=True)
class Copy(_Transfer):
    """``COPY``. ``from_`` names a stage, an image or a build context; it is empty for the build context."""

    keyword: ClassVar[str] = "COPY"

    from_: str = ""
    parents: bool = False

    def locate_from(self) -> Location:
        return self.origin.find(self.from_)


@dataclass(frozen=True, slots=True)
class Add(_Transfer):
    """``ADD``. ``unpack`` is None unless ``--unpack`` was given: local archives unpack, downloads do not."""

    keyword: ClassVar[str] = "ADD"

    checksum: str = ""
    keep_git_dir: bool | None = None
    unpack: bool | None = None


@dataclass(frozen=True, slots=True)
class Env(Instruction):
    """``legacy`` is the form ``ENV name value``."""

    keyword: ClassVar[str] = "ENV"

    pairs: tuple[Pair, ...]
    legacy: bool = False


@dataclass(frozen=True, slots=True)
class Label(Instruction):
    keyword: ClassVar[str] = "LABEL"

    pairs: tuple[Pair, ...]
    legacy: bool = False


@dataclass(frozen=True, slots=True)
class Arg(Instruction):
    keyword: ClassVar[str] = "ARG"

    args: tuple[ArgDeclaration, ...]


@dataclass(frozen=True, slots=True)
class Workdir(Instruction):
    keyword: ClassVar[str] = "WORKDIR"

    path: str


@dataclass(frozen=True, slots=True)
class User(Instruction):
    keyword: ClassVar[str] = "USER"

    user: str


@dataclass(frozen=True, slots=True)
class Expose(Instruction):
    """``ports`` in the order of writing; words may still expand to several."""

    keyword: ClassVar[str] = "EXPOSE"

    ports: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Volume(Instruction):
    keyword: ClassVar[str] = "VOLUME"

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cmd(Instruction):
    keyword: ClassVar[str] = "CMD"

    command: Command


@dataclass(frozen=True, slots=True)
class Entrypoint(Instruction):
    keyword: ClassVar[str] = "ENTRYPOINT"

    command: Command


@dataclass(frozen=True, slots=True)
class Shell(Instruction):
    keyword: ClassVar[str] = "SHELL"

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Healthcheck(Instruction):
    """``command`` is None in ``HEALTHCHECK NONE``. Times are in nanoseconds, 0 for docker's default."""

    keyword: ClassVar[str] = "HEALTHCHECK"

    command: Command | None
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0

    def to_config(self) -> HealthConfig:
        """As the image config keeps it."""
        times = (self.interval, self.timeout, self.start_period, self.start_interval, self.retries)
        match self.command:
            case None:
                return HealthConfig(("NONE",))
            case ShellForm(text):
                return HealthConfig(("CMD-SHELL", text), *times)
            case ExecForm(words):
                return HealthConfig(("CMD", *words), *times)


@dataclass(frozen=True, slots=True)
class StopSignal(Instruction):
    keyword: ClassVar[str] = "STOPSIGNAL"

    signal: str


@dataclass(frozen=True, slots=True)
class OnBuild(Instruction):
    """``expression`` is what the image config keeps; ``inner`` is None if that cannot be parsed.

    BuildKit does not look inside before the trigger runs, so a broken trigger builds; a notice warns.
    """

    keyword: ClassVar[str] = "ONBUILD"

    expression: str
    inner: Instruction | None = None


@dataclass(frozen=True, slots=True)
class Maintainer(Instruction):
    keyword: ClassVar[str] = "MAINTAINER"

    name: str


KEYWORDS: Mapping[str, type[Instruction]] = {
    kind.keyword: kind
    for kind in (
        Add, Arg, Cmd, Copy, Entrypoint, Env, Expose, From, Healthcheck, Label, Maintainer, OnBuild, Run, Shell,
        StopSignal, User, Volume, Workdir,
    )
}  # fmt: skip
