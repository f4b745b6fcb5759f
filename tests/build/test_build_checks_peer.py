"""The build checks beside those of Docker's BuildKit: the same names, words, lines and number."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import docker_peer
import pytest

from minirt.dockerfile import Ignore, parse
from minirt.dockerfile.checks import Subject, check, check_options
from minirt.errors import DockerfileError
from minirt.model.platform import Platform

pytestmark = pytest.mark.peer

FOLDER = Path(__file__).parents[1] / "dockerfile" / "check_cases"
BASES = ("a:1", "b:1", "c:1", "z:1", "alpine", "alpine:3.20", "debian")
Told = list[tuple[int, str, str]]


@pytest.fixture(scope="module")
def _bases() -> Iterator[None]:
    docker_peer.need_docker()
    tags = [word for base in BASES for word in ("-t", base)]
    docker_peer.docker("build", "-q", *tags, "-", input=b"FROM scratch\nLABEL minirt.checks=1\n", check=True)
    yield
    docker_peer.docker("rmi", "-f", *BASES)


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "context").mkdir()
    (tmp_path / "context" / ".dockerignore").write_text("tmp\n")
    return tmp_path / "context"


def theirs(text: str, context: Path, *words: str) -> Told | str:
    """Docker's findings; what it says of a directive that it cannot read."""
    done = docker_peer.docker(
        "buildx", "build", "--call=check,format=json", *words, "-f", "-", str(context), input=text.encode()
    )
    if not done.stdout:
        return done.stderr.decode()
    document = json.loads(done.stdout)
    error = (document.get("buildError") or {}).get("message", "")
    assert "failed to resolve source metadata" not in error
    if "check option" in error:
        return str(error)
    found = document.get("warnings") or []
    return sorted((one["location"]["ranges"][0]["start"]["line"], one["ruleName"], one["detail"]) for one in found)


def ours(text: str, override: str | None = None) -> Told | str:
    """The findings of the checks that BuildKit has too."""
    subject = Subject(parse(text), ignore=Ignore.parse("tmp\n"), target=Platform("linux", "amd64"))
    try:
        found = check(subject, check_options(subject.dockerfile, override))
    except DockerfileError as error:
        return str(error)
    return sorted((one.location.line, one.name, one.message) for one in found if not one.ours)


@pytest.mark.usefixtures("_bases")
@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.Dockerfile")))
def test_docker_finds_the_same(name: str, context: Path) -> None:
    """Every case that has expectations, without ``# syntax=``, which docker would fetch."""
    text = re.sub("(?m)^# *syntax.*\n", "", (FOLDER / f"{name}.Dockerfile").read_text(encoding="utf-8"))
    text = (
        re.sub("@sha256:0+", "", text).replace("minirt/base", "a:1").replace("linux/arm64 a:1", "linux/arm64 scratch")
    )
    assert ours(text) == theirs(text, context)


@pytest.mark.usefixtures("_bases")
@pytest.mark.parametrize("check", ["nosuch=1", "skip", "error=maybe", "skip=a;", " skip = a ; error = true"])
def test_docker_refuses_the_same_directives(check: str, context: Path) -> None:
    """Neither reads them."""
    text = f"# check={check}\nFROM scratch\nCMD a\n"
    refused = theirs(text, context)
    assert isinstance(refused, str), refused
    assert "check option" in refused
    assert isinstance(ours(text), str)


@pytest.mark.usefixtures("_bases")
@pytest.mark.parametrize(
    "value",
    ["skip=LegacyKeyValueFormat", "skip=all", "error=false", "", "skip=MaintainerDeprecated,  JSONArgsRecommended"],
)
def test_the_build_argument_stands_in_place_of_the_directive(value: str, context: Path) -> None:
    """Also an empty one."""
    text = "# check=skip=JSONArgsRecommended;error=true\nFROM scratch\nCMD a\nENV a b\nMAINTAINER x\n"
    assert ours(text, value) == theirs(text, context, "--build-arg", f"BUILDKIT_DOCKERFILE_CHECK={value}")
