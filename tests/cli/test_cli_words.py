"""Sizes, times and columns are printed as docker prints them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from minirt.cli.tables import Listing, align
from minirt.cli.units import ago, binary_size, human_duration, human_size, local_time
from minirt.errors import InvalidInput


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0B"), (999, "999B"), (3_700_000, "3.7MB"), (14_512_345, "14.5MB"), (1_234_567_890, "1.23GB")],
)
def test_sizes(size: int, text: str) -> None:
    """Sizes have three digits and decimal units."""
    assert human_size(size) == text


def test_memory() -> None:
    """Memory has binary units."""
    assert binary_size(25_276_411_904) == "23.54GiB"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (150, "2 minutes"),
        (3600, "About an hour"),
        (5400, "2 hours"),
        (47 * 3600, "47 hours"),
        (48 * 3600, "2 days"),
        (15 * 86400, "2 weeks"),
        (62 * 86400, "2 months"),
        (800 * 86400, "2 years"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    """Durations are told in docker's words."""
    assert human_duration(seconds) == text


def test_ago() -> None:
    """Times with nanoseconds are read; docker's zero time is no time."""
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)
    assert ago("2026-11-23T11:59:00.123456789Z", now) == "59 seconds ago"
    assert ago("0001-01-01T00:00:00Z", now) == "N/A"


LISTING = Listing({"ID": "IMAGE ID", "Name": "NAME", "Size": "SIZE"}, ("ID", "Name", "Size"), "ID")
ROWS = [{"ID": "abc", "Name": "a rather long name", "Size": "1B"}, {"ID": "defghijklmn", "Name": "b", "Size": "2B"}]


def test_table() -> None:
    """Columns are ten wide at least, with three spaces between, and the last is not padded."""
    assert LISTING.render(ROWS) == (
        "IMAGE ID      NAME                 SIZE\n"
        "abc           a rather long name   1B\n"
        "defghijklmn   b                    2B\n"
    )
    assert align([["A", "B"], ["1", "2"]]) == "A         B\n1         2\n"


def test_formats() -> None:
    """A template, a table of a template, JSON a line, and ids alone."""
    assert LISTING.render(ROWS, form="{{.Name}}={{.Size}}") == "a rather long name=1B\nb=2B\n"
    assert LISTING.render(ROWS, form=r"table {{.Name}}\t{{upper .ID}}").splitlines() == [
        "NAME                 IMAGE ID",
        "a rather long name   ABC",
        "b                    DEFGHIJKLMN",
    ]
    assert LISTING.render(ROWS[:1], form="json") == '{"ID":"abc","Name":"a rather long name","Size":"1B"}\n'
    assert LISTING.render(ROWS, quiet=True) == "abc\ndefghijklmn\n"
    assert LISTING.render([], form="{{.ID}}") == ""


def test_unknown_field() -> None:
    """A field that a list does not have is a mistake that names those there are, even when the list is empty."""
    with pytest.raises(InvalidInput, match="can't evaluate field Nope"):
        LISTING.render(ROWS, form="{{.Nope}}")
    with pytest.raises(InvalidInput, match="Nope"):
        LISTING.render([], form="table {{.Nope}}")


def test_times_of_lists() -> None:
    """Whole seconds, or, as `network ls` has them, what is below a second without its last noughts."""
    assert ".5" not in local_time("2026-11-23T22:01:50.500000Z")
    assert ":50.5 +" in local_time("2026-11-23T22:01:50.500000Z", exact=True).replace(" -", " +")
    assert ":50 +" in local_time("2026-11-23T22:01:50Z", exact=True).replace(" -", " +")
