"""The small part of a shell that docker lines need."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st
from minirt_kernel.words import Literal, Substitution, Variable, join, parse_commands, parse_words

from minirt.errors import UsageError


def literals(text: str) -> list[list[str | None]]:
    """The commands' words, as far as they need no expansion."""
    return [[word.literal for word in command.words] for command in parse_commands(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("docker ps", [["docker", "ps"]]),
        ("docker  ps \t-a ", [["docker", "ps", "-a"]]),
        ("docker ps\ndocker images", [["docker", "ps"], ["docker", "images"]]),
        ("docker ps; docker images && docker info", [["docker", "ps"], ["docker", "images"], ["docker", "info"]]),
        ("docker run \\\n  --rm \\\n  x", [["docker", "run", "--rm", "x"]]),
        ("docker run x sh -c 'a; b | c > d'", [["docker", "run", "x", "sh", "-c", "a; b | c > d"]]),
        ("docker run x echo 'two\nlines'", [["docker", "run", "x", "echo", "two\nlines"]]),
        ('docker run x echo "a \\" b"', [["docker", "run", "x", "echo", 'a " b']]),
        ("docker run x echo a\\ b", [["docker", "run", "x", "echo", "a b"]]),
        ("docker run x echo ''", [["docker", "run", "x", "echo", ""]]),
        ("docker run x echo a''b\"c\"", [["docker", "run", "x", "echo", "abc"]]),
        ("# all\ndocker ps # some", [["docker", "ps"]]),
        ("docker tag a#b c", [["docker", "tag", "a#b", "c"]]),
        ("docker images --format '{{.ID}}'", [["docker", "images", "--format", "{{.ID}}"]]),
        ("docker run x echo $ 5", [["docker", "run", "x", "echo", "$", "5"]]),
        ("docker run x echo '$HOME' \\$HOME", [["docker", "run", "x", "echo", "$HOME", "$HOME"]]),
        ("docker ps\r\ndocker info\r\n", [["docker", "ps"], ["docker", "info"]]),
        ("", []),
    ],
)
def test_commands_are_read_as_a_shell_reads_them(text: str, expected: list[list[str]]) -> None:
    """Quotes, continuations, comments and separators mean what they mean in a shell."""
    assert literals(text) == expected


def test_variables_and_substitutions_are_kept_for_later() -> None:
    """What depends on the moment is expanded when the command's turn comes."""
    (command,) = parse_commands('docker rm $(docker ps -aq) "a $b" ~/x ${HOME}y $(pwd)')
    kinds = [[type(part) for part in word.parts if part != Literal("")] for word in command.words[2:]]
    assert kinds == [
        [Substitution],
        [Literal, Literal, Variable],
        [Variable, Literal],
        [Variable, Literal],
        [Substitution],
    ]
    assert command.words[2].parts[0].text == "docker ps -aq"  # type: ignore[union-attr]


@pytest.mark.parametrize("text", ["docker ps | wc", "docker save x > y", "docker load < x", "docker ps &", "a || b"])
def test_what_only_a_shell_can_do_is_refused_with_a_hint(text: str) -> None:
    """The error points at the operator and says what to do instead."""
    with pytest.raises(UsageError) as caught:
        parse_commands(text)
    assert caught.value.hint
    assert caught.value.where is not None
    assert text[caught.value.where.column - 1] in "|><&"


@pytest.mark.parametrize(
    ("text", "line"), [("docker run 'x", 1), ('docker ps\ndocker run "x', 2), ("docker rm $(x", 1)]
)
def test_an_unclosed_quote_is_shown_where_it_opens(text: str, line: int) -> None:
    """Line and column are the opening mark's."""
    with pytest.raises(UsageError) as caught:
        parse_commands(text)
    assert caught.value.where is not None
    assert caught.value.where.line == line


@given(st.lists(st.text(alphabet=st.characters(exclude_characters="\r\0", exclude_categories=["Cs"])), max_size=5))
def test_any_words_survive_joining_and_parsing(words: list[str]) -> None:
    """Joined words read back as the same words, whatever they hold."""
    assert [word.literal for word in parse_words(join(words))] == words


@given(st.lists(st.text(alphabet="ab \t'\"\\#", max_size=8), max_size=4).map(" ".join))
def test_plain_words_agree_with_shlex(text: str) -> None:
    """Where nothing is special, the standard library reads the same words."""
    try:
        expected = shlex.split(text, comments=False) if "#" not in text else None
    except ValueError:
        expected = None
    if expected is not None and not text.endswith("\\"):
        assert [word.literal for word in parse_words(text)] == expected
