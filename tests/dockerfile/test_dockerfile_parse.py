"""The parser as a whole: stages, names, directives, notices, and where things stand."""

from __future__ import annotations

import sys

import pytest

from minirt.dockerfile import (
    Arg,
    CacheMount,
    Copy,
    Healthcheck,
    OnBuild,
    Run,
    UnresolvedMount,
    expand_instruction,
    parse,
    parse_trigger,
)
from minirt.errors import DockerfileError


def test_stages_and_meta_args_are_separated() -> None:
    """ARG before FROM is not part of a stage; every FROM opens one."""
    dockerfile = parse("ARG V=1\nFROM a AS One\nRUN x\nFROM one\n")
    assert [arg.args[0].name for arg in dockerfile.meta_args] == ["V"]
    assert [(stage.name, len(stage.instructions)) for stage in dockerfile.stages] == [("one", 1), ("", 0)]
    assert dockerfile.find_stage("ONE") is dockerfile.stages[0]
    assert dockerfile.find_stage("1") is None
    assert dockerfile.find_stage("one", before=0) is None


def test_a_source_is_found_again_under_its_word() -> None:
    """The location of a COPY source points at the very word, heredocs not counted, on a continuation line too."""
    copy = parse("FROM a\nCOPY --chown=1 <<E one \\\n   two /to/\nE\n").stages[0].instructions[0]
    assert isinstance(copy, Copy)
    assert copy.locate_source(1).draw() == "  3 |    two /to/\n    |    ^^^"
    assert (copy.locate_destination().line, copy.locate_destination().column) == (3, 8)


def test_a_line_may_have_65535_bytes_and_no_more() -> None:
    """The limit counts bytes of UTF-8, comments and heredocs included, and names the line."""
    head = "FROM a\nRUN x"
    assert parse(head + "y" * (65_535 - 5)).stages
    for text in (head + "y" * (65_536 - 5), head + "é" * 32_766, "FROM a\n#" + "x" * 65_535):
        with pytest.raises(DockerfileError, match="max allowed size of 65535") as caught:
            parse(text)
        assert caught.value.where is not None
        assert caught.value.where.line == 2


def test_many_lines_may_join_to_more() -> None:
    """The limit is for a line of the file, not for an instruction."""
    text = "FROM a\nRUN a \\\n" + ("b" * 1_000 + " \\\n") * 10_000 + "c\n"
    run = parse(text).stages[0].instructions[0]
    assert isinstance(run, Run)
    assert len(run.original) > 10_000_000
    assert run.lines == range(2, 10_004)


def test_a_place_far_down_a_long_instruction_is_exact() -> None:
    """Every character of a joined instruction knows its line."""
    words = "".join(f"  word{number} \\\n" for number in range(3_000))
    copy = parse(f"FROM a\nCOPY \\\n{words} /to/\n").stages[0].instructions[0]
    assert isinstance(copy, Copy)
    assert copy.locate_source(2_500).draw() == "  2503 |   word2500 \\\n       |   ^^^^^^^^"


def test_json_sources_are_found_again() -> None:
    """In the exec form the caret takes the quotes too."""
    copy = parse('FROM a\nCOPY --link ["a b", "c", "/to"]\n').stages[0].instructions[0]
    assert isinstance(copy, Copy)
    where = copy.locate_source(1)
    assert where.text[where.column - 1 :][: where.length] == '"c"'


def test_an_expanded_source_keeps_its_place() -> None:
    """Expansion changes the words, not where they came from."""
    copy = parse("FROM a\nCOPY $A $B /to\n").stages[0].instructions[0]
    assert isinstance(copy, Copy)
    expanded = expand_instruction(copy, {"A": "x", "B": "y"}).instruction
    assert expanded.sources == ("x", "y")
    assert expanded.locate_source(1).column == 9


def test_arg_defaults_see_the_names_to_their_left() -> None:
    """Defaults are worked out one after the other, and not at all when a build argument gives the value."""
    arg = parse("FROM a\nARG A=1 B=${A}2 C D=$NONE E=${X:?}\n").stages[0].instructions[0]
    assert isinstance(arg, Arg)
    done = expand_instruction(arg, {}, build_args={"A": "9", "E": "given"})
    assert [(one.name, one.default) for one in done.instruction.args] == [
        ("A", "9"),
        ("B", "92"),
        ("C", None),
        ("D", ""),
        ("E", "given"),
    ]
    assert done.undefined == ("NONE",)


