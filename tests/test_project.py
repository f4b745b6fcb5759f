"""The project's own files say the same thing in every place."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def _names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=!~; ]", entry, maxsplit=1)[0].lower().replace("_", "-") for entry in requirements}


def test_the_conda_environments_ask_for_a_python_of_pyproject() -> None:
    """The root's file asks for what pyproject.toml asks for; Binder's names one version of it, as repo2docker wants."""
    from packaging.specifiers import SpecifierSet

    wanted = PYPROJECT["project"]["requires-python"]
    assert f"python{wanted}" in yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    [python, *_] = yaml.safe_load((ROOT / "binder/environment.yml").read_text())["dependencies"]
    exact = re.fullmatch(r"python=(3\.\d+)", python)
    assert exact
    assert SpecifierSet(wanted).contains(exact[1])


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


def test_binder_reads_one_folder_and_builds_by_conda() -> None:
    """Two folders would be an error to repo2docker, and a Dockerfile among them would win over environment.yml."""
    assert not (ROOT / ".binder").exists()
    assert sorted(path.name for path in (ROOT / "binder").iterdir()) == ["apt.txt", "environment.yml", "postBuild"]


def test_scripts_for_binder_and_containers_are_sound_shell() -> None:
    """Bash can read postBuild, and it stops at the first failure."""
    assert subprocess.run(["bash", "-n", ROOT / "binder/postBuild"], check=False).returncode == 0
    assert "set -euo pipefail" in (ROOT / "binder/postBuild").read_text()


def test_the_dockerfile_passes_our_own_checks() -> None:
    """It builds on a public image, runs as uid 1000, serves JupyterLab on 8888, and no check finds anything in it."""
    from minirt.dockerfile import parse
    from minirt.dockerfile.checks import Subject, check
    from minirt.dockerfile.ignore import Ignore
    from minirt.model.platform import Platform
    from minirt.model.reference import Reference

    dockerfile = parse((ROOT / "Dockerfile").read_text())
    ignore = Ignore.parse((ROOT / ".dockerignore").read_text())
    assert not check(Subject(dockerfile, ignore=ignore, target=Platform("linux", "amd64")))
    [stage] = dockerfile.stages
    base = re.search(r"^FROM (\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert base
    assert str(Reference.parse(base[1])).startswith("docker.io/library/")
    lines = [one.original for one in stage.instructions]
    assert [line for line in lines if line.startswith(("USER", "EXPOSE"))] == ["USER 1000", "EXPOSE 8888"]
    assert lines[-1].startswith('CMD ["jupyter", "lab", "--ip=0.0.0.0", "--port=8888"')


def test_the_image_takes_the_checkout_without_its_debris() -> None:
    """.dockerignore leaves out history and caches, and nothing that the build or the notebooks need."""
    from minirt.dockerfile.ignore import Ignore

    ignore = Ignore.parse((ROOT / ".dockerignore").read_text())
    debris = [".git", ".venv", ".mypy_cache", ".hypothesis", "minirt/__pycache__", "minirt/model/__pycache__"]
    assert [path for path in debris if not ignore.excludes(path, True)] == []
    needed = ["pyproject.toml", "constraints.txt", "README.md", "LICENSE", "binder/postBuild", "binder/apt.txt"]
    needed += [f"notebooks/{path.name}" for path in (ROOT / "notebooks").glob("*.ipynb")]
    needed += ["minirt/build/plan.py", "kernel/minirt_kernel/install.py"]
    assert [path for path in needed if ignore.excludes(path, False)] == []


def test_the_dev_container_is_the_same_image() -> None:
    """It builds our Dockerfile from the root, as its user, and installs the checkout by Binder's steps."""
    folder = ROOT / ".devcontainer"
    settings = json.loads((folder / "devcontainer.json").read_text())
    assert (folder / settings["build"]["dockerfile"]).resolve() == ROOT / "Dockerfile"
    assert (folder / settings["build"]["context"]).resolve() == ROOT
    assert f"--uid 1000 --shell /bin/bash {settings['remoteUser']}" in (ROOT / "Dockerfile").read_text()
    assert (ROOT / settings["postCreateCommand"]).is_file()


def test_the_values_for_a_hub_are_true_to_the_image() -> None:
    """The values file gives YAML, the image's user, no more privilege, and settings that minirt knows."""
    from minirt.cli.settings import Settings

    values = yaml.safe_load((ROOT / "docs/classroom-values.yaml").read_text())["singleuser"]
    assert (values["uid"], values["fsGid"], values["allowPrivilegeEscalation"]) == (1000, 1000, False)
    settings = Settings.read(values["extraEnv"])
    assert str(settings.home).startswith(values["storage"]["homeMountPath"] + "/")
    assert settings.mirrors == ("http://class-registry:5000",)


def test_what_an_administrator_copies_from_the_classroom_page_is_yaml() -> None:
    """The values that lend user namespaces ask for no capability and no privilege; a shared store is read-only."""
    from minirt.cli.settings import Settings

    text = (ROOT / "docs/classroom.md").read_text()
    values, shared = (yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL))
    [mount] = shared["singleuser"]["storage"]["extraVolumeMounts"]
    assert [str(home) for home in Settings.read(shared["singleuser"]["extraEnv"]).shared_stores] == [mount["mountPath"]]
    assert mount["readOnly"] and mount["name"] == shared["singleuser"]["storage"]["extraVolumes"][0]["name"]
    assert values["singleuser"]["extraPodConfig"] == {"hostUsers": False}
    lent = values["hub"]["config"]["KubeSpawner"]["extra_container_config"]["securityContext"]
    assert lent["allowPrivilegeEscalation"] is False
    assert not {"capabilities", "privileged"} & set(lent)


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
