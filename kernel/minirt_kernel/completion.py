"""Completion in cells that are not Python: instructions, flags, images, stages, variables, paths, docker's commands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minirt.errors import MinirtError
from minirt_kernel import facade
from minirt_kernel.cells import (
    Cell,
    DockerCell,
    DockerfileCell,
    DockerfileLine,
    GraphCell,
    PythonCell,
    RunCell,
    classify,
    is_begun_dockerfile,
)
from minirt_kernel.dockerfile_files import FLAGS
from minirt_kernel.dockerfile_text import Spot, locate, stage_names, variable_names
from minirt_kernel.facade import Item
from minirt_kernel.graphs import KINDS
from minirt_kernel.words import parse_commands

if TYPE_CHECKING:
    from minirt_kernel.runtime import Runtime

__all__ = ["Offer", "command_line", "complete_reply", "is_complete", "matcher_for", "offer"]


_OPENINGS = ("FROM", "docker")
"""With these words a cell becomes ours; while they are typed it still counts as Python."""


@dataclass(frozen=True, slots=True)
class Offer:
    """``items`` for the text from ``start`` up to the cursor."""

    start: int
    items: tuple[Item, ...] = ()


def offer(runtime: Runtime, code: str, cursor: int) -> Offer:
    """What may stand at ``cursor``; nothing in a Python cell."""
    begun = is_begun_dockerfile(code)
    cell = DockerfileCell("", code, 1) if begun else classify(code, runtime.shell.user_ns.__contains__)
    line_start = code.rfind("\n", 0, cursor) + 1
    line = code[line_start:cursor]
    match cell:
        case DockerfileCell() | RunCell() if line.lstrip().startswith("%%"):
            command = "build" if isinstance(cell, DockerfileCell) else "run"
            found = _docker(runtime, [command], line.lstrip().partition(" ")[2], cursor)
            return _with_continue(found, line) if command == "build" else found
        case DockerfileCell():
            return _dockerfile(runtime, cell, code, cursor)
        case DockerCell():
            return _docker(runtime, [], command_line(code, cursor), cursor)
        case GraphCell():
            return _graph(runtime, line, cursor)
        case DockerfileLine():
            return _dockerfile_line(line, cursor)
    return Offer(cursor)


def complete_reply(runtime: Runtime, code: str, cursor: int) -> dict[str, Any]:
    """The content of a ``complete_reply`` (Jupyter messaging, "Completion"), with JupyterLab's types."""
    found = offer(runtime, code, cursor)
    types = [
        {"start": found.start, "end": cursor, "text": item.text, "type": item.kind, "signature": item.note}
        for item in found.items
    ]
    return {
        "status": "ok",
        "matches": [item.text for item in found.items],
        "cursor_start": found.start,
        "cursor_end": cursor,
        "metadata": {"_jupyter_types_experimental": types},
    }


def matcher_for(runtime: Runtime) -> Callable[[Any], Any]:
    """The same for any IPython kernel, as a matcher of its completer."""
    from IPython.core.completer import SimpleCompletion, context_matcher

    @context_matcher(identifier="minirt")  # type: ignore[untyped-decorator]
    def matcher(context: Any) -> dict[str, Any]:
        lines = context.full_text.split("\n")
        cursor = sum(len(line) + 1 for line in lines[: context.cursor_line]) + context.cursor_position
        cell = classify(context.full_text, runtime.shell.user_ns.__contains__)
        if isinstance(cell, PythonCell) and not is_begun_dockerfile(context.full_text):
            typed = context.full_text[:cursor].lstrip()  # IPython insists that the text before the cursor ends so
            begun = [word for word in _OPENINGS if typed and word.startswith(typed)]
            opening = [SimpleCompletion(text=word, type="keyword") for word in begun]
            return {"completions": opening, "matched_fragment": typed, "suppress": False}
        found = offer(runtime, context.full_text, cursor)
        completions = [SimpleCompletion(text=item.text, type=item.kind) for item in found.items]
        return {
            "completions": completions,
            "matched_fragment": context.full_text[found.start : cursor],
            "suppress": True,
            "ordered": True,
        }

    found: Callable[[Any], Any] = matcher
    return found


def is_complete(cell: Cell, code: str) -> bool:
    """Whether Enter should run the cell in a console: a Dockerfile or script ends with an empty line."""
    if isinstance(cell, DockerCell):
        try:
            parse_commands(code)
        except MinirtError:
            return code.endswith("\n\n")
        return not code.rstrip(" ").endswith("\\")
    return isinstance(cell, GraphCell | DockerfileLine) or code.endswith("\n\n")