def test_mounts_with_variables_are_read_when_they_are_known() -> None:
    """The options of ``RUN --mount`` expand; a mistake is found then, with its place."""
    run = parse("FROM a\nRUN --mount=type=cache,target=$T,id=$I x\n").stages[0].instructions[0]
    assert isinstance(run, Run)
    assert isinstance(run.mounts[0], UnresolvedMount)
    assert expand_instruction(run, {"T": "/t", "I": "i"}).instruction.mounts == (CacheMount("/t", "i"),)
    with pytest.raises(DockerfileError, match="no target"):
        expand_instruction(run, {})


def test_heredocs_become_scripts() -> None:
    """What the shell gets: the body alone, the body without tabs, or the line with its heredocs."""
    text = "FROM a\nRUN <<E\nx\n\ty\nE\nRUN <<-E\n\tx\n\t y\n\tE\nRUN cat <<E >f\nx\nE\nRUN <<E\n#!/bin/x\nE\n"
    runs = [one for one in parse(text).stages[0].instructions if isinstance(one, Run)]
    assert [run.script for run in runs] == ["x\n\ty\n", "x\n y\n", "cat <<E >f\nx\nE", "#!/bin/x\n"]
    assert [run.has_shebang for run in runs] == [False, False, False, True]
    assert runs[2].only_heredoc is None


def test_heredoc_files_expand_unless_quoted() -> None:
    """Variables work in the body, quotes do not; a quoted delimiter keeps it as it is."""
    text = "# escape=`\nFROM a\nCOPY <<E <<'Q' /to/\n'$A' \\$A `$A\nE\n$A\nQ\n"
    copy = parse(text).stages[0].instructions[0]
    assert isinstance(copy, Copy)
    files = expand_instruction(copy, {"A": "1"}, escape="`").instruction.files
    assert [file.data for file in files] == ["'1' $A `1\n", "$A\n"]


def test_triggers_are_parsed_alone() -> None:
    """The text that an image keeps for ONBUILD comes back as the instruction."""
    onbuild = parse("FROM a\nONBUILD COPY <<E /x\n1\nE\n").stages[0].instructions[0]
    assert isinstance(onbuild, OnBuild)
    assert parse_trigger(onbuild.expression) == onbuild.inner
    for bad in ("FROM b", "ONBUILD RUN x", "MAINTAINER x", "RUN a\nRUN b", ""):
        with pytest.raises(DockerfileError):
            parse_trigger(bad)


def test_healthchecks_become_config() -> None:
    """As docker's image config has them."""
    text = 'FROM a\nHEALTHCHECK --retries=2 CMD a b\nHEALTHCHECK CMD ["a"]\nHEALTHCHECK NONE\n'
    checks = [one.to_config() for one in parse(text).stages[0].instructions if isinstance(one, Healthcheck)]
    assert [check.test for check in checks] == [("CMD-SHELL", "a b"), ("CMD", "a"), ("NONE",)]
    assert checks[0].retries == 2


def test_work_grows_with_the_input_only() -> None:
    """Twice the lines, twice the calls: nothing is looked at again for each line."""

    def calls(text: str) -> int:
        count = 0

        def count_calls(_frame: object, event: str, _argument: object) -> None:
            nonlocal count
            count += event == "call"

        sys.setprofile(count_calls)
        try:
            parse(text)
        finally:
            sys.setprofile(None)
        return count

    for piece in (
        "RUN a \\\n b\n",
        "COPY <<E /x\n$a\nE\n",
        "ENV a='b' c=\"d\"\n",
        "ARG a\n# c\n\n",
        "RUN --mount=target=/x y\n",
    ):
        calls("FROM a\n" + piece)  # fill the caches of patterns
        assert calls("FROM a\n" + piece * 400) <= 2 * calls("FROM a\n" + piece * 200) + 100, piece
