"""Options are read by docker's rules."""

from __future__ import annotations

import pytest

from minirt.cli.flags import FlagShape, did_you_mean, split
from minirt.errors import UsageError

SHAPES = [
    FlagShape("detach", "d", False),
    FlagShape("interactive", "i", False),
    FlagShape("rm", "", False),
    FlagShape("env", "e"),
    FlagShape("name"),
]


@pytest.mark.parametrize(
    ("line", "found", "rest"),
    [
        ("--name x image", [("name", "x")], ["image"]),
        ("--name=x image", [("name", "x")], ["image"]),
        ("--name= image", [("name", "")], ["image"]),
        ("-e A=1 -eB=2 -e=C=3 image", [("env", "A=1"), ("env", "B=2"), ("env", "C=3")], ["image"]),
        ("-di image", [("detach", "true"), ("interactive", "true")], ["image"]),
        ("-die A=1 image", [("detach", "true"), ("interactive", "true"), ("env", "A=1")], ["image"]),
        ("--rm=false -d=true image", [("rm", "false"), ("detach", "true")], ["image"]),
        ("image --rm -d", [], ["image", "--rm", "-d"]),
        ("--rm -- --name", [("rm", "true")], ["--name"]),
        ("- -d", [], ["-", "-d"]),
    ],
)
def test_command_line_of_its_own(line: str, found: list[tuple[str, str]], rest: list[str]) -> None:
    """Where the arguments are a command line, everything after the first belongs to it."""
    assert split(line.split(), SHAPES, interspersed=False) == (found, rest)


def test_options_between_arguments() -> None:
    """Elsewhere options may follow arguments."""
    assert split(["image", "--rm", "other", "-d"], SHAPES) == (
        [("rm", "true"), ("detach", "true")],
        ["image", "other"],
    )


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("--foo", "unknown flag: --foo"),
        ("-z", "unknown shorthand flag: 'z' in -z"),
        ("-dz", "unknown shorthand flag: 'z' in -dz"),
        ("--name", "flag needs an argument: --name"),
        ("-e", "flag needs an argument: 'e' in -e"),
        ("--=x", "bad flag syntax: --=x"),
    ],
)
def test_mistakes(line: str, says: str) -> None:
    """Mistakes are named in docker's words."""
    with pytest.raises(UsageError) as caught:
        split(line.split(), SHAPES)
    assert caught.value.what == says


def test_near_names() -> None:
    """A near miss is answered with what was meant."""
    with pytest.raises(UsageError) as caught:
        split(["--nmae", "x"], SHAPES)
    assert caught.value.hint == "Did you mean --name?"
    with pytest.raises(UsageError) as caught:
        split(["-rm"], SHAPES)
    assert caught.value.hint == "Did you mean --rm?"
    assert did_you_mean("xyzzy", ["name"]) == ""
