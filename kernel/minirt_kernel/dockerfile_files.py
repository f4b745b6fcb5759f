"""``%dockerfile --export FILE`` and ``--import FILE``: from cells to a Dockerfile, and back."""

from __future__ import annotations

import json
import shlex
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minirt.errors import Location, MinirtError, PathNotFound, UsageError
from minirt_kernel.expansion import expand
from minirt_kernel.words import parse_words

if TYPE_CHECKING:
    from minirt_kernel.runtime import Runtime

__all__ = ["FLAGS", "Import", "cells_of", "dockerfile_line", "next_cell"]

FLAGS = {
    "--export": "write the Dockerfile that the last cell and those before it amount to: %dockerfile --export FILE",
    "--import": "turn a Dockerfile into cells, one instruction each: %dockerfile --import FILE [NOTEBOOK.ipynb]",
    "--force": "--export and --import may replace a file that is there",
}
_HINT = "Write %dockerfile --export FILE or %dockerfile --import FILE; a Dockerfile itself goes below %%dockerfile."


@dataclass(slots=True)
class Import:
    """Cells still to come: each appears below the one before it when that was built."""

    cells: list[str]
    shown: int = 0

    def take(self) -> str:
        self.shown += 1
        return self.cells[self.shown - 1]


def dockerfile_line(runtime: Runtime, options: str, line: int) -> None:
    """Carry out ``%dockerfile OPTIONS``. Raises :class:`MinirtError`."""
    where = Location("cell", line, 1, len(f"%dockerfile {options}"), f"%dockerfile {options}".rstrip())
    words = expand(parse_words(options, "cell", line), runtime.shell.user_ns, _no_substitution)
    force = "--force" in words
    words = [part for word in words if word != "--force" for part in _parted(word)]
    match words:
        case ["--export", name]:
            _export(runtime, name, force, where)
        case ["--import", name]:
            _import(runtime, name, where)
        case ["--import", name, notebook]:
            _import_to(runtime, name, Path(notebook), force, where)
        case _:
            raise UsageError("%dockerfile needs to know what to do", where=where, hint=_HINT)


def _parted(word: str) -> list[str]:
    name, equals, value = word.partition("=")
    return [name, value] if equals and name in FLAGS else [word]


def _export(runtime: Runtime, name: str, force: bool, where: Location) -> None:
    link = runtime.chain.last
    if link is None:
        raise UsageError(
            "there is nothing to export: no Dockerfile cell was built yet in this kernel",
            where=where,
            hint="Run the cells first, from the one with FROM.",
        )
    text = link.text if link.text.endswith("\n") else link.text + "\n"
    if name == "-":
        runtime.page.write("stdout", text)
        return
    _write(runtime, Path(name).expanduser(), text, force, where)
    cells = len(link.pieces)
    runtime.page.write("stdout", f"{name}: {text.count(chr(10))} lines from {cells} cell{'s'[: cells != 1]}\n")


def _write(runtime: Runtime, path: Path, text: str, force: bool, where: Location) -> None:
    """What we wrote here before may be written again; anything else only on request."""
    try:
        present = path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        present = None
    if present not in (None, text, runtime.exported.get(path.absolute())) and not force:
        raise UsageError(
            f"{path} is there already, and is not what this kernel wrote",
            where=where,
            hint="Choose another name, or add --force to replace it.",
        )
    try:
        path.write_text(text, encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise PathNotFound(f"cannot write {path}: {error.strerror}", where=where) from error
    runtime.exported[path.absolute()] = text


def _import(runtime: Runtime, name: str, where: Location) -> None:
    """The first cell appears below, and each further one when the cell above it was built."""
    cells = cells_of(Path(name).expanduser(), where)
    runtime.pending = Import(cells)
    runtime.page.write(
        "stdout", f"{name}: {len(cells)} cells. Each appears below the one before it, once that was built:\n"
    )
    runtime.page.write("stdout", "".join(f"\n{cell}\n" for cell in cells))
    next_cell(runtime)


def next_cell(runtime: Runtime) -> None:
    """Ask the front end for the next imported cell; what it cannot do leaves the text that was shown."""
    if runtime.pending is None:
        return
    runtime.shell.set_next_input(runtime.pending.take(), replace=False)
    if runtime.pending.shown == len(runtime.pending.cells):
        runtime.pending = None


def _import_to(runtime: Runtime, name: str, notebook: Path, force: bool, where: Location) -> None:
    if notebook.suffix != ".ipynb":
        raise UsageError(f"{notebook} is not the name of a notebook", where=where, hint="It ends with .ipynb.")
    cells = cells_of(Path(name).expanduser(), where)
    _write(runtime, notebook, json.dumps(_notebook(cells), indent=1, ensure_ascii=False) + "\n", force, where)
    runtime.page.write("stdout", f"{notebook}: {len(cells)} cells from {name}\n")


def _notebook(cells: list[str]) -> dict[str, Any]:
    """A notebook of format 4.5 (nbformat documentation, "The Notebook file format")."""
    spec = {"display_name": "minirt", "language": "python", "name": "minirt"}
    return {
        "cells": [
            {
                "cell_type": "code",
                "execution_count": None,
                "id": uuid.uuid5(uuid.NAMESPACE_OID, f"{number} {cell}").hex[:8],
                "metadata": {},
                "outputs": [],
                "source": cell.splitlines(keepends=True),
            }
            for number, cell in enumerate(cells)
        ],
        "metadata": {"kernelspec": spec, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def cells_of(path: Path, where: Location) -> list[str]:
    """The Dockerfile as cells: the first has all up to the first FROM, the others one instruction each.

    Put together they are the Dockerfile again, comments and all. Raises :class:`PathNotFound`,
    :class:`DockerfileError`.
    """
    from minirt.engine import dockerfile_parts

    try:
        text = path.read_bytes().decode("utf-8-sig", "surrogateescape").replace("\r\n", "\n")
    except OSError as error:
        raise PathNotFound(f"cannot read {path}: {error.strerror}", where=where) from error
    context = "" if path.parent == Path() else f" {shlex.quote(str(path.parent))}"
    first, *others = dockerfile_parts(text, path.name)
    return [f"%%dockerfile{context}\n{first}", *(f"%%dockerfile --continue\n{part}" for part in others)]


def _no_substitution(_words: object) -> str:
    raise MinirtError("%dockerfile takes names of files; $( ) is for docker lines")
