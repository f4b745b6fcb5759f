"""Tab, Shift-Tab and Enter in cells that are not Python. ``‸`` marks the cursor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module", autouse=True)
def something_to_name(kernel: Any, notebook_folder: Path) -> None:
    """Images, a container, a volume, and files beside the notebook."""
    (notebook_folder / "src").mkdir(exist_ok=True)
    (notebook_folder / "src" / "main.c").touch()
    (notebook_folder / "requirements.txt").touch()
    kernel.run("docker run --name completed-container minirt/base true")
    kernel.run("docker tag minirt/base completed-image:1")
    kernel.run("docker volume create completed-volume")


def complete(kernel: Any, marked: str) -> list[str]:
    """The texts of the whole line after each choice."""
    cursor = marked.index("‸")
    code = marked.replace("‸", "")
    reply = kernel.ask("complete", code, cursor)
    assert reply["status"] == "ok"
    assert reply["cursor_end"] == cursor
    start = reply["cursor_start"]
    kinds = reply["metadata"]["_jupyter_types_experimental"]
    assert [kind["text"] for kind in kinds] == reply["matches"]
    line = code.rfind("\n", 0, start) + 1
    return [code[line:start] + match for match in reply["matches"]]


@pytest.mark.parametrize(
    ("marked", "expected"),
    [
        ("FROM minirt/base\nWOR‸", ["WORKDIR"]),
        ("FROM minirt/base\nwor‸", ["workdir"]),
        ("%%dockerfile\nFR‸", ["FROM"]),
        ("FROM minirt/base\nENT‸RY", ["ENTRYPOINT"]),
        ("FROM minirt/base\nONBUILD COP‸", ["ONBUILD COPY"]),
        ("FROM minirt/b‸", ["FROM minirt/base"]),
        ("FROM completed‸", ["FROM completed-image:1"]),
        ("# syntax=x\nFROM completed‸", ["FROM completed-image:1"]),
        ("FROM minirt/base AS build\nFROM bui‸", ["FROM build"]),
        ("FROM minirt/base ‸", ["FROM minirt/base AS"]),
        ("FROM minirt/base AS one\nFROM scratch\nCOPY --fr‸", ["COPY --from="]),
        ("FROM minirt/base AS one\nFROM scratch\nCOPY --from=o‸", ["COPY --from=one"]),
        ("FROM minirt/base\nCOPY requ‸", ["COPY requirements.txt"]),
        ("FROM minirt/base\nCOPY sr‸", ["COPY src/"]),
        ("FROM minirt/base\nCOPY --chown=1 src/m‸", ["COPY --chown=1 src/main.c"]),
        ("%%dockerfile src\nFROM minirt/base\nCOPY ma‸", ["COPY main.c"]),
        ("ARG VERSION=1\nFROM minirt/base\nENV A=1 NAME=x\nRUN echo $N‸", ["RUN echo $NAME"]),
        ("FROM minirt/base\nARG VERSION\nRUN echo ${V‸", ["RUN echo ${VERSION}"]),
        ("FROM minirt/base\nRUN echo a \\\n  && echo WOR‸", []),
        ("FROM minirt/base\nHEALTHCHECK --interval=5s C‸", ["HEALTHCHECK --interval=5s CMD"]),
        ("%%dockerfile --no-c‸\nFROM x", ["%%dockerfile --no-cache"]),
        ("%%dockerfile --progress=pl‸\nFROM x", ["%%dockerfile --progress=plain"]),
        ("%%run --rm completed-im‸\nls", ["%%run --rm completed-image:1"]),
        ("%%run --wor‸ x\nls", ["%%run --workdir"]),
        ("docker im‸", ["docker image", "docker images"]),
        ("docker image pru‸", ["docker image prune"]),
        ("docker run --rm completed-i‸", ["docker run --rm completed-image:1"]),
        ("docker logs completed-c‸", ["docker logs completed-container"]),
        ("docker volume rm completed‸", ["docker volume rm completed-volume"]),
        ("docker ps\ndocker build -f requ‸ .", ["docker build -f requirements.txt"]),
        ("docker run \\\n  --hostn‸", ["  --hostname"]),
        ("docker ps && docker his‸", ["docker ps && docker history"]),
        ("%docker his‸", ["%docker history"]),
        ("%graph la‸", ["%graph layers", "%graph last"]),
        ("%graph layers completed‸", ["%graph layers completed-image:1"]),
    ],
)
def test_tab_offers_what_may_stand_there(kernel: Any, marked: str, expected: list[str]) -> None:
    """Instructions, flags, names and paths, each only where it belongs."""
    found = complete(kernel, marked)
    # The grammar may grow commands of the same beginning.
    assert [line for line in found if line in expected] == expected
    assert len(found) <= len(expected) + 2


def test_python_cells_complete_as_ever(kernel: Any) -> None:
    """Jedi's business is left to Jedi."""
    assert any(line.startswith("print") for line in complete(kernel, "import os\npri‸"))
    assert "os.getcwd" in complete(kernel, "import os\nos.getc‸")


