"""The same words, expanded by docker's BuildKit where a daemon runs here."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from minirt.dockerfile import expand, parse
from minirt.dockerfile.words import outside_quotes
from minirt.errors import DockerfileError

TABLE = Path(__file__).parent / "tables" / "expansion.txt"
VARIABLES = {
    "V": "value",
    "EMPTY": "",
    "PATHS": "/usr/lib/x.tar.gz",
    "STARS": "a*b*c",
    "N": "3",
    "한": "글",
    "REF": "V",
}
# The oldest BuildKit in use (docker 20.10) has no patterns, and no operators without a colon.
NEWER = re.compile(r"\$\{\w+(?:[-+?#%/])|:\?")

pytestmark = pytest.mark.peer


def docker(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DOCKER_BUILDKIT": "1"}
    return subprocess.run(["docker", *arguments], input=text, capture_output=True, text=True, env=environment)


@pytest.fixture(scope="module")
def buildkit() -> None:
    if shutil.which("docker") is None or docker("info").returncode != 0:
        pytest.skip("no docker daemon answers here")
    trial = docker("build", "-q", "-", text="FROM scratch\nLABEL minirt.trial=1\n")
    if trial.returncode != 0:
        pytest.skip(f"docker cannot build here: {trial.stderr.splitlines()[0]}")
    docker("image", "rm", "-f", trial.stdout.strip())


def config_of(dockerfile: str, context: Path) -> dict[str, Any]:
    """The config of the image that docker builds; the image is removed again."""
    built = docker("build", "-q", "-f", "-", str(context), text=dockerfile)
    assert built.returncode == 0, built.stderr
    image = built.stdout.strip()
    try:
        inspected = docker("image", "inspect", image)
        return json.loads(inspected.stdout)[0]["Config"]
    finally:
        docker("image", "rm", "-f", image)


def test_words_expand_as_buildkit_expands_them(buildkit: None, tmp_path: Path) -> None:
    """Every row of the table that is one word, as a label of one image."""
    words = []
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        word = line.partition("=>")[0].strip()
        if not line.startswith("#") and word and not NEWER.search(word):
            try:
                expand(word, VARIABLES)
            except DockerfileError:
                continue
            if len(outside_quotes(f"x={word}", "\\")) == 1 and not word.endswith("\\"):
                words.append(word)
    assert len(words) > 40
    lines = [f"ENV {name}={json.dumps(value, ensure_ascii=False)}" for name, value in VARIABLES.items()]
    lines += [f"LABEL l{number}={word}" for number, word in enumerate(words)]
    labels = config_of("\n".join(["FROM scratch", *lines, ""]), tmp_path)["Labels"]
    theirs = {word: labels[f"l{number}"] for number, word in enumerate(words)}
    assert {word: expand(word, VARIABLES).text for word in words} == theirs


REFUSED = [
    "ENV a", "ENV a=b c", "ENV =b", "LABEL a='x", "CMD [1]", "VOLUME []", "EXPOSE", "HEALTHCHECK CMD", "SHELL a",
    "HEALTHCHECK --interval=1us CMD a", "ONBUILD ONBUILD RUN a", "ONBUILD FROM b", "ONBUILD", "WORKDIR", "FOO x",
    "LABEL a=${}", "LABEL a=${x", "ARG =2", "CMD --x y", "COPY a", "COPY --from a b", "RUN --mount=type=foo x",
    "LABEL a=b\u00a0c", "FROM", "FROM scratch as",
]  # fmt: skip
TAKEN = [
    "LABEL a=1 \\\n# c\n\n  b=2", "LABEL a=b\\\\", "ENV a b  c", 'LABEL "a b"=c \'d\'="e f" g=\\"', "CMD [\"a\"",
    "LABEL a=\"multi \\\n   line\" b=c\\\nd", "HEALTHCHECK NONE", "ONBUILD FOO bar", "LABEL a b=c",
    "  LABEL a=b \n\tCMD x",
    "ARG a=1\nARG a\nLABEL x=$a", "ENV a=1\nENV a=2 b=$a", "LABEL é=ü", "CMD a #b", "LABEL x=1\x0by=2",
]  # fmt: skip


def build(line: str, context: Path) -> bool:
    built = docker("build", "-q", "-f", "-", str(context), text=f"FROM scratch\n{line}\n")
    if built.returncode == 0:
        docker("image", "rm", "-f", built.stdout.strip())
    return built.returncode == 0


def parses(line: str) -> bool:
    from minirt.dockerfile import expand_instruction

    try:
        for instruction in parse(f"FROM scratch\n{line}\n").instructions():
            expand_instruction(instruction, {})
    except DockerfileError:
        return False
    return True


def test_the_same_lines_are_refused(buildkit: None, tmp_path: Path) -> None:
    """What BuildKit refuses is refused, what it takes is taken."""
    (tmp_path / "a").write_text("a")
    lines = [*REFUSED, *TAKEN]
    assert {line: parses(line) for line in lines} == {line: build(line, tmp_path) for line in lines}
    assert not any(parses(line) for line in REFUSED)
