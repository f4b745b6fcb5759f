"""Words and numbers in a picture: how wide they are, how to shorten them, how docker writes sizes.

Widths are those of Helvetica, Arial and Liberation Sans (they agree), in thousandths of the font size. Each text
in the SVG also carries its width as ``textLength``, so another font is squeezed instead of running over its box.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["clean", "human_size", "human_time", "plural", "printable", "shorten", "shorten_path", "text_width"]

_REGULAR = (
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556, 556,
    556, 556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667,
    556, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556,
    556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722,
    500, 500, 500, 334, 260, 334, 584,
)  # fmt: skip
_BOLD = (
    278, 333, 474, 556, 556, 889, 722, 238, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556, 556,
    556, 556, 556, 556, 333, 333, 584, 584, 584, 611, 975, 722, 722, 722, 722, 667, 611, 778, 722, 278, 556, 722,
    611, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 333, 278, 333, 584, 556, 333, 556,
    611, 556, 611, 556, 333, 611, 611, 278, 278, 556, 278, 889, 611, 611, 611, 611, 389, 556, 333, 611, 556, 778,
    556, 556, 500, 389, 280, 389, 584,
)  # fmt: skip
_OTHER = {"·": 278, "…": 1000, "→": 1000, "–": 556, "—": 1000, "×": 584}
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]+[0-~]|[@-_])")


def clean(text: str) -> str:
    """One line without terminal escapes, control characters or runs of white space: safe for XML and for a box."""
    text = _ESCAPES.sub("", text)
    text = "".join(" " if c.isspace() else c for c in text if c.isspace() or unicodedata.category(c)[0] != "C")
    return " ".join(text.split())


def printable(name: str) -> str:
    r"""A file's name with what cannot be seen, or turns the text around, written out: ``a\nb``, ``\xff``, ``\u202e``.

    Bytes that are not UTF-8 come as Python's surrogate escapes. Nothing is dropped, so different names stay different.
    """
    return "".join(map(_visible, name)) if not name.isascii() or not name.isprintable() else name


def _visible(character: str) -> str:
    # The joiners hold emoji and the letters of some scripts together.
    if character in "\u200c\u200d" or unicodedata.category(character)[0] not in "CZ" or character == " ":
        return character
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def text_width(text: str, size: float, *, bold: bool = False, mono: bool = False) -> float:
    """Width in pixels of ``text`` set at ``size`` pixels."""
    table = _BOLD if bold else _REGULAR
    total = 0
    for character in text:
        code = ord(character)
        if code >= 0x300:
            wide = unicodedata.east_asian_width(character) in "WF"
            joined = unicodedata.combining(character)
            total += 0 if joined else 1000 if wide else 600 if mono else _OTHER.get(character, 700)
        elif mono:
            total += 600
        else:
            total += table[code - 32] if 32 <= code < 127 else _OTHER.get(character, 600)
    return total * size / 1000


def shorten(text: str, room: float, size: float, *, bold: bool = False, mono: bool = False) -> str:
    """``text`` cut with an ellipsis so that it is at most ``room`` pixels wide; may be empty."""
    if text_width(text, size, bold=bold, mono=mono) <= room:
        return text
    room -= text_width("…", size, bold=bold, mono=mono)
    kept = 0.0
    for index, character in enumerate(text):
        kept += text_width(character, size, bold=bold, mono=mono)
        if kept > room:
            return text[:index].rstrip() + "…" if index else ""
    return text


def shorten_path(path: str, letters: int) -> str:
    """A path cut in its middle, where it says least, to at most ``letters`` characters."""
    if len(path) <= letters:
        return path
    tail = max(1, letters * 2 // 3)
    return path[: max(0, letters - tail - 1)] + "…" + path[-tail:]


def human_size(size: float) -> str:
    """Bytes as docker prints them: decimal units, at most four digits (go-units, HumanSize)."""
    units = ("B", "kB", "MB", "GB", "TB", "PB")
    for unit in units:
        if size < 1000 or unit == units[-1]:
            return f"{size:.4g} {unit}" if size < 1000 else f"{size:.0f} {unit}"
        size = float(f"{size / 1000:.3g}")
    raise AssertionError("unreachable")


def human_time(seconds: float) -> str:
    """A duration as short as it is useful: ``12 ms``, ``1.4 s``, ``2 min 05 s``."""
    if seconds < 0.995:
        return f"{round(seconds * 1000)} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    return f"{whole // 60} min {whole % 60:02d} s"


def plural(count: int, word: str) -> str:
    """``1 layer``, ``2 layers``, ``2 copies``."""
    if count == 1:
        return f"1 {word}"
    return f"{count} {word[:-1]}ies" if word.endswith("y") and word[-2] not in "aeo" else f"{count} {word}s"