def test_a_cell_that_is_only_begun_can_become_ours(kernel: Any) -> None:
    """The first letters of FROM, docker, and the magics."""
    assert "FROM" in complete(kernel, "FR‸")
    assert "docker" in complete(kernel, "doc‸")
    assert "%%dockerfile" in complete(kernel, "%%doc‸")
    assert "%%run" in complete(kernel, "%%ru‸")


@pytest.mark.parametrize("marked", ["FR‸OM", "ARG‸ ", "FROM\n‸", "dock‸ = 3", " FROM ‸x", "AR ‸"])
def test_tab_is_answered_whatever_is_typed(kernel: Any, marked: str) -> None:
    """A completer that fails would leave JupyterLab waiting for its answer."""
    complete(kernel, marked)


def test_names_of_images_are_offered_behind_from(kernel: Any) -> None:
    """Also when nothing of the name is typed yet, and the cell is not a Dockerfile so far."""
    assert "FROM completed-image:1" in complete(kernel, "FROM ‸")


def test_python_names_are_not_offered_in_a_dockerfile(kernel: Any) -> None:
    """Where we know nothing, nothing is offered."""
    assert complete(kernel, "FROM minirt/base\nRUN pri‸") == []


@pytest.mark.parametrize(
    ("marked", "words"),
    [
        ("FROM minirt/base\nWORK‸DIR /x", ["WORKDIR", "directory"]),
        ("FROM minirt/base\nRUN echo ‸hi", ["RUN", "layer"]),
        ("FROM minirt/base\nONBUILD CO‸PY x /", ["COPY"]),
        ("FROM a AS b\nFROM c\nCOPY --fr‸om=b /x /", ["--from"]),
        ("%%docker‸file -t x\nFROM y", ["docker build", "--tag"]),
        ("%%dockerfile --no-ca‸che\nFROM y", ["--no-cache"]),
        ("%%r‸un x\nls", ["docker run", "script"]),
        ("docker ru‸n --rm x", ["docker run", "--volume"]),
        ("docker run --r‸m x", ["--rm"]),
        ("docker‸", ["images"]),
        ("%gra‸ph", ["layers", "files", "last"]),
    ],
)
def test_shift_tab_explains_the_word_under_the_cursor(kernel: Any, marked: str, words: list[str]) -> None:
    """As Markdown, with a plain twin."""
    reply = kernel.ask("inspect", marked.replace("‸", ""), marked.index("‸"))
    assert reply["found"]
    for word in words:
        assert word in reply["data"]["text/markdown"]
    assert "**" not in reply["data"]["text/plain"]


def test_shift_tab_in_python_is_pythons(kernel: Any) -> None:
    """Signatures and docstrings."""
    reply = kernel.ask("inspect", "print", 3)
    assert reply["found"]
    assert "Prints the values" in reply["data"]["text/plain"]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("docker ps", "complete"),
        ("docker run \\", "incomplete"),
        ("docker run x sh -c 'a", "incomplete"),
        ("FROM x", "incomplete"),
        ("FROM x\nRUN y\n\n", "complete"),
        ("%%run x\nls", "incomplete"),
        ("%graph layers", "complete"),
        ("1 + 1", "complete"),
        ("if True:", "incomplete"),
    ],
)
def test_enter_runs_what_is_whole(kernel: Any, code: str, status: str) -> None:
    """In a console: docker lines at once, a Dockerfile after an empty line."""
    assert kernel.ask("is_complete", code)["status"] == status


def test_other_kernels_complete_through_ipythons_completer(kernel: Any) -> None:
    """With `%load_ext`, the same offers come from a matcher."""
    code = (
        "from IPython.core.completer import provisionalcompleter\n"
        "text = 'FROM minirt/base\\nWORKD'\n"
        "with provisionalcompleter():\n"
        "    found = [(c.text, c.start) for c in get_ipython().Completer.completions(text, len(text))]\n"
        "print(found)"
    )
    assert kernel.run(code).text() == "[('WORKDIR', 17)]\n"
