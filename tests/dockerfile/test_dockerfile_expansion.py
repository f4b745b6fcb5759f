"""Expansion, case by case from tables, and what no table can hold: depth, length, places."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from minirt.dockerfile import expand
from minirt.dockerfile.expansion import LIMIT, Mode
from minirt.dockerfile.patterns import Pattern
from minirt.errors import DockerfileError, Location

TABLES = Path(__file__).parent / "tables"
VARIABLES = {
    "V": "value",
    "EMPTY": "",
    "PATHS": "/usr/lib/x.tar.gz",
    "STARS": "a*b*c",
    "N": "3",
    "한": "글",
    "REF": "V",
    "SPACED": "a b",
    "QUOTED": '"a b"',
}


def rows(name: str) -> Iterator[tuple[str, str]]:
    for line in (TABLES / name).read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            word, arrow, result = line.partition("=>")
            assert arrow, line
            yield word.strip(), result.strip()


@pytest.mark.parametrize(("word", "result"), list(rows("expansion.txt")))
def test_a_word_expands_as_the_table_says(word: str, result: str) -> None:
    """Every form of the reference, with its result, its undefined names, or its error."""
    if result.startswith("error:"):
        with pytest.raises(DockerfileError) as caught:
            expand(word, VARIABLES)
        assert result.removeprefix("error:").strip() in str(caught.value)
        assert caught.value.where is not None
        return
    text, _, undefined = result.partition("??")
    expanded = expand(word, VARIABLES)
    assert expanded.text == text.strip()
    assert set(expanded.undefined) == set(undefined.split())


@pytest.mark.parametrize(("text", "result"), list(rows("words.txt")))
def test_words_are_split_after_expansion(text: str, result: str) -> None:
    """What a variable holds is split at its spaces; what stands in quotes is not."""
    assert list(expand(text, VARIABLES).words) == [word.strip() for word in result.split("|") if word.strip()]


def test_the_backquote_escapes_when_it_is_the_escape() -> None:
    """With ``# escape=` `` a backslash is an ordinary character."""
    assert expand(r"C:\$V", VARIABLES, escape="`").text == r"C:\value"
    assert expand("`$V", VARIABLES, escape="`").text == "$V"


def test_quotes_mean_nothing_in_a_heredoc() -> None:
    """Only variables and escapes work in the body of an unquoted heredoc."""
    assert expand('it\'s "$V" \\$V\n', VARIABLES, mode=Mode(quotes=False)).text == 'it\'s "value" $V\n'


def test_used_names_are_told_once_in_order() -> None:
    """``used`` is what the cache and the checks need."""
    assert expand("$V ${N} $V ${NONE:-$EMPTY}", VARIABLES).used == ("V", "N", "EMPTY")


def test_ten_thousand_levels_of_nesting() -> None:
    """Depth costs no recursion."""
    depth = 10_000
    assert expand("${A:-" * depth + "x" + "}" * depth, {}).text == "x"
    with pytest.raises(DockerfileError):
        expand("${A:-" * depth, {})


def test_each_character_is_looked_at_once() -> None:
    """Twice the input, twice the steps: the work does not depend on what stands in the word."""
    from minirt.dockerfile import expansion

    def steps(word: str) -> int:
        machine = expansion._Expander(word, {}, "\\", None, Mode())
        count = 0
        plain = machine.step

        def counted(frame: expansion._Frame) -> None:
            nonlocal count
            count += 1
            plain(frame)

        machine.step = counted  # type: ignore[method-assign]
        machine.run()
        return count

    for piece in ("$A", "${A:-x}", "a'b'", '"c"', r"\d", "${A#*b*c}", "${A/b/c}"):
        assert steps(piece * 400) <= 2 * steps(piece * 200) + 2, piece


def test_a_variable_cannot_grow_without_end() -> None:
    """Doubling line by line stops at a limit, with an error instead of a full memory."""
    value = "x"
    with pytest.raises(DockerfileError, match="expands to more than"):
        for _ in range(64):
            value = expand("$A$A", {"A": value}).text
    assert len(value) <= LIMIT


def test_a_replacement_cannot_grow_without_end() -> None:
    """A long replacement for every character is counted before it is made."""
    with pytest.raises(DockerfileError, match="expands to more than"):
        expand("${A//?/$A}", {"A": "y" * 100_000})


def test_work_on_patterns_is_bounded() -> None:
    """Thousands of patterns over a long value are refused instead of taking minutes."""
    with pytest.raises(DockerfileError, match="the patterns here"):
        expand("${A##*}" * 2_000, {"A": "y" * 60_000})


def test_a_deep_default_is_joined_once() -> None:
    """A long text at the bottom of many levels is not copied level by level."""
    word = "${A:-" * 50_000 + "y" * 100_000 + "}" * 50_000
    assert expand(word, {}).text == "y" * 100_000


def test_a_greedy_pattern_takes_no_more_than_one_step_a_character() -> None:
    """Patterns that make a backtracking matcher exponential are matched at once."""
    pattern = Pattern.parse("*a" * 200 + "b")
    assert pattern.match("a" * 5_000, longest=True) is None
    assert pattern.starts("a" * 5_000) == []


def test_patterns_agree_with_regular_expressions() -> None:
    """On small inputs the automaton finds what ``re`` finds."""
    import itertools
    import re

    for size in range(1, 4):
        for text in map("".join, itertools.product("ab*?", repeat=size)):
            pattern = Pattern.parse(text)
            longest = re.compile("".join({"*": ".*", "?": "."}.get(c, c) for c in text))
            shortest = re.compile("".join({"*": ".*?", "?": "."}.get(c, c) for c in text))
            for value in ("", "a", "b", "ab", "ba", "aab", "abab", "a\nb", "bbaa"):
                found = longest.match(value)
                assert pattern.match(value, longest=True) == (found.end() if found else None), (text, value)
                found = shortest.match(value)
                assert pattern.match(value, longest=False) == (found.end() if found else None), (text, value)
                assert pattern.starts(value) == [i for i in range(len(value) + 1) if longest.match(value, i)]
                assert pattern.replace(value, "-", everywhere=False) == longest.sub("-", value, count=1)


def test_an_error_points_into_the_word() -> None:
    """Given the word's place in its line, the caret stands under the part at fault."""
    where = Location("Dockerfile", 3, 7, 20, "LABEL a=$V${X:?no}")
    with pytest.raises(DockerfileError) as caught:
        expand("a=$V${X:?no}", VARIABLES, where=where)
    assert caught.value.where == Location("Dockerfile", 3, 11, 8, "LABEL a=$V${X:?no}")
