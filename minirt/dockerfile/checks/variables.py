"""Checks that need the values of variables: they follow each stage as a build would, without building."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from minirt.dockerfile.checks.findings import Finding
from minirt.dockerfile.checks.ports import check_ports
from minirt.dockerfile.checks.walk import Subject, step_of
from minirt.dockerfile.document import Stage
from minirt.dockerfile.expansion import Expanded, expand
from minirt.dockerfile.instructions import Add, Arg, Copy, Env, Expose, From, Instruction, Workdir
from minirt.dockerfile.substitution import expand_instruction
from minirt.dockerfile.suggest import Misspellings
from minirt.errors import DockerfileError, InvalidPlatform, InvalidReference, Location
from minirt.model.platform import Platform
from minirt.model.reference import Reference

__all__ = ["base_names", "check_variables"]

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_VARIABLE = re.compile(r"\$\{?([A-Za-z_]\w*)", re.ASCII)
_SHOWN = 4096  # characters of an instruction that are repeated in each of its findings
# Build arguments that BuildKit knows and never makes variables of.
_SPECIAL = frozenset(("BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"))


@dataclass(slots=True)
class _Scope:
    """The variables of a stage at one point of it; ``declared`` are ARGs, with or without a value.

    ``variables`` are in the order of their last definition, and ``environment`` (the image's own) in that of their
    first, as BuildKit has them: of two names as near, it suggests the first.
    """

    variables: dict[str, str]
    environment: dict[str, str]
    guesses: Misspellings
    declared: set[str] = field(default_factory=set)
    workdir_set: bool = False

    def copy(self) -> _Scope:
        arguments = {name: value for name, value in self.variables.items() if name not in self.environment}
        return _Scope(arguments | self.environment, dict(self.environment), self.guesses, set(), self.workdir_set)

    def define(self, name: str, value: str) -> None:
        self.variables.pop(name, None)
        self.variables[name] = value


def _global_scope(subject: Subject, build_args: Mapping[str, str]) -> dict[str, str]:
    """The variables of FROM lines: predefined ones, and ARGs before the first FROM."""
    host, target = Platform.host(), subject.target
    variables = {}
    for prefix, platform in (("BUILD", host), ("TARGET", target)):
        variables[f"{prefix}PLATFORM"] = str(platform)
        variables[f"{prefix}OS"] = platform.os
        variables[f"{prefix}ARCH"] = platform.architecture
        variables[f"{prefix}VARIANT"] = platform.variant
    variables["TARGETSTAGE"] = subject.dockerfile.stages[-1].name or "default"
    for arg in subject.dockerfile.meta_args:
        expanded = expand_instruction(arg, variables, escape=subject.dockerfile.escape, build_args=build_args)
        variables.update((one.name, one.default) for one in expanded.instruction.args if one.default is not None)
    return variables


def base_names(subject: Subject) -> dict[int, str]:
    """What each FROM names once expanded, by stage index; none if the variables cannot be worked out."""
    try:
        variables = _global_scope(subject, subject.build_args)
        return {
            stage.index: expand(stage.base.base, variables, escape=subject.dockerfile.escape).text
            for stage in subject.dockerfile.stages
        }
    except DockerfileError:
        return {}


def check_variables(subject: Subject) -> Iterator[Finding]:
    """An error of expansion ends the checks that need it: the build will report it."""
    try:
        outer = _global_scope(subject, subject.build_args)
        defaults = _global_scope(subject, {})
        scopes: dict[str, _Scope] = {}
        guesses = Misspellings()
        for stage in subject.dockerfile.stages:
            base = expand(stage.base.base, outer, escape=subject.dockerfile.escape)
            yield from _check_from(subject, stage, base, (outer, defaults), guesses)
            scope = scopes[base.text].copy() if base.text in scopes else _fresh(subject, stage, guesses)
            yield from _follow(subject, stage, scope, outer)
            if stage.name:
                scopes[stage.name] = scope
    except DockerfileError:
        return


def _fresh(subject: Subject, stage: Stage, guesses: Misspellings) -> _Scope:
    environment = dict(subject.base_environments.get(stage.index, {}))
    environment.setdefault("PATH", _PATH)
    return _Scope(dict(environment), environment, guesses)


# -- FROM --------------------------------------------------------------------------------------------------


def _check_from(
    subject: Subject,
    stage: Stage,
    base: Expanded,
    scopes: tuple[Mapping[str, str], Mapping[str, str]],
    guesses: Misspellings,
) -> Iterator[Finding]:
    """``scopes`` are the variables of FROM lines, with and without build arguments."""
    written, step, (outer, defaults) = stage.base, step_of(stage.index, 0), scopes
    platform = expand(written.platform, outer, escape=subject.dockerfile.escape)
    declared = dict.fromkeys(one.name for arg in subject.dockerfile.meta_args for one in arg.args)
    for name in dict.fromkeys((*base.undefined, *platform.undefined)):
        if name not in declared:
            yield _undeclared(written, name, guesses.nearest(name, (*declared, *outer)), step)
    default = expand(written.base, defaults, escape=subject.dockerfile.escape).text
    if not _is_reference(default):
        message = f"Default value for ARG {written.base} results in empty or invalid base image name"
        yield Finding("InvalidDefaultArgInFrom", message, written.locate_base(), step)
    if platform.used == ("TARGETPLATFORM",) and not platform.undefined and platform.text == outer["TARGETPLATFORM"]:
        message = (
            f"Setting platform to predefined {written.platform} in FROM is redundant as this is the default behavior"
        )
        yield Finding("RedundantTargetPlatform", message, _platform_place(written), step, _without_platform(written))
    if written.platform and not platform.used and not platform.undefined:
        yield from _constant_platform(written, platform.text, step)
    actual = subject.base_platforms.get(stage.index)
    expected = _platform(platform.text) or subject.target
    if actual is not None and (actual.os, actual.architecture) != (expected.os, expected.architecture):
        message = f'Base image {base.text} was pulled with platform "{actual}", expected "{expected}" for current build'
        yield Finding("InvalidBaseImagePlatform", message, written.locate_base(), step)


def _undeclared(written: From, name: str, near: str, step: str) -> Finding:
    suggestion = f" (did you mean {near}?)" if near else ""
    message = f"FROM argument '{name}' is not declared{suggestion}"
    better = _respelt(written, name, near) if near else f"ARG {name}=…\n{written.original}"
    return Finding("UndefinedArgInFrom", message, written.origin.find(name), step, better)


def _respelt(written: Instruction, name: str, meant: str) -> str:
    """The instruction with the variable's name mended, and nothing else that is spelt alike."""
    return re.sub(rf"(\$\{{?){name}\b", rf"\g<1>{meant}", written.original, flags=re.ASCII)


def _is_reference(text: str) -> bool:
    try:
        Reference.parse(text)
    except InvalidReference:
        return False
    return True


def _platform(text: str) -> Platform | None:
    try:
        return Platform.parse(text) if text else None
    except InvalidPlatform:
        return None


def _constant_platform(written: From, text: str, step: str) -> Iterator[Finding]:
    """A stage whose name says the platform is meant so: ``AS build-arm64``."""
    platform = _platform(text)
    if platform is None or platform.os in written.name or platform.architecture in written.name:
        return
    message = f'FROM --platform flag should not use constant value "{text}"'
    place = _platform_place(written)
    yield Finding("FromPlatformFlagConstDisallowed", message, place, step, _without_platform(written))


def _platform_place(written: From) -> Location:
    return written.origin.find(written.platform)


def _without_platform(written: From) -> str:
    words = written.original.split()
    return " ".join(word for word in words if not word.startswith("--platform"))


# -- inside a stage ----------------------------------------------------------------------------------------


def _follow(subject: Subject, stage: Stage, scope: _Scope, outer: Mapping[str, str]) -> Iterator[Finding]:
    for index, written in enumerate(stage.instructions, start=1):
        step = step_of(stage.index, index)
        given = _given(written, {**outer, **subject.build_args}, subject.build_args)
        done = expand_instruction(written, scope.variables, escape=subject.dockerfile.escape, build_args=given)
        # BuildKit looks at the variables of EXPOSE too, and says nothing of them.
        undefined = () if isinstance(written, Expose) else done.undefined
        places = _places(written) if undefined else {}
        for name in undefined:
            if name not in scope.declared and name not in _SPECIAL:
                yield _undefined(written, name, places.get(name, written.location), scope, step)
        yield from _apply(done.instruction, scope, step)
        if isinstance(written, Expose) and isinstance(done.instruction, Expose):
            yield from check_ports(written, done.instruction, step)
        if isinstance(done.instruction, Copy | Add) and subject.ignore is not None:
            yield from _ignored(subject, done.instruction, step)


def _given(written: Instruction, outer: Mapping[str, str], build_args: Mapping[str, str]) -> dict[str, str]:
    """Values that win over an ARG's default: build arguments; without a default, also the global ARGs."""
    if not isinstance(written, Arg):
        return {}
    without = {one.name for one in written.args if one.default is None}
    return {name: value for name, value in outer.items() if name in build_args or name in without}


def _places(written: Instruction) -> dict[str, Location]:
    """Where each variable is first written, found in one pass: there may be thousands."""
    spans = {match[1]: match.span() for match in reversed(list(_VARIABLE.finditer(written.original)))}
    return {name: written.origin.locate(span) for name, span in spans.items()}


def _undefined(written: Instruction, name: str, place: Location, scope: _Scope, step: str) -> Finding:
    near = scope.guesses.nearest(name, scope.variables)
    suggestion = f" (did you mean ${near}?)" if near else ""
    message = f"Usage of undefined variable '${name}'{suggestion}"
    if len(written.original) > _SHOWN:
        better = f"${near}" if near else f"ARG {name}"
    else:
        better = _respelt(written, name, near) if near else f"ARG {name}\n{written.original}"
    return Finding("UndefinedVar", message, place, step, better)


def _apply(instruction: Instruction, scope: _Scope, step: str) -> Iterator[Finding]:
    match instruction:
        case Env(pairs=pairs):
            for pair in pairs:
                scope.define(pair.name, pair.value)
                scope.environment[pair.name] = pair.value
        case Arg(args=args):
            scope.declared.update(one.name for one in args)
            for one in args:
                if one.default is not None:
                    scope.define(one.name, one.default)
        case Workdir(path=path):
            if not path.startswith("/") and not scope.workdir_set:
                message = f'Relative workdir "{path}" can have unexpected results if the base image changes'
                yield Finding("WorkdirRelativePath", message, instruction.location, step, f"WORKDIR /{path}")
            scope.workdir_set = True


def _ignored(subject: Subject, instruction: Copy | Add, step: str) -> Iterator[Finding]:
    assert subject.ignore is not None
    if isinstance(instruction, Copy) and instruction.from_:
        return
    for index, source in enumerate(instruction.sources):
        if "://" in source:
            continue
        path = source.lstrip("/").removeprefix("./")
        blamed = subject.ignore.excluded_by(path) if path not in ("", ".") else None
        if blamed is not None:
            kind = instruction.keyword.capitalize()
            message = f'Attempting to {kind} file "{source}" that is excluded by .dockerignore'
            better = f"!{path}   (in .dockerignore, below line {blamed.line}: {blamed.text})"
            yield Finding("CopyIgnoredFile", message, instruction.locate_source(index), step, better)
