"""Whatever is typed, the only error is our own, with a place that exists in the text."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from minirt.dockerfile import Dockerfile, Ignore, expand, expand_instruction, parse
from minirt.dockerfile.globs import BadPattern, matcher
from minirt.errors import DockerfileError

PIECES = st.sampled_from(
    [
        "FROM ", "RUN ", "COPY ", "ADD ", "ENV ", "ARG ", "LABEL ", "HEALTHCHECK ", "CMD ", "ONBUILD ", "SHELL ",
        "EXPOSE ", "VOLUME ", "USER ", "WORKDIR ", "STOPSIGNAL ", "ENTRYPOINT ", "MAINTAINER ", "from a AS b", "a",
        "\n", "\r\n", "\\\n", "\\ \n", "`\n", " ", "\t", "#", "# escape=`\n", "# check=skip=all\n", "<<EOF", "<<-'E F'",
        "EOF", "3<<\"X\"", "X\n", "--", "--from=", "--mount=", "type=cache,", "target=/x", "--chown=a", "--interval=",
        '["', '", "', '"]', "[1]", "[]", "'", '"', "$", "${", "}", ":-", "#", "%%", "/", "*", "?", "\\", "=", "a=b ",
        "\0", "\ud800", "é", "\u00a0", "\ufeff", "[" * 50, "${a:-" * 20, "1h", "9" * 30, "CMD", "NONE",
    ]
)  # fmt: skip
TEXTS = st.lists(PIECES | st.text(max_size=5), max_size=30).map("".join)


def check_place(error: DockerfileError, text: str) -> None:
    assert error.where is not None
    assert error.where.line >= 1
    assert error.where.column >= 1
    assert error.where.length >= 1
    assert error.where.line <= max(1, len(text.split("\n")))
    assert error.explain()


@settings(max_examples=400, deadline=None)
@given(TEXTS | TEXTS.map(lambda text: f"FROM a\n{text}"))
def test_parsing_raises_nothing_but_our_error(text: str) -> None:
    """Any text is a Dockerfile or a DockerfileError; every instruction of it expands or says where it cannot."""
    try:
        dockerfile = parse(text)
    except DockerfileError as error:
        check_place(error, text)
        return
    expand_everything(dockerfile, text)


def expand_everything(dockerfile: Dockerfile, text: str) -> None:
    for instruction in dockerfile.instructions():
        assert instruction.location.line in instruction.lines
        assert instruction.original
        try:
            expand_instruction(instruction, {"a": "x y", "b": ""}, escape=dockerfile.escape)
        except DockerfileError as error:
            check_place(error, text)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_bytes_are_text_or_an_error(data: bytes) -> None:
    """Files that are not UTF-8, or not text at all, raise the same error."""
    try:
        parse(b"FROM a\nRUN " + data)
    except DockerfileError as error:
        assert error.where is not None


@settings(max_examples=400, deadline=None)
@given(TEXTS, st.sampled_from("\\`"))
def test_expanding_raises_nothing_but_our_error(word: str, escape: str) -> None:
    """Any word expands, or an error points into it; expanding plain results again changes nothing."""
    try:
        expanded = expand(word, {"a": "1", "EOF": "\\*"}, escape=escape)
    except DockerfileError as error:
        assert error.where is not None
        assert error.where.column <= len(word) + 1
        return
    assert "".join(expanded.words) == "".join(expanded.text.split()) or any(c in word for c in "'\"\\`\x1c\x1d\x1e\x1f")


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ab/*?[]!-^\\#. \n", max_size=20), st.text(alphabet="ab/.", min_size=1, max_size=12))
def test_ignore_files_never_break(text: str, path: str) -> None:
    """Any .dockerignore is patterns or a DockerfileError, and any path can be asked."""
    try:
        ignore = Ignore.parse(text)
    except DockerfileError as error:
        check_place(error, text)
        return
    if ignore.prunes(path):
        assert ignore.excludes(path)
        assert ignore.excludes(f"{path}/below")


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ab/*?", max_size=12), st.text(alphabet="ab/", max_size=12))
def test_both_ways_of_matching_a_path_agree(pattern: str, path: str) -> None:
    """The regular expression and the automaton are two forms of one pattern."""
    from minirt.dockerfile import globs

    try:
        tokens = globs._tokens(pattern)
    except BadPattern:
        return
    assert matcher(pattern)(path) == globs._Automaton(tokens).match(path)
