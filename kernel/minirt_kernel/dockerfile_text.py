"""Where the cursor stands in a Dockerfile that is being typed, which is seldom a valid one yet."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Spot", "locate", "stage_names", "variable_names"]

_FROM = re.compile(r"^[ \t]*FROM[ \t]+(?:--\S+[ \t]+)*\S+(?:[ \t]+AS[ \t]+(\S+))?", re.IGNORECASE | re.MULTILINE)
_SETS = re.compile(r"^[ \t]*(?:ARG|ENV)[ \t]+(.*)$", re.IGNORECASE | re.MULTILINE)
_NAME = re.compile(r"(?:^|[ \t])([A-Za-z_][A-Za-z0-9_]*)(?==|[ \t]|$)")
_ONBUILD = re.compile(r"^ONBUILD[ \t]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Spot:
    """The instruction's ``keyword`` (upper case, empty while it is typed), the ``words`` after it that are whole, and
    the ``typed`` beginning of the word under the cursor, which starts at ``start``.
    """

    keyword: str
    words: tuple[str, ...]
    typed: str
    start: int


def locate(text: str, cursor: int) -> Spot:
    """The spot at ``cursor``, an offset into ``text``."""
    begin = _instruction_start(text, cursor)
    line = text[begin:cursor]
    typed = re.search(r"\S*$", line)
    assert typed is not None
    before = re.sub(r"\\\n", " ", line[: typed.start()]).lstrip()
    before = _ONBUILD.sub("", before)
    words = before.split()
    return Spot(words[0].upper() if words else "", tuple(words[1:]), typed.group(), begin + typed.start())


def stage_names(text: str, cursor: int) -> list[str]:
    """The stages begun before ``cursor``, by name where they have one, else by number."""
    return [match[1] or str(number) for number, match in enumerate(_FROM.finditer(text, 0, cursor))]


def variable_names(text: str, cursor: int) -> list[str]:
    """The names that ARG and ENV set before ``cursor``, in order, once each."""
    found: dict[str, None] = {}
    for match in _SETS.finditer(text, 0, cursor):
        found.update(dict.fromkeys(_NAME.findall(match[1])))
    return list(found)


def _instruction_start(text: str, cursor: int) -> int:
    """The start of the instruction's first line: lines that end in a backslash go on."""
    begin = text.rfind("\n", 0, cursor) + 1
    while begin > 0:
        previous = text.rfind("\n", 0, begin - 1) + 1
        if not text[previous : begin - 1].rstrip().endswith("\\"):
            break
        begin = previous
    return begin