def command_line(code: str, cursor: int) -> str:
    """What stands before the cursor of the docker command around it, without the word docker."""
    lines = code[:cursor].split("\n")
    while len(lines) > 1 and lines[-2].rstrip().endswith("\\"):
        lines[-2:] = [lines[-2].rstrip()[:-1] + " " + lines[-1]]
    line = lines[-1].rpartition("&&")[2].rpartition(";")[2].lstrip()
    for ornament in ("$ ", "sudo ", "%"):
        line = line.removeprefix(ornament).lstrip()
    return line.removeprefix("docker")


def _docker(runtime: Runtime, before: list[str], line: str, cursor: int) -> Offer:
    words = line.split()
    typed = "" if not words or line[-1:].isspace() else words.pop()
    items = facade.docker_items(runtime, [*before, *words, typed])
    # docker's --flag=value: only the value is being typed, but the whole word is replaced.
    return Offer(cursor - len(typed), tuple(items))


def _with_continue(found: Offer, line: str) -> Offer:
    typed = "" if line[-1:].isspace() else line.rpartition(" ")[2]
    if not typed.startswith("-") or not "--continue".startswith(typed) or "--continue" in line.split():
        return found
    ours = Item("--continue", "flag", "Go on from the last cell's Dockerfile; --continue=3: from that of cell [3]")
    return Offer(found.start, (ours, *found.items))


def _dockerfile_line(line: str, cursor: int) -> Offer:
    words = line.split()
    typed = "" if line[-1:].isspace() else words.pop()
    if words[-1:] in (["--export"], ["--import"]):
        return _starting(typed, cursor, facade.path_items(Path(), typed))
    return _starting(typed, cursor, [Item(name, "flag", text) for name, text in FLAGS.items()])


def _graph(runtime: Runtime, line: str, cursor: int) -> Offer:
    words = line.split()
    typed = "" if line[-1:].isspace() else words.pop()
    if len(words) <= 1:
        return _starting(typed, cursor, [Item(kind, "keyword", text) for kind, text in KINDS.items()])
    return _starting(typed, cursor, facade.image_items(runtime))


def _starting(typed: str, cursor: int, items: list[Item]) -> Offer:
    return Offer(cursor - len(typed), tuple(item for item in items if item.text.startswith(typed)))


def _dockerfile(runtime: Runtime, cell: DockerfileCell, code: str, cursor: int) -> Offer:
    offset = len(code) - len(cell.text)
    spot = locate(cell.text, cursor - offset)
    if not spot.keyword:
        return _starting(spot.typed, cursor, facade.keyword_items(spot.typed))
    if spot.typed.rpartition("=")[2].startswith("$") or spot.typed.startswith("$"):
        head, _, typed = spot.typed.rpartition("$")
        names = variable_names(cell.text, spot.start)
        brace = "{" if typed.startswith("{") else ""
        items = [Item(f"{head}${brace}{name}{'}' if brace else ''}", "variable") for name in names]
        return _starting(spot.typed, cursor, items)
    if spot.typed.startswith("--"):
        return _starting(spot.typed, cursor, _flag_items(runtime, spot, cell))
    return _starting(spot.typed, cursor, _operand_items(runtime, spot, cell))


def _flag_items(runtime: Runtime, spot: Spot, cell: DockerfileCell) -> list[Item]:
    if spot.typed.startswith("--from="):
        stages = [Item(f"--from={name}", "stage") for name in stage_names(cell.text, spot.start)[:-1]]
        return [*stages, *(Item(f"--from={item.text}", "image") for item in facade.image_items(runtime))]
    known = facade.instruction(spot.keyword)
    flags = known.flags if known is not None else ()
    return [Item(flag.name + ("=" if flag.value else ""), "flag", flag.summary) for flag in flags]


def _operand_items(runtime: Runtime, spot: Spot, cell: DockerfileCell) -> list[Item]:
    operands = [word for word in spot.words if not word.startswith("--")]
    if spot.keyword == "FROM":
        if operands:
            return [Item("AS", "keyword")] if len(operands) == 1 else []
        stages = [Item(name, "stage") for name in stage_names(cell.text, spot.start) if not name.isdecimal()]
        bases = [Item("minirt/base", "image"), Item("scratch", "image")]
        return list(dict.fromkeys([*stages, *bases, *facade.image_items(runtime)]))
    if spot.keyword in ("COPY", "ADD"):
        if any(word.startswith("--from=") for word in spot.words):
            return []  # paths of another stage, which does not exist yet
        return facade.path_items(_context(cell), spot.typed)
    if spot.keyword == "ONBUILD":
        return facade.keyword_items(spot.typed)
    if spot.keyword == "HEALTHCHECK" and not operands:
        return [Item("CMD", "keyword"), Item("NONE", "keyword")]
    return []


def _context(cell: DockerfileCell) -> Path:
    """The build's context, as far as the options can be read: the last word that is no option."""
    words = cell.options.split()
    last = Path(words[-1]) if words else Path()
    return last if last.is_dir() else Path()
