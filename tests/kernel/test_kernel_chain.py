"""Cells that together are one Dockerfile: ``--continue``, ``--export``, ``--import``; the warnings under a build."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from minirt_kernel.chain import Chain, Link, Piece, Wish, read_wish

from minirt.errors import Location, UsageError

HERE = Location("cell", 1)
_ids = itertools.count()


def run(kernel: Any, cell: str, name: str = "") -> Any:
    """The cell as JupyterLab sends it: with its id, which stays when it runs again."""
    message = kernel.client.session.msg(
        "execute_request", _content(cell), metadata={"cellId": name or f"c{next(_ids)}"}
    )
    kernel.client.shell_channel.send(message)
    return kernel.collect(message["header"]["msg_id"])


def _content(cell: str) -> dict[str, Any]:
    return {
        "code": cell, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False,
        "stop_on_error": True,
    }  # fmt: skip


def answer(kernel: Any, command: str) -> str:
    reply = kernel.run(command)
    assert reply.status == "ok", reply.error
    return str(reply.text())


def exported(kernel: Any) -> str:
    return answer(kernel, "%dockerfile --export -")


def link(key: str, text: str, parent: Link | None = None, number: int = 1) -> Link:
    return Link(key, Piece(text, 2, number), parent)


def test_a_cell_goes_on_from_the_last_and_never_from_itself() -> None:
    """Run again, a cell takes the place it had; what came after it is not in it, and is not lost."""
    chain = Chain()
    first = link("a", "FROM x")
    second = link("b", "RUN b", first)
    third = link("c", "RUN c", second)
    for one in (first, second, third):
        chain.keep(one)
    assert chain.parent(Wish(), "new", HERE) is third
    assert chain.parent(Wish(), "b", HERE) is first
    assert chain.parent(Wish(), "c", HERE) is second
    changed = link("b", "RUN B", first)
    chain.keep(changed)
    assert chain.parent(Wish(), "c", HERE) is changed
    assert third.text == "FROM x\nRUN b\nRUN c"


def test_run_all_follows_the_order_of_the_page() -> None:
    """A cell put in between later is part of the Dockerfile when all cells run again."""
    chain = Chain()
    first = link("a", "FROM x")
    chain.keep(first)
    chain.keep(link("b", "RUN b", first))
    again = link("a", "FROM x")
    chain.keep(again)
    between = link("n", "RUN n", chain.parent(Wish(), "n", HERE))
    chain.keep(between)
    assert link("b", "RUN b", chain.parent(Wish(), "b", HERE)).text == "FROM x\nRUN n\nRUN b"


def test_places_are_those_of_the_cells() -> None:
    """A line of the whole Dockerfile is a line of the cell that holds it."""
    whole = link("b", "RUN b\nRUN c", link("a", "# x\nFROM x", number=7), 8)
    places = [
        (where.source, where.line) for where in map(whole.place, (Location("Dockerfile", n) for n in (1, 2, 3, 4)))
    ]
    assert places == [("cell [7]", 2), ("cell [7]", 3), ("cell", 2), ("cell", 3)]
    assert [whole.owns(line) for line in (1, 2, 3)] == [False, False, True]


def test_what_cannot_be_continued_is_said() -> None:
    """No cell yet, no such cell, not a number, the first cell itself."""
    with pytest.raises(UsageError, match="nothing to continue"):
        Chain().parent(Wish(), "a", HERE)
    chain = Chain()
    chain.keep(link("a", "FROM x", number=4))
    with pytest.raises(UsageError, match="the first of its Dockerfile"):
        chain.parent(Wish(), "a", HERE)
    with pytest.raises(UsageError, match=r"cell \[3\] built no Dockerfile"):
        chain.parent(Wish(3), "b", HERE)
    with pytest.raises(UsageError, match="not the number of a cell"):
        read_wish(["--continue=x"], HERE)
    assert read_wish(["-t", "a", "--continue=4", "."], HERE) == (Wish(4), ["-t", "a", "."])


def test_a_notebook_can_be_a_dockerfile(kernel: Any, notebook_folder: Path) -> None:
    """One instruction a cell; an earlier one that runs again forks; the Dockerfile is written to a file."""
    (notebook_folder / "ctx").mkdir(exist_ok=True)
    (notebook_folder / "ctx" / "word").write_text("word\n")
    run(kernel, "%%dockerfile --build-arg WHO=me ctx\nFROM minirt/base\nARG WHO", "1")
    two = run(kernel, "%%dockerfile --continue\nRUN echo two by $WHO > /said", "2")
    assert two.status == "ok", two.error
    assert run(kernel, "%%dockerfile --continue -t chained:1\nCOPY word /word\nCMD cat /said /word", "3").status == "ok"
    assert answer(kernel, "docker run --rm chained:1") == "two by me\nword\n"
    assert run(kernel, "%%dockerfile --continue\nRUN echo 2 by $WHO > /said", "2").status == "ok"
    assert run(kernel, "%%dockerfile --continue -t chained:2\nCOPY word /word\nCMD cat /said", "3").status == "ok"
    assert answer(kernel, "docker run --rm chained:2; docker run --rm chained:1") == "2 by me\ntwo by me\nword\n"
    dockerfile = "FROM minirt/base\nARG WHO\nRUN echo 2 by $WHO > /said\nCOPY word /word\nCMD cat /said\n"
    assert exported(kernel) == dockerfile
    assert answer(kernel, "%dockerfile --export made.Dockerfile") == "made.Dockerfile: 5 lines from 3 cells\n"
    assert (notebook_folder / "made.Dockerfile").read_text() == dockerfile
    (notebook_folder / "made.Dockerfile").write_text("my own")
    assert "is there already" in kernel.run("%dockerfile --export made.Dockerfile").error
    assert kernel.run("%dockerfile --export --force made.Dockerfile").status == "ok"


def test_a_failing_cell_is_run_again(kernel: Any) -> None:
    """The error points into the cell; nothing was added, so that the corrected cell takes its place."""
    run(kernel, "FROM minirt/base", "f1")
    failed = run(kernel, "%%dockerfile --continue\nENV A=b\nRUN exit 4", "f2")
    assert failed.status == "error"
    assert "cell, line 3" in failed.error
    assert run(kernel, "%%dockerfile --continue\nRUN true", "f2").status == "ok"
    assert exported(kernel) == "FROM minirt/base\nRUN true\n"


def test_a_dockerfile_becomes_cells(kernel: Any, notebook_folder: Path) -> None:
    """Each imported cell offers the next one; a notebook can be written at once; both are the Dockerfile again."""
    folder = notebook_folder / "imported"
    folder.mkdir(exist_ok=True)
    text = (
        "# escape=\\\n# Which one\nARG V=minirt/base\nFROM $V\n\n# Says\n# something\nRUN echo a \\\n  b > /c\n"
        "COPY <<EOF /d\nRUN no\n\nEOF\nCMD cat /c /d\n"
    )
    (folder / "Dockerfile").write_text(text)
    reply = run(kernel, "%dockerfile --import imported/Dockerfile")
    cells = []
    while payload := reply.content["payload"]:
        cells.append(payload[0]["text"])
        reply = run(kernel, cells[-1])
        assert reply.status == "ok", reply.error
    assert cells[0].startswith("%%dockerfile imported\n# escape")
    assert cells[1] == "%%dockerfile --continue\n# Says\n# something\nRUN echo a \\\n  b > /c"
    assert len(cells) == 4
    assert exported(kernel) == text.replace("$V\n\n", "$V\n")
    answer(kernel, "%dockerfile --import imported/Dockerfile made.ipynb")
    notebook = json.loads((notebook_folder / "made.ipynb").read_text())
    assert ["".join(cell["source"]) for cell in notebook["cells"]] == cells


def test_warnings_stand_below_the_picture(kernel: Any) -> None:
    """With the cell's line, the reason and the better lines; the node is marked; a cell after it does not repeat it."""
    cell = "%%dockerfile\nFROM minirt/base\nRUN touch /tmp/big\nRUN rm /tmp/big\n"
    reply = run(kernel, cell)
    assert reply.status == "ok", reply.error
    assert reply.text().endswith(
        "⚠ DeletedInLaterLayer, line 4: /tmp/big is deleted here, but it was made by RUN in line 3, in a layer of its "
        "own\n    RUN rm /tmp/big\n"
        "  Why: A layer never changes: what a later one deletes is only hidden, and its bytes still ship.\n"
        "  Better:\n    RUN touch /tmp/big && rm /tmp/big\n"
    )
    picture = [m["data"] for _, kind, m in reply.messages if kind.endswith("display_data")][-1]
    assert (
        "Warning DeletedInLaterLayer: /tmp/big is deleted here" in picture["application/vnd.minirt.graph+json"]["svg"]
    )
    assert "⚠" not in run(kernel, "%%dockerfile --continue\nENV A=1").text()


