"""Completion and help for editors."""

from __future__ import annotations

import pytest

from minirt.cli import complete, help_for
from minirt.testing.commands import Teller


def _texts(teller: Teller, *typed: str) -> list[str]:
    return [completion.text for completion in complete(list(typed), teller.session())]


@pytest.mark.parametrize(
    ("typed", "some", "none"),
    [
        ([""], {"run", "image", "ps"}, {"image prune", "--all"}),
        (["im"], {"image", "images"}, {"run"}),
        (["image", ""], {"ls", "prune", "build"}, {"run"}),
        (["run", "--na"], {"--name"}, {"--rm"}),
        (["run", "-"], {"--rm", "-v", "--volume"}, {"--gpus"}),
        (["run", "--rm", "--pull", ""], {"always", "missing", "never"}, {"--rm"}),
        (["run", "--pull=a"], {"--pull=always"}, {"--pull=never"}),
        (["build", "-f", "D"], {"Dockerfile"}, {"data/"}),
        (["build", "da"], {"data/"}, {"Dockerfile"}),
        (["build", "data/"], {"data/x y"}, {"data/.hidden"}),
        (["run", "-v", "./d"], {"./data/"}, set()),
        (["run", "image", "--na"], set(), {"--name"}),
        (["nonsense", ""], set(), {"run"}),
        (["-D", "run", "--na"], {"--name"}, set()),
    ],
)
def test_without_an_engine(words: Teller, typed: list[str], some: set[str], none: set[str]) -> None:
    """Commands, flags, their values and paths are offered, and only where they can stand."""
    (words.cwd / "Dockerfile").touch()
    (words.cwd / "data").mkdir()
    (words.cwd / "data" / "x y").touch()
    (words.cwd / "data" / ".hidden").touch()
    found = set(_texts(words, *typed))
    assert some <= found
    assert not none & found


def test_names(cli: Teller) -> None:
    """Images, containers and volumes are offered by name where they are meant."""
    cli.ok("create", "--name", "sleeper", "minirt/base", "true")
    cli.ok("tag", "minirt/base", "hello:1")
    cli.ok("volume", "create", "notes")
    assert {"hello:1", "minirt/base:latest"} <= set(_texts(cli, "run", "--rm", ""))
    assert _texts(cli, "start", "sl") == ["sleeper"]
    assert _texts(cli, "run", "-v", "no") == ["notes"]
    assert {"sleeper", "hello:1", "notes"} <= set(_texts(cli, "inspect", ""))
    assert _texts(cli, "tag", "hello:1", "a", "") == []
    assert complete(["start", "sl"], cli.session())[0].kind == "container"


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (["run"], "**`docker run`**"),
        (["run", "--name"], "**`--name`** *string*"),
        (["run", "-v", "data:/x"], "**`-v, --volume`** *list*"),
        (["run", "--na"], "**`docker run`**"),
        (["run", "--gpus"], "Not in minirt so far"),
        (["image"], "- `prune`: Remove unused images"),
        (["image", "ls"], "Also: `docker image list`, `docker images`"),
        (["imag"], "`images`: List images"),
        ([], "`run`: Create and run"),
    ],
)
def test_help(typed: list[str], says: str) -> None:
    """Help is about the flag, the command or the group under the cursor."""
    assert says in help_for(typed)
