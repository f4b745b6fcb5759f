"""Whatever is typed, there is an answer and never a traceback."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from minirt.cli import complete, help_for
from minirt.cli.templates import Template
from minirt.cli.tree import COMMANDS, GROUPS
from minirt.errors import InvalidInput, InvalidSpec, Unsupported
from minirt.testing.commands import Teller
from minirt.volumes.mount_flag import parse_mount
from minirt.volumes.specs import parse_tmpfs, parse_volume

WORDS = st.sampled_from(
    [
        *GROUPS, *(word for name in COMMANDS for word in name.split()),
        "-it", "--rm", "--rm=x", "-e", "A=1", "=", "--name", "-v", "/a:/b", "x:/y:z:w", "--mount", "type=bind,", "--",
        "-", "--format", "{{.ID}}", "{{", "--filter", "a=b", "-f", "--help", "-p", "80", "-n", "--foo", "", "image:1",
        "ünï €",
    ]
)  # fmt: skip
PIECES = st.sampled_from(
    [
        "{{", "}}", "{{-", "-}} ", ".", ".Id", ".State", "$x", ":=", "|", "(", ")", '"s"', "`r`", "3", " ", "if ", "x",
        "range ", "with ", "else", "end", "json ", "index ", ".Names", "len ", "printf ", "/* c */", ".Nothing",
    ]
)  # fmt: skip
DATA = {"Id": "abc", "State": {"Up": True}, "Names": ["a", "b"], "Nothing": None}


def _no_engine() -> Any:
    raise Unsupported("no engine in this test")


@settings(max_examples=300, deadline=None)
@given(argv=st.lists(st.one_of(WORDS, st.text(max_size=6)), max_size=7))
def test_any_command_line(argv: list[str]) -> None:
    """Every command line ends with an exit code, and with a reason unless it is 0; help and completion never fail."""
    teller = Teller(_no_engine, Path("/"))
    said = teller(*argv)
    assert said.code in (0, 1, 125)
    assert "internal error" not in said.err
    assert said.code == 0 or said.err
    complete(argv, teller.session())
    help_for(argv)


@settings(max_examples=300, deadline=None)
@given(text=st.lists(PIECES, max_size=14).map("".join))
def test_any_template(text: str) -> None:
    """A template gives text or an error with its place."""
    try:
        assert isinstance(Template(text).render(DATA), str)
    except InvalidInput as error:
        assert error.where is not None
        assert error.explain()


@settings(max_examples=300, deadline=None)
@given(text=st.text(alphabet="ab/:.,=~ \x00\n€-rotypemfsu", max_size=30))
def test_any_mount(text: str) -> None:
    """A mount specification gives a value with an absolute target below the root, or InvalidSpec."""
    for parse in (parse_volume, parse_mount, parse_tmpfs):
        with contextlib.suppress(InvalidSpec):
            target = parse(text).target
            assert target.startswith("/")
            assert target != "/"
            assert ".." not in target.split("/")