def test_a_line_of_an_earlier_cell_is_not_taken_for_this_ones(kernel: Any) -> None:
    """A cell counts its own lines; what lies in another is counted in the Dockerfile, and says so."""
    assert run(kernel, "%%dockerfile\nFROM minirt/base\nRUN echo a > /a", "l1").status == "ok"
    later = run(kernel, "%%dockerfile --continue\nRUN rm /a", "l2")
    told = "DeletedInLaterLayer, line 2: /a is deleted here, but it was made by RUN in line 2 of the Dockerfile,"
    assert told in later.text()
    picture = [m["data"] for _, kind, m in later.messages if kind.endswith("display_data")][-1]
    assert "(line 3 of the Dockerfile): /a is deleted" in picture["text/plain"]


def test_checks_can_fail_the_build(kernel: Any) -> None:
    """``# check=error=true``: nothing runs."""
    reply = kernel.run("# check=error=true\nFROM minirt/base\nRUN echo ran\nMAINTAINER me")
    assert reply.status == "error"
    assert "lint violation found for rules: MaintainerDeprecated" in reply.error
    assert "cell, line 4" in reply.error
    assert "ran" not in reply.text()


def test_completion_and_help_know_the_flags(kernel: Any) -> None:
    """Tab and Shift-Tab."""
    assert "--continue" in kernel.ask("complete", "%%dockerfile --c")["matches"]
    assert kernel.ask("complete", "%dockerfile --")["matches"] == ["--export", "--import", "--force"]
    assert "goes on from the last" in kernel.ask("inspect", "%%dockerfile --continue\n", 20)["data"]["text/plain"]
    assert "--import" in kernel.ask("inspect", "%dockerfile --export x", 12)["data"]["text/plain"]


def test_a_failed_step_can_be_looked_into(kernel: Any) -> None:
    """The error says the one line to type; it shows the files as the step left them, and as it found them."""
    failed = kernel.run("FROM minirt/base\nRUN echo half > /half; exit 3")
    assert failed.status == "error"
    assert "docker debug" in failed.error
    assert "+ /half" in answer(kernel, "docker debug")
    assert answer(kernel, "docker debug cat /half") == "half\n"
    assert "half" not in answer(kernel, "docker debug --before ls /")
    kernel.run("FROM minirt/base")
    assert "no failed step" in kernel.run("docker debug ls").error
