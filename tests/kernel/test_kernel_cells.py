"""What a cell is, from its text alone."""

import pytest
from minirt_kernel.cells import (
    DockerCell,
    DockerfileCell,
    GraphCell,
    MistypedCell,
    PythonCell,
    RunCell,
    classify,
)

PYTHON = [
    "docker = 3",
    "docker\t= 3",
    "docker.run()",
    "docker.from_env().images.list()",
    "docker(1)",
    "docker[0]",
    "docker: int = 3",
    "docker, podman = 1, 2",
    "docker += 1",
    "docker == 3",
    "docker in tools",
    "docker is None",
    "docker if ready else None",
    "docker and podman",
    "docker not in tools",
    "docker - v",
    "docker -3",
    "docker_images = 3",
    "dockerfile = open('x')",
    "import docker",
    "from docker import from_env",
    "from x import y",
    "from x import (\n    y,\n)",
    "FROM = 3",
    "FROM == 3",
    "FROM: int = 3",
    "FROM, TO = 1, 2",
    "FROM.lower()",
    "FROM(3)",
    "FROM in names",
    "FROM is None",
    "FROM -x",
    "FROM",
    "ARG = 3\nFROM = 4",
    "ARG",
    "# FROM alpine",
    "",
    "\n\n",
    "x = 1\ndocker ps",
    "text = '''\nFROM alpine\n'''",
    "print('docker images')",
    "!docker ps",
    "%docker ps\nx = 3",
    "%time 3",
    "%%runner",
    "%graph layers\nx = 3",
    "%graphs",
    "%%bash\ndocker ps",
    "%%time\ndocker ps",
    "RUN = 3",
]


@pytest.mark.parametrize("text", PYTHON)
def test_python_stays_python(text: str) -> None:
    """Whatever Python or IPython could mean is left to them."""
    assert classify(text) == PythonCell()


DOCKERFILES = [
    "FROM alpine",
    "FROM minirt/base\nRUN true\n",
    "FROM --platform=linux/amd64 alpine AS x",
    "  FROM alpine\n  RUN x",
    "# syntax=docker/dockerfile:1\n\nFROM alpine",
    "# escape=`\nFROM alpine",
    "ARG V=1\nARG W\nFROM alpine:$V",
    "ARG V \\\n  W\nFROM alpine",
    "FROM $BASE",
    'FROM "$BASE"\nRUN true',
    "FROM scratch\nCOPY x /",
    "FROM\nRUN true",
    "FROM alpine three words",
    "FROM 3dprinter",
]


@pytest.mark.parametrize("text", DOCKERFILES)
def test_a_cell_that_starts_as_a_dockerfile_is_one(text: str) -> None:
    """FROM first, or only comments, directives and ARG before it."""
    assert classify(text) == DockerfileCell("", text, 1)


def test_the_dockerfile_magic_keeps_its_options_apart() -> None:
    """The options are the rest of the first line, the Dockerfile all that follows."""
    assert classify("%%dockerfile -t hello:1 .\nFROM x\n") == DockerfileCell("-t hello:1 .", "FROM x\n", 2)
    assert classify("\n\n  %%dockerfile\nFROM x") == DockerfileCell("", "FROM x", 4)
    assert classify("%%dockerfile") == DockerfileCell("", "", 2)


def test_the_run_magic_keeps_its_script_apart() -> None:
    """The options are the rest of the first line, the script all that follows, as it is."""
    assert classify("%%run --rm hello:1\nls /\n\necho 'x\n'") == RunCell("--rm hello:1", "ls /\n\necho 'x\n'", 2)


DOCKER = [
    "docker images",
    "docker",
    "docker -v",
    "docker --help",
    "docker info",
    "docker import x",
    "  docker ps",
    "# list\ndocker ps",
    "docker run \\\n  --rm hello:1",
    "docker ps\ndocker images",
    "$ docker ps",
    "sudo docker ps",
    "%docker ps",
    "%docker ps\n# and\n%docker images",
    "docker build -f dockerfile -t name .",
    "docker ps\nx = 3",
]


@pytest.mark.parametrize("text", DOCKER)
def test_docker_lines_are_recognised(text: str) -> None:
    """A cell whose first line is a docker command is docker commands to its end."""
    assert classify(text) == DockerCell(text)


@pytest.mark.parametrize("text", ["docker", "docker -v"])
def test_a_python_variable_named_docker_wins(text: str) -> None:
    """What is both a docker command and a whole Python expression depends on what Python knows."""
    assert classify(text, {"docker"}.__contains__) == PythonCell()


def test_graph_cells() -> None:
    """`%graph` alone in its cell is drawn without blocking the kernel."""
    assert classify("# look\n%graph layers hello:1") == GraphCell("layers hello:1", 2)
    assert classify("%graph") == GraphCell("", 1)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("%%dockerfiles -t x\nFROM scratch", "%%dockerfile"),
        ("%%RUN x\nls", "%%run"),
        ("# so\nDocker ps", "docker ps"),
        ("$ dcoker images", "docker images"),
    ],
)
def test_nearly_ours(text: str, meant: str) -> None:
    """What Python cannot read and is nearly one of ours is told so."""
    cell = classify(text)
    assert isinstance(cell, MistypedCell)
    assert cell.meant == meant


@pytest.mark.parametrize(
    "text", ["%%prun\nx()", "%%timeit\nx", "%docker ps\nx = 3", "Docker = 3", "docket in x", "Doctor who"]
)
def test_far_from_ours(text: str) -> None:
    """Python's and IPython's words are left alone."""
    assert classify(text) == PythonCell()
