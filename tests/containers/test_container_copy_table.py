"""The path rules of ``docker cp``, cell by cell: what docker 28.5 does with each is in ``copy_table.txt``.

Not in the table is what minirt does otherwise on purpose (docs/command-line.md): docker removes a file before it
refuses the link that should replace it. ``python -m tests.containers.test_container_copy_table DIRECTORY`` writes the
table anew, where docker runs.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from minirt.cli import run
from minirt.engine import Engine
from minirt.testing.commands import Teller
from tests.conftest import MODE
from tests.containers.copying import SCRIPT, STREAM, changes, gist, host_lines, lay_out, tar_lines

TABLE = Path(__file__).with_name("copy_table.txt")
CELLS = [json.loads(line) for line in TABLE.read_text().splitlines()]
if MODE == "pod":
    # The rules are the same code; what a pod does itself is to go where something would be mounted. Each cell copies a
    # root filesystem there, and all of them take minutes.
    CELLS = [cell for at, cell in enumerate(CELLS) if at % 10 == 0 or re.search("t/(vol|bind|rovol)", cell["words"])]
IMAGE = "cp-table:1"
Run = Callable[[list[str], Path, bytes], tuple[int, bytes, str]]
# Told in other words, or found out in another order.
_SAME = {
    "no such directory": {"not a directory"},
    "not a directory": {"cannot copy directory", "no such directory"},
    "cannot overwrite": {"not a directory"},
    "invalid output path": {"no such directory"},
    "no such file or directory": {"no such directory", "invalid output path"},
}


def _outcome(tool: Run, cell: dict[str, Any], base: Path, *, owners: bool) -> dict[str, Any]:
    """What one cell comes to, in a fresh container and a fresh directory."""
    here = base / "here"
    for path in (here, base / "bind"):
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
    lay_out(here)
    options = ["--name", "box", "-v", "cpvol:/t/vol", "-v", f"{base / 'bind'}:/t/bind", "-v", "cpro:/t/rovol:ro"]
    program = ["true"] if cell["state"] == "exited" else ["sleep", "60"]
    code, _, said = tool(["create", *options, *cell["options"], IMAGE, *program], here, b"")
    assert code == 0, said
    try:
        for words in {"running": [["start"]], "exited": [["start"], ["wait"]]}.get(cell["state"], []):
            assert tool([*words, "box"], here, b"")[0] == 0
        before = host_lines(here), tar_lines(tool(["cp", "box:/t", "-"], here, b"")[1])
        code, out, said = tool(cell["words"].split(), here, STREAM)
        after = host_lines(here), tar_lines(tool(["cp", "box:/t", "-"], here, b"")[1])
        streamed = tar_lines(out) if cell["words"].endswith(" -") and not code else set()
        return {
            "code": code,
            "says": gist(said),
            "here": changes(before[0], after[0], owners=owners),
            "there": changes(before[1], after[1], owners=owners),
            "out": changes((), streamed, owners=owners),
        }
    finally:
        tool(["rm", "-fv", "box"], here, b"")
        tool(["volume", "rm", "cpvol", "cpro"], here, b"")


@pytest.fixture(scope="module")
def filled(shared_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The engine with the table's image."""
    cli = Teller(lambda: shared_engine, tmp_path_factory.mktemp("cp"))
    cli.ok("run", "--name", "cp-maker", "minirt/base", "sh", "-c", SCRIPT)
    cli.ok("commit", "cp-maker", IMAGE)
    cli.ok("rm", "cp-maker")
    yield shared_engine
    cli.ok("rmi", IMAGE)


def _minirt(engine: Engine) -> Run:
    def tool(words: list[str], cwd: Path, stdin: bytes) -> tuple[int, bytes, str]:
        session = Teller(lambda: engine, cwd).session(stdin)
        code = run(words, session)
        assert isinstance(session.stdout, io.BytesIO)
        assert isinstance(session.stderr, io.BytesIO)
        return code, session.stdout.getvalue(), session.stderr.getvalue().decode()

    return tool


def _docker(words: list[str], cwd: Path, stdin: bytes) -> tuple[int, bytes, str]:
    done = subprocess.run(["docker", *words], cwd=cwd, input=stdin, capture_output=True, check=False)
    return done.returncode, done.stdout, done.stderr.decode()


def _expected(cell: dict[str, Any], *, owners: bool) -> dict[str, Any]:
    if owners:
        return {key: cell[key] for key in ("here", "there", "out")}
    # A change of an owner alone is none where owners do not count.
    parts = {key: ([x[2:] for x in cell[key] if x[0] == "-"], [x[2:] for x in cell[key] if x[0] == "+"]) for key in
             ("here", "there", "out")}  # fmt: skip
    return {key: changes(*lines, owners=False) for key, lines in parts.items()}


def _fits(expected: str, got: str) -> bool:
    return not expected or got == expected or got in _SAME.get(expected, ())


@pytest.mark.parametrize("start", range(0, len(CELLS), 25))
def test_the_table(filled: Engine, tmp_path: Path, start: int) -> None:
    """Every cell ends with docker's tree on both sides, its exit code and the gist of its words."""
    owners = MODE == "root"
    for cell in CELLS[start : start + 25]:
        got = _outcome(_minirt(filled), cell, tmp_path, owners=owners)
        name = f"{cell['words']} ({cell['state']} {' '.join(cell['options'])})"
        assert (got["code"], *(got[key] for key in ("here", "there", "out"))) == (
            cell["code"],
            *_expected(cell, owners=owners).values(),
        ), name
        assert _fits(cell["says"], got["says"]), f"{name}: {got['says']!r}, not {cell['says']!r}"


@pytest.mark.peer
@pytest.mark.skipif(os.geteuid() != 0, reason="the table is that of root's docker")
def test_the_table_is_dockers(filled: Engine, tmp_path: Path) -> None:
    """Every ninth cell, done by the docker of this machine, is what the table says."""
    if shutil.which("docker") is None or subprocess.run(["docker", "version"], capture_output=True).returncode:
        pytest.skip("no docker daemon answers here")
    _load(filled, tmp_path)
    try:
        for cell in CELLS[::9]:
            got = _outcome(_docker, cell, tmp_path, owners=True)
            assert got == {key: cell[key] for key in got}, cell["words"]
    finally:
        subprocess.run(["docker", "rmi", "-f", IMAGE], capture_output=True)


def _load(engine: Engine, directory: Path) -> None:
    Teller(lambda: engine, directory).ok("save", "-o", str(directory / "image.tar"), IMAGE)
    assert _docker(["load", "-i", str(directory / "image.tar")], directory, b"")[0] == 0


def _write_table(base: Path) -> None:
    """The outcomes anew, where docker has the image; new cells are rows with the first three keys alone."""
    asked = [{key: cell[key] for key in ("words", "state", "options")} for cell in CELLS]
    rows = [json.dumps(cell | _outcome(_docker, cell, base, owners=True)) for cell in asked]
    TABLE.write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    _write_table(Path(sys.argv[1]))
