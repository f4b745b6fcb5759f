"""``.dockerignore``: patterns one by one from a table, then files as a whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from minirt.dockerfile import Ignore
from minirt.dockerfile.globs import matcher
from minirt.errors import DockerfileError

ROWS = [
    tuple(line.split())
    for line in (Path(__file__).parent / "tables" / "paths.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]


@pytest.mark.parametrize(("pattern", "path", "answer"), ROWS)
def test_a_pattern_matches_as_the_table_says(pattern: str, path: str, answer: str) -> None:
    """Stars stop at slashes, ``**`` does not, brackets and backslashes work."""
    assert matcher(pattern)(path) == (answer == "yes")


def excluded(text: str, *paths: str) -> list[bool]:
    ignore = Ignore.parse(text)
    return [ignore.excludes(path) for path in paths]


def test_the_last_pattern_that_matches_decides() -> None:
    """``!`` takes back, and a later pattern takes away again."""
    text = "*.md\n!README*.md\nREADME-secret.md\n"
    assert excluded(text, "a.md", "README.md", "README-secret.md", "b.txt") == [True, False, True, False]
    assert excluded("!a\na\n", "a") == [True]


def test_a_directory_takes_everything_below_it() -> None:
    """A pattern that matches a directory matches its files, except those taken back."""
    text = "build\n!build/keep\nbuild/keep/not\n"
    paths = ("build", "build/x/y", "build/keep", "build/keep/a", "build/keep/not/z", "rebuild")
    assert excluded(text, *paths) == [True, True, False, False, True, False]


def test_lines_are_cleaned() -> None:
    """Comments only in the first column; spaces around, slashes in front and at the end, ``./`` and ``..`` go."""
    text = "\ufeff# a comment\n\n  /a/  \n./b/../c\n #d\r\n! e\n"
    ignore = Ignore.parse(text)
    assert [(one.text, one.includes, one.line) for one in ignore.patterns] == [
        ("a", False, 3),
        ("c", False, 4),
        ("#d", False, 5),
        ("e", True, 6),
    ]


def test_a_walk_can_skip_what_no_pattern_takes_back() -> None:
    """A directory is pruned unless a ``!`` could match below it."""
    ignore = Ignore.parse("node_modules\nbuild\n!build/out/*.js\n!*.md\n")
    assert ignore.prunes("node_modules")
    assert not ignore.prunes("build")
    assert not ignore.prunes("build/out")
    assert ignore.prunes("build/tmp")
    assert not ignore.prunes("src")
    assert not Ignore.parse("a\n!**/x\n").prunes("a")


def test_the_pattern_to_blame_is_told() -> None:
    """The last pattern that left the path out, with its line."""
    ignore = Ignore.parse("*\n!src\nsrc/*.log\n")
    blamed = ignore.excluded_by("src/a.log")
    assert blamed is not None
    assert (blamed.text, blamed.line) == ("src/*.log", 3)
    assert ignore.excluded_by("src/a.c") is None


@pytest.mark.parametrize("pattern", ["[", "a[b", "[]", "[^]", "[b-a]", "[a-", "x\\", "!"])
def test_a_malformed_pattern_is_an_error_with_its_line(pattern: str) -> None:
    """BuildKit stops too, without saying where."""
    with pytest.raises(DockerfileError) as caught:
        Ignore.parse(f"ok\n{pattern}\n")
    assert caught.value.where is not None
    assert caught.value.where.line == 2


def test_names_that_are_not_utf8_can_be_left_out() -> None:
    """Bytes of file names survive in patterns, as ``os.fsdecode`` has them."""
    assert Ignore.parse(b"caf\xe9\n").excludes("caf\udce9")


def test_exclude_flags_are_the_same_patterns() -> None:
    """``COPY --exclude`` reads its patterns with the same rules."""
    ignore = Ignore.of(["*.md", "docs/**"])
    assert [ignore.excludes(path) for path in ("a.md", "docs/x", "b")] == [True, True, False]


def test_many_double_stars_do_not_backtrack() -> None:
    """A pattern that would keep a regular expression busy for years is answered at once."""
    assert not matcher("**/a/" * 12 + "b")("a/" * 400 + "c")
    assert not matcher("*a" * 40 + "b")("a" * 400)
