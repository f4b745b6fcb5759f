"""The small languages of the build: Go's texts, wildcards, modes, ports."""

from __future__ import annotations

import pytest

from minirt.build import golang
from minirt.build.builder import fill_times
from minirt.build.modes import ModeChange
from minirt.build.parents import ParentsFilter, split_pivot
from minirt.build.ports import exposed_ports
from minirt.build.wildcards import BadPattern, compile_pattern, has_wildcards, split_wildcards
from minirt.errors import DockerfileError, InvalidSpec, Location
from minirt.model.config import History

HERE = Location("Dockerfile", 1)


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("echo hi", '"echo hi"'),
        ('a"b\\c', '"a\\"b\\\\c"'),
        ("tab\tline\n", '"tab\\tline\\n"'),
        ("é 日本 😀", '"é 日本 😀"'),
        ("\x01\x7f\u200b\U000e0001", '"\\x01\\x7f\\u200b\\U000e0001"'),
        ("\udcff", '"\\xff"'),
    ],
)
def test_quote_is_go_s(text: str, quoted: str) -> None:
    """strconv.Quote, character by character."""
    assert golang.quote(text) == quoted


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"),
        (1, "1ns"),
        (1_500, "1.5µs"),
        (100_000_000, "100ms"),
        (30 * 10**9, "30s"),
        (90 * 10**9, "1m30s"),
        (3600 * 10**9, "1h0m0s"),
        (5_025_500_000_000, "1h23m45.5s"),
    ],
)
def test_duration_is_go_s(nanoseconds: int, text: str) -> None:
    """time.Duration.String."""
    assert golang.duration(nanoseconds) == text


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("*.txt", ["a.txt", ".txt"], ["a/b.txt", "a.txt2"]),
        ("?", ["a", "é"], ["", "ab", "/"]),
        ("[a-c]x", ["ax", "cx"], ["dx", "x"]),
        ("[^a-c]x", ["dx"], ["ax", "/x"]),
        ("a\\*", ["a*"], ["ab"]),
        ("[\\]]", ["]"], ["\\"]),
        ("a/*/c", ["a/b/c"], ["a/b/b/c", "a/c"]),
        ("**", ["ab"], ["a/b"]),
        ("[!a]", ["!", "a"], ["b"]),
    ],
)
def test_wildcards_are_go_s(pattern: str, matching: list[str], others: list[str]) -> None:
    """filepath.Match."""
    compiled = compile_pattern(pattern)
    assert [text for text in matching if not compiled.fullmatch(text)] == []
    assert [text for text in others if compiled.fullmatch(text)] == []


@pytest.mark.parametrize("pattern", ["[", "[]a", "[a", "a\\", "[a-", "[-a]"])
def test_bad_patterns_are_refused(pattern: str) -> None:
    """As Go's ErrBadPattern."""
    with pytest.raises(BadPattern):
        compile_pattern(pattern)


def test_many_stars_take_no_longer() -> None:
    """No pattern makes the matching explode."""
    assert compile_pattern("*" * 5000 + "b").fullmatch("a" * 5000) is None


def test_the_fixed_part_of_a_pattern_is_told() -> None:
    """A walk starts there."""
    assert split_wildcards("a/b/*.c/d") == ("a/b", "*.c/d")
    assert split_wildcards("/a/b/") == ("a/b", "")
    assert not has_wildcards("a\\*b")


@pytest.mark.parametrize(
    ("text", "before", "directory", "after"),
    [
        ("755", 0o644, False, 0o755),
        ("04711", 0o644, False, 0o4711),
        ("u=rwX,go=rX", 0o600, False, 0o644),
        ("u=rwX,go=rX", 0o600, True, 0o755),
        ("+x", 0o644, False, 0o755),
        ("a-w,u+s", 0o755, False, 0o4555),
        ("g=u", 0o640, False, 0o660),
        ("o+t", 0o777, True, 0o1777),
        ("ug+rw-x", 0o111, False, 0o661),
    ],
)
def test_chmod_words(text: str, before: int, directory: bool, after: int) -> None:
    """Octal and symbolic, as chmod(1)."""
    assert ModeChange(text).apply(before, directory=directory) == after


@pytest.mark.parametrize("text", ["888", "77777", "u=q", "rw", "", "u+x,", "0x1"])
def test_bad_chmod_words(text: str) -> None:
    """Refused before anything is copied."""
    with pytest.raises(InvalidSpec):
        ModeChange(text)


def test_ports() -> None:
    """Ranges are spelt out, protocols are lower case, tcp is the default."""
    words = ("80", "53/UDP", "8000-8002", "127.0.0.1:80:90", "[::1]:80:91/sctp", "1000-1001:2000-2001")
    assert exposed_ports(words, HERE) == (
        "80/tcp", "53/udp", "8000/tcp", "8001/tcp", "8002/tcp", "90/tcp", "91/sctp", "2000/tcp", "2001/tcp",
    )  # fmt: skip


@pytest.mark.parametrize("word", ["x", "80/what", "/tcp", "70000", "9-8", "1-2:3-5", "host:80:80", "80-90-100", ""])
def test_bad_ports(word: str) -> None:
    """With the place."""
    with pytest.raises(DockerfileError) as caught:
        exposed_ports((word,), HERE)
    assert caught.value.where == HERE


def test_parents_with_stars_and_pivot() -> None:
    """`**` is any number of directories, and the pivot says what comes along."""
    assert split_pivot("./a/./b/c") == ("./a", "b/c")
    assert split_pivot("a/b") == ("/", "a/b")
    filters = ParentsFilter("**/x.c", None)
    assert not filters("x.c", False)
    assert not filters("a/b/x.c", False)
    assert filters("a/b/y.c", False)
    assert not ParentsFilter("a", None)("a/deep/file", False)


def test_times_of_history_are_filled_from_the_layers() -> None:
    """An entry without a time takes the layer's before it, or the first new layer's after it."""
    said = [History("1", "base"), History("", "env"), History("2", "run"), History("", "cmd")]
    assert [entry.created for entry in fill_times(said, "9")] == ["1", "2", "2", "2"]
    assert [entry.created for entry in fill_times([History("1", "b"), History("", "e")], "9")] == ["1", "1"]
    assert [entry.created for entry in fill_times([History("", "e")], "9")] == ["9"]
