"""All commands at a glance: where each lives and what it says of itself, so that help needs no import.

``COMMANDS`` are named as at the top (``ps``, ``rmi``) or, where docker has no such short form, as in their group
(``image prune``). ``GROUPS`` are the management forms: other names for the same commands.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from minirt.cli.flags import did_you_mean
from minirt.errors import UsageError

if TYPE_CHECKING:
    from minirt.cli.grammar import Command

__all__ = ["COMMANDS", "GROUPS", "Entry", "Group", "Resolved", "aliases_of", "by_our_name", "load", "resolve"]


@dataclass(frozen=True, slots=True)
class Entry:
    """``module``:``attribute`` in minirt.cli.commands holds the click command."""

    module: str
    attribute: str
    text: str
    common: bool = False
    only_in_group: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    text: str
    members: Mapping[str, str]
    other_names: Mapping[str, str] = field(default_factory=dict)


def _only(module: str, attribute: str, text: str) -> Entry:
    return Entry(module, attribute, text, only_in_group=True)


COMMANDS: Mapping[str, Entry] = {
    "attach": Entry(
        "attach", "attach", "Attach local standard input, output, and error streams to a running container"
    ),
    "run": Entry("run", "run", "Create and run a new container from an image", common=True),
    "exec": Entry("execute", "exec_", "Execute a command in a running container", common=True),
    "ps": Entry("containers", "ps", "List containers", common=True),
    "build": Entry("build", "build", "Build an image from a Dockerfile", common=True),
    "pull": Entry("transfer", "pull", "Download an image from a registry", common=True),
    "images": Entry("images", "images", "List images", common=True),
    "version": Entry("system", "version", "Show the version of minirt and of what it stands on", common=True),
    "info": Entry("system", "info", "Display system-wide information", common=True),
    "commit": Entry("lifecycle", "commit", "Create a new image from a container's changes"),
    "cp": Entry("copy", "cp", "Copy files/folders between a container and the local filesystem"),
    "create": Entry("run", "create", "Create a new container"),
    "debug": Entry("debug", "debug", "Look into the files of the build step that failed"),
    "diff": Entry("containers", "diff", "Inspect changes to files or directories on a container's filesystem"),
    "events": Entry("events", "events", "Get real time events from the server"),
    "export": Entry("copy", "export", "Export a container's filesystem as a tar archive"),
    "history": Entry("images", "history", "Show the history of an image"),
    "import": Entry("copy", "import_", "Import the contents from a tarball to create a filesystem image"),
    "inspect": Entry("inspect", "inspect", "Return low-level information on Docker objects"),
    "kill": Entry("lifecycle", "kill", "Kill one or more running containers"),
    "load": Entry("transfer", "load", "Load an image from a tar archive or STDIN"),
    "logs": Entry("execute", "logs", "Fetch the logs of a container"),
    "port": Entry("ports", "port", "List port mappings or a specific mapping for the container"),
    "pause": Entry("lifecycle", "pause", "Pause all processes within one or more containers"),
    "push": Entry("transfer", "push", "Upload an image to a registry"),
    "rename": Entry("lifecycle", "rename", "Rename a container"),
    "restart": Entry("lifecycle", "restart", "Restart one or more containers"),
    "rm": Entry("lifecycle", "rm", "Remove one or more containers"),
    "rmi": Entry("image_names", "rmi", "Remove one or more images"),
    "save": Entry("transfer", "save", "Save one or more images to a tar archive (streamed to STDOUT by default)"),
    "start": Entry("lifecycle", "start", "Start one or more stopped containers"),
    "stats": Entry("stats", "stats", "Display a live stream of container(s) resource usage statistics"),
    "stop": Entry("lifecycle", "stop", "Stop one or more running containers"),
    "tag": Entry("image_names", "tag", "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE"),
    "top": Entry("top", "top", "Display the running processes of a container"),
    "unpause": Entry("lifecycle", "unpause", "Unpause all processes within one or more containers"),
    "update": Entry("update", "update", "Update configuration of one or more containers"),
    "wait": Entry("lifecycle", "wait", "Block until one or more containers stop, then print their exit codes"),
    "image inspect": _only("inspect", "image_inspect", "Display detailed information on one or more images"),
    "image prune": _only("prune", "image_prune", "Remove unused images"),
    "builder prune": _only("builder", "prune", "Remove build cache"),
    "builder du": _only("builder", "disk_usage", "Disk usage of the build cache"),
    "container inspect": _only(
        "inspect", "container_inspect", "Display detailed information on one or more containers"
    ),
    "container prune": _only("prune", "container_prune", "Remove all stopped containers"),
    "system prune": _only("prune", "system_prune", "Remove unused data"),
    "system check": _only("maintenance", "check", "Check that what lies in the home fits together"),
    "system df": _only("system", "disk_usage", "Show docker disk usage"),
    "registry serve": _only("registry", "serve", "Serve a directory of images to others, until interrupted"),
    "volume create": _only("volumes", "create", "Create a volume"),
    "volume inspect": _only("volumes", "inspect", "Display detailed information on one or more volumes"),
    "volume ls": _only("volumes", "ls", "List volumes"),
    "volume prune": _only("volumes", "prune", "Remove unused local volumes"),
    "volume rm": _only("volumes", "rm", "Remove one or more volumes"),
    "network connect": _only("networks", "connect", "Connect a container to a network"),
    "network create": _only("networks", "create", "Create a network"),
    "network disconnect": _only("networks", "disconnect", "Disconnect a container from a network"),
    "network prune": _only("networks", "prune", "Remove all unused networks"),
    "network rm": _only("networks", "rm", "Remove one or more networks"),
    "network inspect": _only("networks", "inspect", "Display detailed information on one or more networks"),
    "network ls": _only("networks", "ls", "List networks"),
}

_SAME_IN_IMAGE = ("build", "history", "import", "load", "pull", "push", "save", "tag")
_SAME_IN_CONTAINER = (
    "attach", "commit", "cp", "create", "diff", "exec", "export",
    "kill", "logs", "pause", "port", "rename", "restart", "rm", "run", "start", "stats", "stop",
    "top", "unpause", "update", "wait",
)  # fmt: skip


def _members(group: str) -> dict[str, str]:
    prefix = f"{group} "
    return {name.removeprefix(prefix): name for name in COMMANDS if name.startswith(prefix)}


GROUPS: Mapping[str, Group] = {
    "builder": Group("Manage builds", {"build": "build"} | _members("builder")),
    "buildx": Group("Docker Buildx", {"build": "build"} | _members("builder"), {"b": "build"}),
    "container": Group(
        "Manage containers",
        {name: name for name in _SAME_IN_CONTAINER} | {"ls": "ps"} | _members("container"),
        {"list": "ls", "ps": "ls", "remove": "rm"},
    ),
    "image": Group(
        "Manage images",
        {name: name for name in _SAME_IN_IMAGE} | {"ls": "images", "rm": "rmi"} | _members("image"),
        {"list": "ls", "remove": "rm"},
    ),
    "network": Group("Manage networks", _members("network"), {"list": "ls", "remove": "rm"}),
    "registry": Group("Serve images to others", _members("registry")),
    "system": Group("Manage Docker", {"info": "info", "events": "events"} | _members("system")),
    "volume": Group("Manage volumes", _members("volume"), {"list": "ls", "remove": "rm"}),
}

# Commands of docker's that are asked for and not here: said so, instead of "unknown".
NOT_HERE = (
    "ai", "bake", "checkpoint", "compose", "config", "context", "desktop", "extension", "init", "login", "logout",
    "manifest", "mcp", "model", "node", "offload", "plugin", "sbom", "scout", "search", "secret", "service", "stack",
    "swarm", "trust", "buildx create", "buildx history", "buildx imagetools", "buildx inspect", "buildx ls",
    "buildx rm", "buildx stop", "buildx use", "buildx version", "volume update",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Resolved:
    """``path`` are the words of the command as typed, ``name`` its key in COMMANDS; empty for a group alone."""

    path: tuple[str, ...]
    name: str
    rest: tuple[str, ...]


def load(name: str) -> Command:
    """The click command of a key of COMMANDS."""
    entry = COMMANDS[name]
    found: Command = getattr(importlib.import_module(f"minirt.cli.commands.{entry.module}"), entry.attribute)
    return found


def aliases_of(words: str) -> list[str]:
    """Every way to call the command that ``words`` name, as docker's help lists them."""
    try:
        name = resolve(tuple(words.split()), "").name
    except UsageError:
        return []
    spellings = []
    for group_name, group in GROUPS.items():
        own = [member for member, target in group.members.items() if target == name]
        own += [alias for alias, member in group.other_names.items() if member in own]
        spellings += [f"{group_name} {member}" for member in own]
    return spellings + ([name] if name and " " not in name else [])


