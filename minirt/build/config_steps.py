"""What each instruction does to the image's config and history, field by field as BuildKit does it.

Instructions come in expanded (:mod:`minirt.dockerfile.substitution`). Source: BuildKit,
``frontend/dockerfile/dockerfile2llb/convert.go``, the ``dispatch…`` functions.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from minirt.build import golang
from minirt.build.ports import exposed_ports
from minirt.build.signals import check_signal
from minirt.build.state import StageState
from minirt.dockerfile import (
    Add,
    Cmd,
    Command,
    Copy,
    Entrypoint,
    Env,
    ExecForm,
    Expose,
    Healthcheck,
    Instruction,
    Label,
    Maintainer,
    OnBuild,
    Run,
    Shell,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from minirt.errors import DockerfileError

__all__ = [
    "apply_config",
    "argv",
    "copy_text",
    "join_workdir",
    "next_workdir",
    "run_text",
    "set_variable",
    "with_label",
]

_DEFAULT_SHELL = ("/bin/sh", "-c")


def apply_config(state: StageState, instruction: Instruction) -> StageState:
    """The state after an instruction that makes no layer. ARG is the plan's business: see :mod:`.scope`."""
    return _APPLY[type(instruction)](state, instruction)


def argv(state: StageState, command: Command) -> tuple[str, ...]:
    """The program to run: the words of the exec form, or the image's shell and one text."""
    if isinstance(command, ExecForm):
        return command.words
    return (*(state.config.shell or _DEFAULT_SHELL), command.text)


def set_variable(env: tuple[str, ...], name: str, value: str) -> tuple[str, ...]:
    """``NAME=value`` in its old place if the name is there, otherwise at the end."""
    entries = list(env)
    for index, entry in enumerate(entries):
        if entry.partition("=")[0] == name:
            entries[index] = f"{name}={value}"
            return tuple(entries)
    return (*env, f"{name}={value}")


def with_label(state: StageState, labels: Mapping[str, str]) -> StageState:
    """``docker build --label``: no history, as BuildKit."""
    merged = {**state.config.labels, **labels}
    return replace(state, config=replace(state.config, labels=merged))


def next_workdir(current: str, path: str) -> str:
    """What WORKDIR makes of the working directory: an absolute path as it is written, dots and slashes included.

    Source: BuildKit's ``util/system``, ``NormalizeWorkdir``.
    """
    return path if path.startswith("/") else join_workdir(current, path)


def join_workdir(current: str, path: str) -> str:
    """The path from the working directory: absolute, without dots, without a slash at the end."""
    joined = posixpath.normpath(posixpath.join(current or "/", path))
    return "/" + joined.lstrip("/")


def run_text(state: StageState, words: tuple[str, ...]) -> str:
    """RUN's history: ``RUN |1 VERSION=2 /bin/sh -c make # buildkit``; the ARGs in scope come first."""
    values = {name: state.environment.get(name, value or "") for name, value in state.arguments}
    scope = [f"|{len(values)}", *(f"{name}={value}" for name, value in values.items())] if values else []
    return f"RUN {' '.join([*scope, *words])} # buildkit"


def copy_text(instruction: Copy | Add) -> str:
    """The history of COPY and ADD: ``COPY --chown=app a.txt /app/ # buildkit``."""
    words: list[str] = [instruction.keyword]
    if isinstance(instruction, Copy) and instruction.parents:
        words.append("--parents")
    if instruction.chown:
        words.append(f"--chown={instruction.chown}")
    if instruction.chmod:
        words.append(f"--chmod={instruction.chmod}")
    words += [*instruction.sources, *(f"<<{file.name}" for file in instruction.files), instruction.destination]
    return f"{' '.join(words)} # buildkit"


def _env(state: StageState, one: Env) -> StageState:
    config, environment, text = state.config, dict(state.environment), "ENV"
    for pair in one.pairs:
        config = replace(config, env=set_variable(config.env, pair.name, pair.value))
        environment[pair.name] = pair.value
        text += f" {pair.name}={pair.value}"
    return replace(state.configured(config, text), environment=environment)


