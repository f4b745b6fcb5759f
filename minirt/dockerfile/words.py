"""How the arguments of an instruction fall into words, before anything is expanded.

BuildKit has three ways: at blanks (FROM, COPY, EXPOSE, VOLUME), at blanks outside quotes (ENV, LABEL, ARG), and as
a JSON array of strings; quotes and escapes stay in the words for the expansion to read. Flags are read before.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache

from minirt.dockerfile.source import GO_SPACE, Span

__all__ = ["NotStrings", "argument_spans", "at_blanks", "exec_form", "outside_quotes", "split_flags"]

_BLANK_WORD = re.compile(r"[^\t\v\f\r ]+")
_SPACE_CLASS = re.escape(GO_SPACE)
# One word of flags: quotes group and a backslash escapes, whatever the escape directive says.
_FLAG_WORD = re.compile(
    rf"""(?:\\[\s\S]|'(?:\\[\s\S]|[^'\\])*(?:'|\\?\Z)|"(?:\\[\s\S]|[^"\\])*(?:"|\\?\Z)|[^\\'"{_SPACE_CLASS}]+|\\\Z)+"""
)
_FLAG_PIECE = re.compile(r"""\\([\s\S])|(['"])((?:\\[\s\S]|(?!\2)[^\\])*)(?:\2|\\?\Z)|\\\Z""")
_JSON_STRING = re.compile(r'"(?:\\.|[^"\\])*"')
_ESCAPED = re.compile(r"\\([\s\S])")


class NotStrings(ValueError):
    """A JSON array that holds something else than strings."""


def at_blanks(text: str) -> tuple[str, ...]:
    """Quotes mean nothing here: ``COPY "a b" c`` has three words."""
    return tuple(_BLANK_WORD.findall(text))


@lru_cache(maxsize=2)
def _quoted_word(escape: str) -> re.Pattern[str]:
    slash = re.escape(escape)
    return re.compile(
        rf"""(?:{slash}[\s\S]|'[^']*(?:'|\Z)|"(?:{slash}[\s\S]|[^"{slash}])*(?:"|{slash}?\Z)"""
        rf"""|[^'"{slash}{_SPACE_CLASS}]+|{slash}\Z)+"""
    )


def outside_quotes(text: str, escape: str) -> tuple[str, ...]:
    """Words as ENV has them, quotes kept; an escape at the very end is dropped, as BuildKit drops it."""
    words = []
    for match in _quoted_word(escape).finditer(text):
        word = match.group()
        if match.end() == len(text) and _ends_with_lone_escape(word, escape):
            word = word[:-1]
        if word:
            words.append(word)
    return tuple(words)


def _ends_with_lone_escape(word: str, escape: str) -> bool:
    """An odd run of escapes at the end; a single quote takes them literally, so it must not be open."""
    run = len(word) - len(word.rstrip(escape))
    if run % 2 == 0:
        return False
    quote, skip = "", False
    for char in word:
        if skip:
            skip = False
        elif char == escape and quote != "'":
            skip = True
        elif quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
    return quote != "'"


def exec_form(text: str) -> tuple[str, ...] | None:
    """The strings of a JSON array; None if the text is not one, and so is a shell command.

    Raises :class:`NotStrings` for a JSON array of other things, as BuildKit does.
    """
    text = text.lstrip(GO_SPACE)
    if not text.startswith("["):
        return None
    try:
        # Numbers are never wanted: reading them as 0 keeps thousands of digits from taking quadratic time.
        value = json.loads(text, parse_int=_zero, parse_float=_zero, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    if not all(isinstance(one, str) for one in value):
        raise NotStrings("when using JSON array syntax, arrays must be comprised of strings only")
    return tuple(one if one.isascii() else _no_surrogates(one) for one in value)


def _zero(_: str) -> int:
    return 0


def _refuse(name: str) -> int:
    raise ValueError(name)


def _no_surrogates(text: str) -> str:
    """Half a surrogate pair, written as an escape, becomes U+FFFD, as in Go."""
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace").replace("\ufffd\ufffd\ufffd", "\ufffd")


def split_flags(text: str, start: int) -> tuple[tuple[tuple[str, Span], ...], int]:
    """The leading ``--flag`` words with quotes removed, each with its span, and where the arguments begin.

    A bare ``--`` ends the flags.
    """
    flags: list[tuple[str, Span]] = []
    position = _skip_space(text, start)
    while text.startswith("--", position):
        match = _FLAG_WORD.match(text, position)
        assert match is not None
        word = match.group()
        position = _skip_space(text, match.end())
        plain = _unquote(word)
        if plain == "--":
            break
        flags.append((plain, match.span()))
    return tuple(flags), position


def _skip_space(text: str, position: int) -> int:
    while position < len(text) and text[position] in GO_SPACE:
        position += 1
    return position


def _unquote(word: str) -> str:
    if not any(char in word for char in "'\"\\"):
        return word
    return _FLAG_PIECE.sub(lambda m: m[1] or _ESCAPED.sub(r"\1", m[3] or ""), word)


def argument_spans(text: str) -> tuple[Span, ...]:
    """The spans of COPY's, ADD's or VOLUME's arguments in an instruction's text, in either form."""
    keyword = _BLANK_WORD.match(text)
    if keyword is None:
        return ()
    _, start = split_flags(text, keyword.end())
    try:
        words = exec_form(text[start:])
    except NotStrings:
        words = None
    if words is None:
        return tuple(match.span() for match in _BLANK_WORD.finditer(text, start))
    return tuple(match.span() for match in _JSON_STRING.finditer(text, start))
