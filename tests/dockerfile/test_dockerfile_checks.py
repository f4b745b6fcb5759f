"""Build checks: Dockerfiles beside what the checks say of them, and what files cannot hold.

``python test_dockerfile_checks.py`` writes the expectations anew, to be read before they are committed.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minirt.dockerfile import Ignore, parse
from minirt.dockerfile.checks import RULES, CheckOptions, Subject, check, check_options, violation
from minirt.errors import DockerfileError
from minirt.model.platform import Platform

FOLDER = Path(__file__).parent / "check_cases"
CASES = sorted(path.stem for path in FOLDER.glob("*.Dockerfile"))
AMD64 = Platform("linux", "amd64")


def report(name: str) -> str:
    """Everything that the checks say, the experimental ones included unless the file has its own options."""
    dockerfile = parse((FOLDER / f"{name}.Dockerfile").read_bytes())
    subject = Subject(dockerfile, ignore=Ignore.parse("tmp\n"), target=AMD64)
    options = None if "check" in dockerfile.directives else CheckOptions(experimental=frozenset({"all"}))
    findings = check(subject, options)
    if name in RULES:  # a file of a check's name is about that check
        findings = tuple(one for one in findings if one.name == name)
    return "\n\n".join(f"step {one.step or '-'}\n{one.explain()}" for one in findings) + "\n"


def test_many_undefined_variables_in_one_instruction() -> None:
    """Each is found at its own place, also behind longer names that start alike, and none repeats the whole line."""
    names = [f"v{number}" for number in reversed(range(7000))]
    line = f'LABEL a="{" ".join(f"${name}" for name in names)}"'
    found = [one for one in check(Subject(parse(f"FROM scratch\n{line}\n"))) if one.name == "UndefinedVar"]
    places = [line[one.location.column - 1 :].split(" ", 1)[0].rstrip('"') for one in found]
    assert places == [f"${name}" for name in names]
    assert sum(len(one.better) for one in found) < 20 * len(names)


def test_thousands_of_misspelt_names_are_looked_up_in_bounded_time() -> None:
    """Every pair of 4000 known and 4000 undefined names would be compared else."""
    known = " ".join(f"known{number}=1" for number in range(4000))
    used = "".join(f"$kmown{number}" for number in range(4000))
    compared = 0

    def counting(frame: FrameType, event: str, _: object) -> None:
        nonlocal compared
        compared += event == "call" and frame.f_code.co_name == "_edits"

    sys.setprofile(counting)
    try:
        found = check(Subject(parse(f"FROM scratch\nENV {known}\nLABEL a={used}\n")))
    finally:
        sys.setprofile(None)
    assert sum(one.name == "UndefinedVar" for one in found) == 4000
    assert found[0].message.endswith("(did you mean $known0?)")
    assert 0 < compared < 1_000_000


@pytest.mark.parametrize("name", CASES)
def test_checks_say_what_they_should(name: str) -> None:
    """Names, words, places, reasons and better lines."""
    assert report(name) == (FOLDER / f"{name}.txt").read_text(encoding="utf-8")


def test_every_check_has_a_case() -> None:
    """22 checks of BuildKit and four of our own; one needs a pulled image and is tested below."""
    assert sum(not rule.ours for rule in RULES.values()) == 22
    assert sum(rule.ours for rule in RULES.values()) == 4
    assert set(RULES) - set(CASES) == {"InvalidBaseImagePlatform"}


def test_a_base_for_another_platform_is_told() -> None:
    """Only who pulled the base knows its platform."""
    dockerfile = parse("FROM a:1\nFROM --platform=linux/arm64 b:1 AS arm64\n")
    pulled = {0: Platform("linux", "arm64"), 1: Platform("linux", "arm64")}
    (finding,) = check(Subject(dockerfile, target=AMD64, base_platforms=pulled))
    assert finding.name == "InvalidBaseImagePlatform"
    assert finding.message == (
        'Base image a:1 was pulled with platform "linux/arm64", expected "linux/amd64" for current build'
    )


def test_a_base_environment_defines_variables() -> None:
    """What the base image sets is not undefined."""
    dockerfile = parse("FROM a:1\nLABEL x=$FROM_BASE\n")
    assert [one.name for one in check(Subject(dockerfile))] == ["UndefinedVar"]
    assert check(Subject(dockerfile, base_environments={0: {"FROM_BASE": "1"}})) == ()


def test_experimental_checks_run_only_when_asked_for() -> None:
    """As in BuildKit, by name or all."""
    dockerfile = parse("FROM a:1\nCOPY tmp /\n")
    subject = Subject(dockerfile, ignore=Ignore.parse("tmp\n"))
    assert check(subject) == ()
    assert [one.name for one in check(subject, check_options(dockerfile, "experimental=CopyIgnoredFile"))] == [
        "CopyIgnoredFile"
    ]


def test_error_true_makes_an_error() -> None:
    """The first finding is where it points."""
    dockerfile = parse("# check=error=true\nFROM a:1\nMAINTAINER me\nEXPOSE 80/TCP\n")
    assert check_options(dockerfile).error
    error = violation(check(Subject(dockerfile)))
    assert error is not None
    assert error.where is not None
    assert (str(error), error.where.line) == (
        "lint violation found for rules: ExposeProtoCasing, MaintainerDeprecated",
        3,
    )
    assert violation(()) is None


@pytest.mark.parametrize("text", ["skip", "nosuch=1", "error=perhaps", "skip=a;;"])
def test_a_check_directive_that_cannot_be_read_is_an_error(text: str) -> None:
    """With its place in the file."""
    with pytest.raises(DockerfileError) as caught:
        check(Subject(parse(f"# check={text}\nFROM a:1\n")))
    assert caught.value.where is not None
    assert caught.value.where.line == 1


def test_many_heredocs_are_looked_at_once_each() -> None:
    """The text of a RUN is put together once, not once for every command in it."""
    count = 3000
    text = "FROM a:1\nRUN " + " \\\n".join(f"<<E{i}" for i in range(count)) + "\n"
    text += "".join(f"x\nE{i}\n" for i in range(count))
    calls = 0

    def counting(frame: FrameType, event: str, _: object) -> None:
        nonlocal calls
        calls += event == "call" and frame.f_code.co_name == "script"

    sys.setprofile(counting)
    try:
        check(Subject(parse(text)))
    finally:
        sys.setprofile(None)
    assert 0 < calls < 10


LINES = st.sampled_from(
    [
        "FROM a", "FROM $X AS b", "from b as C", "FROM --platform=$TARGETPLATFORM 0", "ARG X=1 TOKEN", "ENV a b c",
        "RUN rm -rf /x && apt-get install y", "RUN <<E\npip install\nE", "COPY . .", "COPY <<E /x\n$y\nE", "CMD a $b",
        "WORKDIR x", "EXPOSE 1:2/TCP $P", "LABEL a=${b:?c}", "# c", "RUN a \\\n\n b", "RUN > >> -o", "ADD /x /x/",
        "ONBUILD RUN", "MAINTAINER x", "USER ${", "SHELL []", "RUN rm", "RUN ' \" && ||", "COPY x y", "RUN rm y",
    ]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(LINES, max_size=12))
def test_checks_never_break(lines: list[str]) -> None:
    """Whatever parses can be checked, and every finding explains itself."""
    try:
        dockerfile = parse("\n".join(["FROM z:1", *lines]))
    except DockerfileError:
        return
    for finding in check(Subject(dockerfile, ignore=Ignore.parse("y")), CheckOptions(experimental=frozenset({"all"}))):
        assert finding.explain()
        assert finding.name in RULES


if __name__ == "__main__":
    for case in CASES:
        (FOLDER / f"{case}.txt").write_text(report(case), encoding="utf-8")
