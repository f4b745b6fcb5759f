"""The help knows exactly the language that the parser knows."""

from __future__ import annotations

import re

import pytest

from minirt.dockerfile import KEYWORDS, keywords, mount_options, parse, reference
from minirt.dockerfile.flags import BOOL, FLAGS
from minirt.dockerfile.mounts import _ALIASES, _OPTIONS


def test_every_instruction_has_help_and_nothing_else_has() -> None:
    """Keywords of the parser and of the help are the same."""
    assert set(keywords()) == set(KEYWORDS)
    assert reference("onbulid") is None


@pytest.mark.parametrize("keyword", sorted(KEYWORDS))
def test_help_is_true(keyword: str) -> None:
    """Flags are those the parser takes, and the example parses as that instruction."""
    known = reference(keyword.lower())
    assert known is not None
    assert {flag.name for flag in known.flags} == {f"--{name}" for name in FLAGS.get(keyword, {})}
    for flag in known.flags:
        is_switch = FLAGS[keyword][flag.name[2:]] == BOOL
        assert is_switch or flag.value
    dockerfile = parse(known.example if keyword == "FROM" else f"FROM a\n{known.example}")
    assert dockerfile.instructions()[-1].keyword == keyword
    assert known.summary in known.markdown()


@pytest.mark.parametrize("kind", sorted(_OPTIONS))
def test_mount_options_are_those_the_parser_takes(kind: str) -> None:
    """Every option offered for a kind of mount is one of that kind."""
    names = {_ALIASES.get(option.name, option.name) for option in mount_options(kind)}
    assert names <= _OPTIONS[kind]
    assert mount_options("nosuch") == ()


def test_a_bar_in_a_flags_values_does_not_break_the_table() -> None:
    """Every row of every table has two cells: bars inside are escaped."""
    for keyword in keywords():
        shown = reference(keyword)
        assert shown is not None
        for line in shown.markdown().splitlines():
            if line.startswith("| "):
                assert len(re.split(r"(?<!\\)\|", line)) == 4, line
