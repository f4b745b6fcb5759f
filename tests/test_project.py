"""The project's own files say the same thing in every place."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def _names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=!~; ]", entry, maxsplit=1)[0].lower().replace("_", "-") for entry in requirements}


@pytest.mark.parametrize("name", ["environment.yml", "binder/environment.yml"])
def test_conda_environments_ask_for_the_python_of_pyproject(name: str) -> None:
    """Both conda files ask for the Python that pyproject.toml asks for."""
    wanted = PYPROJECT["project"]["requires-python"]
    assert f"python{wanted}" in yaml.safe_load((ROOT / name).read_text())["dependencies"]


def test_every_way_to_install_takes_the_same_extras_and_constraints() -> None:
    """conda, Binder and make install this project itself, with the lab extra, under the same constraints."""
    [pip] = [
        d["pip"] for d in yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"] if isinstance(d, dict)
    ]
    assert pip == ["-c constraints.txt", "-e .[lab]"]
    assert (
        "pip install --quiet --no-cache-dir -c constraints.txt -e '.[lab]'" in (ROOT / "binder/postBuild").read_text()
    )
    assert "-c constraints.txt -e '.[lab,test,lint]'" in (ROOT / "Makefile").read_text()


def test_binder_files_are_those_that_repo2docker_reads() -> None:
    """The postBuild script can be executed, and apt.txt names one package a line."""
    assert (ROOT / "binder/postBuild").stat().st_mode & 0o111
    assert all(
        re.fullmatch(r"[a-z0-9.+-]+", line) for line in (ROOT / "binder/apt.txt").read_text().split("\n") if line
    )


def test_constraints_pin_everything_that_pyproject_asks_for_and_hold_no_address() -> None:
    """Each requirement has an exact version in constraints.txt, and no line says where to get it."""
    lines = (ROOT / "constraints.txt").read_text().split()
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line) for line in lines)
    project = PYPROJECT["project"]
    asked = _names(project["dependencies"]).union(
        *(_names(group) for group in project["optional-dependencies"].values())
    )
    assert asked <= _names(lines)


def test_every_dependency_has_a_line_that_says_why() -> None:
    """docs/dependencies.md names each requirement of pyproject.toml."""
    text = (ROOT / "docs/dependencies.md").read_text().lower()
    project = PYPROJECT["project"]
    asked = _names(project["dependencies"]).union(
        *(_names(group) for group in project["optional-dependencies"].values())
    )
    assert not {name for name in asked if f"`{name}" not in text}


def test_rooms_import_downward_only() -> None:
    """The contracts of import-linter hold."""
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_importing_minirt_is_cheap() -> None:
    """`import minirt` loads no room, so that tools may import it for its version."""
    code = "import sys, minirt; print(*[m for m in sys.modules if m.startswith('minirt.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_every_pin_installs_on_the_oldest_python_we_promise() -> None:
    """No pinned package asks for a later patch release than 3.11.0; distributions ship early ones for years."""
    from importlib.metadata import PackageNotFoundError, metadata

    from packaging.specifiers import SpecifierSet

    late = {}
    for name in _names((ROOT / "constraints.txt").read_text().split()):
        try:
            wanted = metadata(name).get("Requires-Python") or ""
        except PackageNotFoundError:
            continue  # for another platform
        if not SpecifierSet(wanted).contains("3.11.0"):
            late[name] = wanted
    assert not late
