"""minirt's own checks: what the layers of an image make of a Dockerfile."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from minirt.dockerfile.checks.findings import Finding
from minirt.dockerfile.checks.shell import ShellCommand, commands
from minirt.dockerfile.checks.variables import base_names
from minirt.dockerfile.checks.walk import Subject, step_of
from minirt.dockerfile.document import Stage
from minirt.dockerfile.instructions import Add, Copy, Env, Instruction, Run, Workdir
from minirt.dockerfile.mounts import CacheMount
from minirt.errors import InvalidReference
from minirt.model.reference import Reference

__all__ = ["check_layers"]


def check_layers(subject: Subject) -> Iterator[Finding]:
    names = base_names(subject)
    for stage in subject.dockerfile.stages:
        yield from _latest(subject, stage, names.get(stage.index, ""))
        yield from _deleted_later(stage)
        yield from _caches(stage)
        yield from _copied_early(stage)


# -- latest ------------------------------------------------------------------------------------------------


_DEEPEST = 64


def _latest(subject: Subject, stage: Stage, name: str) -> Iterator[Finding]:
    base = stage.base
    if not name or name == "scratch" or name in subject.contexts:
        return
    if subject.dockerfile.find_stage(name, before=stage.index) is not None:
        return
    try:
        reference = Reference.parse(name)
    except InvalidReference:
        return
    # minirt/base is made on the spot and has no other version.
    if reference.digest is not None or reference.tag != "latest" or name.startswith("minirt/"):
        return
    bare = name.removesuffix(":latest")
    better = base.original.replace(base.base, f"{bare}:<version>") if base.base in (name, bare) else ""
    said = "has no tag, so it means latest" if name == bare else "asks for latest"
    yield Finding("LatestBase", f"FROM {name} {said}", base.locate_base(), step_of(stage.index, 0), better)


# -- deleted in a later layer ------------------------------------------------------------------------------


def _deleted_later(stage: Stage) -> Iterator[Finding]:
    """Paths that an instruction makes, and a later RUN removes, or a directory above them."""
    makers: dict[str, Instruction] = {}
    workdir = "/"
    for index, one in enumerate(stage.instructions, start=1):
        if isinstance(one, Workdir):
            workdir = posixpath.join(workdir, one.path)
        elif isinstance(one, Copy | Add):
            _remember(makers, _destinations(one, workdir), one)
        elif isinstance(one, Run):
            removed = [path for command in commands(one) for path in _removed(command, workdir)]
            for path in dict.fromkeys(removed):
                maker = makers.get(_bare(path))
                if maker is not None:
                    yield _deleted(stage, index, one, path, maker)
            _remember(makers, [path for command in commands(one) for path in _made(command, workdir)], one)


def _remember(makers: dict[str, Instruction], paths: list[str], maker: Instruction) -> None:
    """Under the path and the directories above it, so that one look-up finds what a removal would remove."""
    for path in paths:
        here = _bare(path)
        for _ in range(_DEEPEST):
            if here in ("", "/") or makers.setdefault(here, maker) is not maker:
                break
            here = posixpath.dirname(here)


def _bare(path: str) -> str:
    return path.rstrip("/*")


def _deleted(stage: Stage, index: int, run: Run, path: str, instruction: Instruction) -> Finding:
    line = instruction.origin.first_line
    message = f"{path} is deleted here, but it was made by {instruction.keyword} in line {line}, in a layer of its own"
    better = ""
    if isinstance(instruction, Run) and not run.heredocs and not instruction.heredocs:
        # What runs in between may need the file: it has to go between them in the one RUN, too.
        between = any(isinstance(one, Run) for one in _between(stage, instruction, run))
        better = f"{instruction.original} &&{' … &&' if between else ''} {run.original.partition(' ')[2].strip()}"
    elif isinstance(instruction, Add | Copy):
        better = f"RUN --mount=type=bind,source={instruction.sources[0]},target={path} …" if instruction.sources else ""
    where = run.origin.find(path)
    return Finding("DeletedInLaterLayer", message, where, step_of(stage.index, index), better)


def _between(stage: Stage, first: Instruction, last: Instruction) -> Sequence[Instruction]:
    lines = [one.origin.first_line for one in stage.instructions]
    return stage.instructions[lines.index(first.origin.first_line) + 1 : lines.index(last.origin.first_line)]


def _absolute(path: str, workdir: str) -> str:
    return posixpath.normpath(posixpath.join(workdir, path)).replace("//", "/")


def _destinations(one: Copy | Add, workdir: str) -> list[str]:
    target = _absolute(one.destination, workdir)
    is_directory = one.destination.endswith(("/", ".")) or len(one.sources) > 1
    if not is_directory:
        return [target]
    names = [posixpath.basename(source.rstrip("/")) for source in one.sources]
    return [posixpath.join(target, name) for name in names if name not in ("", ".", "*")]


def _removed(command: ShellCommand, workdir: str) -> list[str]:
    if command.program not in ("rm", "unlink", "rmdir"):
        return []
    return [_absolute(path, workdir) for path in command.arguments if "$" not in path]


_OUTPUT_FLAGS: Mapping[str, tuple[str, ...]] = {"curl": ("-o", "--output"), "wget": ("-O", "--output-document")}


def _made(command: ShellCommand, workdir: str) -> list[str]:
    words = command.words
    paths: list[str] = []
    for flag in _OUTPUT_FLAGS.get(command.program, ()):
        paths += [after for word, after in pairwise(words) if word == flag]
    if command.program in ("touch", "mkdir", "fallocate", "truncate"):
        paths += [path for path in command.arguments if "/" in path]
    if command.program == "dd":
        paths += [word.removeprefix("of=") for word in words if word.startswith("of=")]
    if command.program in ("cp", "mv", "git") and len(command.arguments) > 1:
        paths.append(command.arguments[-1])
    if command.program in ("apt-get", "apt") and command.arguments[:1] in (("update",), ("install",)):
        paths.append("/var/lib/apt/lists/*")
    paths += [after for word, after in pairwise(words) if word in (">", ">>")]
    paths += [word.lstrip(">") for word in words if word.startswith(">") and word.lstrip(">")]
    return [_absolute(path, workdir) for path in paths if "$" not in path and "://" not in path]


def _covers(removed: str, made: str) -> bool:
    return made == removed or made.startswith(removed.rstrip("/") + "/") or made.rstrip("/*") == removed.rstrip("/*")


# -- package caches ----------------------------------------------------------------------------------------


def _caches(stage: Stage) -> Iterator[Finding]:
    environment: set[str] = set()
    for index, one in enumerate(stage.instructions, start=1):
        if isinstance(one, Env):
            environment.update(pair.name for pair in one.pairs)
        if not isinstance(one, Run):
            continue
        mounts = {mount.target.rstrip("/") for mount in one.mounts if isinstance(mount, CacheMount)}
        text = one.script or one.original
        for command in commands(one):
            found = _cache_left(command, one, text, environment)
            if found is not None and not any(_covers(mount, found[0]) or _covers(found[0], mount) for mount in mounts):
                path, better = found
                message = f"{command.program} leaves {path} in this layer"
                where = one.origin.find(command.program)
                yield Finding("PackageCacheLeft", message, where, step_of(stage.index, index), better)
                break


def _cache_left(command: ShellCommand, run: Run, text: str, environment: set[str]) -> tuple[str, str] | None:
    """The directory that keeps the downloads, and a RUN that does not keep them; ``text`` is the whole command."""
    program = command.program
    installs = command.arguments[:1] in (("install",), ("add",), ("ci",), ("update",))
    if program in ("apt-get", "apt") and installs and "/var/lib/apt/lists" not in text:
        return "/var/lib/apt/lists", f"{run.original} && rm -rf /var/lib/apt/lists/*"
    if program == "apk" and installs and "--no-cache" not in command.flags and "/var/cache/apk" not in text:
        return "/var/cache/apk", run.original.replace("apk add", "apk add --no-cache", 1)
    if program in ("yum", "dnf", "microdnf") and installs and "clean all" not in text:
        return f"/var/cache/{program}", f"{run.original} && {program} clean all"
    is_pip = program.startswith("pip") or (program.startswith("python") and command.words[:2] == ("-m", "pip"))
    if is_pip and "install" in command.arguments and "--no-cache-dir" not in command.flags:
        if "PIP_NO_CACHE_DIR" in environment:
            return None
        return "/root/.cache/pip", run.original.replace("RUN ", "RUN --mount=type=cache,target=/root/.cache/pip ", 1)
    if program == "npm" and installs and "cache clean" not in text:
        return "/root/.npm", run.original.replace("RUN ", "RUN --mount=type=cache,target=/root/.npm ", 1)
    return None


# -- everything before something slow ----------------------------------------------------------------------

_MANIFESTS: Mapping[str, str] = {
    "pip": "requirements.txt",
    "pip3": "requirements.txt",
    "poetry": "pyproject.toml poetry.lock",
    "uv": "pyproject.toml uv.lock",
    "npm": "package*.json",
    "yarn": "package.json yarn.lock",
    "pnpm": "package.json pnpm-lock.yaml",
    "bundle": "Gemfile*",
    "composer": "composer.json composer.lock",
    "go": "go.mod go.sum",
    "cargo": "Cargo.toml Cargo.lock",
    "mvn": "pom.xml",
    "apt-get": "",
    "apk": "",
    "dnf": "",
    "yum": "",
}
_INSTALLS = ("install", "ci", "add", "sync", "update", "fetch", "mod", "dependency:go-offline")


def _copied_early(stage: Stage) -> Iterator[Finding]:
    copied: tuple[int, Copy | Add] | None = None
    for index, one in enumerate(stage.instructions, start=1):
        if isinstance(one, Copy | Add) and _is_everything(one) and copied is None:
            copied = (index, one)
        elif isinstance(one, Run) and copied is not None:
            slow = next((found for found in commands(one) if _is_slow(found)), None)
            if slow is not None:
                yield _too_early(stage, *copied, one, slow)
                return


def _too_early(stage: Stage, index: int, copy: Copy | Add, run: Run, slow: ShellCommand) -> Finding:
    manifest = _MANIFESTS[slow.program]
    first = [f"COPY {manifest} ./"] if manifest else []
    better = "\n".join((*first, run.original, copy.original))
    message = (
        f"{copy.original} comes before {slow.program} in line {run.origin.first_line}: "
        f"every change of a file runs {slow.program} again"
    )
    return Finding("CopyEverythingEarly", message, copy.location, step_of(stage.index, index), better)


def _is_everything(one: Copy | Add) -> bool:
    from_context = not (isinstance(one, Copy) and one.from_)
    return from_context and any(source in (".", "./", "/", "*", "./*") for source in one.sources)


def _is_slow(command: ShellCommand) -> bool:
    return command.program in _MANIFESTS and command.arguments[:1] != () and command.arguments[0] in _INSTALLS
