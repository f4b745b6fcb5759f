"""Shift-Tab: what the instruction, command or flag under the cursor means, as Markdown with a plain twin."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from minirt_kernel import facade
from minirt_kernel.cells import DockerCell, DockerfileCell, DockerfileLine, GraphCell, RunCell, classify
from minirt_kernel.completion import command_line
from minirt_kernel.dockerfile_files import FLAGS
from minirt_kernel.dockerfile_text import locate
from minirt_kernel.graphs import KINDS

if TYPE_CHECKING:
    from minirt_kernel.runtime import Runtime

__all__ = ["explain", "inspect_reply"]

_CONTINUE = (
    "`--continue`: the cell goes on from the last Dockerfile cell, as if both were one file; `--continue=3` from cell "
    "[3]. A cell that runs again goes on from where it did before.\n\n"
)
_DOCKERFILE = (
    "`%%dockerfile`: the cell is a Dockerfile; the context is the notebook's folder.\n\n"
    f"{_CONTINUE}The other options are those of:\n\n"
)
_RUN = "`%%run`: the cell is a script for the image's shell, in a new container. Options are those of:\n\n"


def inspect_reply(runtime: Runtime, code: str, cursor: int) -> dict[str, Any]:
    """The content of an ``inspect_reply`` (Jupyter messaging, "Introspection")."""
    text = explain(runtime, code, cursor)
    data = {"text/plain": _plain(text), "text/markdown": text} if text else {}
    return {"status": "ok", "found": bool(text), "data": data, "metadata": {}}


def explain(runtime: Runtime, code: str, cursor: int) -> str:
    """Markdown; empty when there is nothing to say."""
    from minirt.cli import help_for

    cell = classify(code, runtime.shell.user_ns.__contains__)
    tail = re.match(r"\S*", code[cursor:])
    end = cursor + (tail.end() if tail else 0)
    line = code[code.rfind("\n", 0, end) + 1 : end].lstrip()
    match cell:
        case DockerfileCell() | RunCell() if line.startswith("%%"):
            command, about = ("build", _DOCKERFILE) if isinstance(cell, DockerfileCell) else ("run", _RUN)
            words = line.split()[1:]
            if words and words[-1].startswith("--continue") and command == "build":
                return _CONTINUE
            return help_for([command, *words]) if words else about + help_for([command])
        case DockerfileCell():
            offset = len(code) - len(cell.text)
            return _instruction(cell.text, max(0, end - offset))
        case DockerCell():
            return help_for(command_line(code, end).split())
        case GraphCell():
            return "`%graph` draws:\n\n" + "\n".join(f"- `{kind}`: {text}" for kind, text in KINDS.items())
        case DockerfileLine():
            return "`%dockerfile` goes between cells and files:\n\n" + "\n".join(
                f"- `{flag}`: {text}" for flag, text in FLAGS.items()
            )
    return ""


def _instruction(text: str, end: int) -> str:
    spot = locate(text, end)
    known = facade.instruction(spot.keyword)
    if known is not None and spot.typed.startswith("--"):
        name = spot.typed.partition("=")[0]
        for flag in known.flags:
            if flag.name == name:
                value = f"={flag.value}" if flag.value else ""
                return f"**`{flag.name}{value}`** (`{known.keyword}`)\n\n{flag.summary}\n"
    found = facade.instruction(spot.typed) or known
    return found.markdown() if found is not None else ""


def _plain(markdown: str) -> str:
    """The same without Markdown's marks, for places that show text only."""
    text = re.sub(r"```\w*\n?", "", markdown)
    return re.sub(r"\*\*|`|(?<=\n)\|[-|]+\|\n", "", text)