def _label(state: StageState, one: Label) -> StageState:
    labels = {**state.config.labels, **{pair.name: pair.value for pair in one.pairs}}
    text = "LABEL" + "".join(f" {pair.name}={pair.value}" for pair in one.pairs)
    return state.configured(replace(state.config, labels=labels), text)


def _workdir(state: StageState, one: Workdir) -> StageState:
    path = next_workdir(state.config.working_dir, one.path)
    return state.configured(replace(state.config, working_dir=path), f"WORKDIR {path}")


def _user(state: StageState, one: User) -> StageState:
    return state.configured(replace(state.config, user=one.user), f"USER {one.user}")


def _expose(state: StageState, one: Expose) -> StageState:
    ports = exposed_ports(one.ports, one.location)
    together = tuple(sorted({*state.config.exposed_ports, *ports}))
    return state.configured(replace(state.config, exposed_ports=together), f"EXPOSE {golang.plain_list(ports)}")


def _volume(state: StageState, one: Volume) -> StageState:
    if "" in one.paths:
        raise DockerfileError("VOLUME specified can not be an empty string", where=one.location)
    together = tuple(sorted({*state.config.volumes, *one.paths}))
    return state.configured(replace(state.config, volumes=together), f"VOLUME {golang.plain_list(one.paths)}")


def _cmd(state: StageState, one: Cmd) -> StageState:
    words = argv(state, one.command)
    # Go leaves an empty list out of the JSON, so "CMD []" means no command at all.
    config = replace(state.config, cmd=words or None, args_escaped=True)
    return replace(state.configured(config, f"CMD {golang.quoted_list(words)}"), command_set=True)


def _entrypoint(state: StageState, one: Entrypoint) -> StageState:
    words = argv(state, one.command)
    # A CMD inherited from the base was meant for the base's entrypoint.
    cmd = state.config.cmd if state.command_set else None
    config = replace(state.config, entrypoint=words or None, cmd=cmd)
    return state.configured(config, f"ENTRYPOINT {golang.quoted_list(words)}")


def _shell(state: StageState, one: Shell) -> StageState:
    return state.configured(replace(state.config, shell=one.words), f"SHELL {golang.plain_list(one.words)}")


def _healthcheck(state: StageState, one: Healthcheck) -> StageState:
    check = one.to_config()
    return state.configured(replace(state.config, healthcheck=check), f"HEALTHCHECK {golang.healthcheck(check)}")


def _stopsignal(state: StageState, one: StopSignal) -> StageState:
    check_signal(one.signal, one.location)
    return state.configured(replace(state.config, stop_signal=one.signal), f"STOPSIGNAL {one.signal}")


def _onbuild(state: StageState, one: OnBuild) -> StageState:
    # No history: BuildKit writes none for triggers.
    return replace(state, config=replace(state.config, on_build=(*state.config.on_build, one.expression)))


def _maintainer(state: StageState, one: Maintainer) -> StageState:
    return replace(state.configured(state.config, f"MAINTAINER {one.name}"), author=one.name)


_APPLY: Mapping[type[Instruction], Callable[[StageState, Any], StageState]] = {
    Cmd: _cmd,
    Entrypoint: _entrypoint,
    Env: _env,
    Expose: _expose,
    Healthcheck: _healthcheck,
    Label: _label,
    Maintainer: _maintainer,
    OnBuild: _onbuild,
    Shell: _shell,
    StopSignal: _stopsignal,
    User: _user,
    Volume: _volume,
    Workdir: _workdir,
}


def is_config_only(instruction: Instruction) -> bool:
    """Whether it can never make a layer. ``WORKDIR /`` makes none, but that is known only when it is expanded."""
    return not isinstance(instruction, Run | Copy | Add | Workdir)
