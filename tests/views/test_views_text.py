"""Words and numbers in pictures, and the tables beside them."""

from __future__ import annotations

import pytest

from minirt.views.tables import text_table
from minirt.views.text import clean, human_size, human_time, plural, printable, shorten, shorten_path, text_width


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (4_200_000, "4.2 MB"), (203_400_000, "203 MB"), (1.5e12, "1.5 TB")],
)
def test_sizes_are_written_as_docker_writes_them(size: float, words: str) -> None:
    """Decimal units, three digits that count."""
    assert human_size(size) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.0123, "12 ms"), (0.999, "1.0 s"), (1.26, "1.3 s"), (59.97, "1 min 00 s"), (125, "2 min 05 s")],
)
def test_durations_are_short(seconds: float, words: str) -> None:
    """No more digits than a reader needs, and never 60 seconds or 1000 milliseconds."""
    assert human_time(seconds) == words


def test_terminal_escapes_and_control_characters_are_taken_out() -> None:
    """Colours, cursor movements, titles and NULs of a command's output do not reach the SVG."""
    assert clean("\x1b[1;32mok\x1b[0m\x00 \x1b]0;title\x07done\tnow\x1b(B\n") == "ok done now"[:2] + " done now"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plain name", "plain name"),
        ("日本語 é 😀", "日本語 é 😀"),
        ("a\nb\t\x1b[31m\x00", "a\\nb\\t\\x1b[31m\\x00"),
        ("\udcffx", "\\xffx"),
        ("\u202etxt.exe", "\\u202etxt.exe"),
        ("\ufffe\u00a0", "\\ufffe\\xa0"),
    ],
)
def test_what_a_name_hides_is_written_out(name: str, shown: str) -> None:
    """Line ends, escapes, bytes that are no text and letters that turn the line around, as ls -b does."""
    assert printable(name) == shown


def test_a_shortened_text_fits_its_room() -> None:
    """Whatever the letters, the result is never wider than asked for."""
    for text in ("iiiiiiiiiiiiiiiiiiiiii", "WWWWWWWWWWWWW", "日本語の長い説明です", "a b c d e f g h i j k l m n"):
        for mono in (False, True):
            for room in (0, 5, 20, 61.5):
                assert text_width(shorten(text, room, 12, mono=mono), 12, mono=mono) <= room or room < 12


def test_a_text_with_room_is_left_alone() -> None:
    """No ellipsis without need."""
    assert shorten("RUN true", 200, 12) == "RUN true"


def test_a_long_path_loses_its_middle() -> None:
    """The beginning and the end of a path say most."""
    assert shorten_path("usr/share/doc/openssl/copyright", 20) == "usr/sh…ssl/copyright"
    assert len(shorten_path("usr/share/doc/openssl/copyright", 20)) == 20


def test_plurals() -> None:
    """English in three rules."""
    assert [plural(1, "layer"), plural(2, "layer"), plural(3, "copy"), plural(0, "day")] == [
        "1 layer",
        "2 layers",
        "3 copies",
        "0 days",
    ]


def test_a_table_is_aligned_by_cells_not_by_characters() -> None:
    """Wide letters count twice, numbers end at the right."""
    table = text_table(("Name", "Size"), [("日本", "5"), ("abc", "10")], right=(1,))
    assert table == "Name  Size\n日本     5\nabc     10"