def resolve(words: tuple[str, ...], program: str) -> Resolved:
    """Find the command. Raises :class:`UsageError` with exit code 1 for an unknown one."""
    if not words or words[0].startswith("-"):
        return Resolved((), "", words)
    first, rest = words[0], words[1:]
    if first in GROUPS:
        group = GROUPS[first]
        if not rest or rest[0].startswith("-"):
            return Resolved((first,), "", rest)
        member = group.other_names.get(rest[0], rest[0])
        if member in group.members:
            return Resolved((first, rest[0]), group.members[member], rest[1:])
        raise _unknown(program, f"{first} {rest[0]}", rest[0], list(group.members))
    if first in COMMANDS:
        return Resolved((first,), first, rest)
    top = [*(name for name in COMMANDS if " " not in name), *GROUPS]
    raise _unknown(program, first, first, top)


def _unknown(program: str, words: str, word: str, known: list[str]) -> UsageError:
    if word in NOT_HERE or words in NOT_HERE:
        error = UsageError(f"{program} {words}: docker has this command, minirt does not (yet)")
    else:
        error = UsageError(f"unknown command: {program} {words}", hint=did_you_mean(word, known))
    error.exit_code = 1
    return error


def by_our_name(hint: str, name: str) -> str:
    """What to type, as it is typed here: hints say ``docker ps``, and a terminal may have no docker."""
    return re.sub(rf"\bdocker (?=(?:{'|'.join((*COMMANDS, *GROUPS))})\b)", f"{name} ", hint)
