r"""Variables in words: every form of the Dockerfile reference, with quotes and escapes.

::

    word    = { text | "\" any | "'" … "'" | '"' { text | escape | dollar } '"' | dollar }
    dollar  = "$" name | "${" name "}" | "${" name [":"] ("-" | "+" | "?") word "}"
            | "${" name ("#" | "##" | "%" | "%%") pattern "}" | "${" name ("/" | "//") pattern "/" word "}"

The words inside ``${…}`` are words again. They are kept on a stack of our own, so that no depth of nesting can
exhaust Python's; each character is looked at once. Details (what a backslash does where, that a word is worked out
even if it is not used, ``$1`` and ``$@``) follow BuildKit's ``frontend/dockerfile/shell/lex.go``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from minirt.dockerfile.expanded import Expanded, Rope, join
from minirt.dockerfile.patterns import InvalidPattern, Pattern
from minirt.errors import DockerfileError, Location

__all__ = ["LIMIT", "Expanded", "Mode", "expand"]

EFFORT = 1 << 22
"""Characters of values that the patterns of one word may be tried on, all together: about a second's work."""

LIMIT = 1 << 20
"""Characters that one expansion may add to its word. Linux takes no variable longer than 128 KiB, and ``ENV a=$a$a`` on
forty lines would otherwise fill the memory."""


@dataclass(frozen=True, slots=True)
class Mode:
    """How a word is read. The defaults are those of every instruction's arguments.

    ``quotes``: they group, and go away; false inside heredocs. ``keep_quotes``, ``keep_escapes``: they stay in the
    result. ``keep_unset``: an undefined variable stays as written.
    """

    quotes: bool = True
    keep_quotes: bool = False
    keep_escapes: bool = False
    keep_unset: bool = False


PLAIN = Mode()


def expand(
    word: str,
    variables: Mapping[str, str],
    *,
    escape: str = "\\",
    where: Location | None = None,
    mode: Mode = PLAIN,
) -> Expanded:
    """Expand one word. ``where`` is the word's place, for errors; without it the word itself is shown.

    Raises :class:`DockerfileError`: an open quote or ``${``, an unknown form, ``${v:?…}`` of an unset variable, a
    pattern that is not one, or a result that grows by more than :data:`LIMIT`. Source: Dockerfile reference,
    "Environment replacement".
    """
    if not _SPECIAL[escape].search(word):
        return Expanded(word, segments=((word, True),))
    return _Expander(word, variables, escape, where, mode).run()


_SPECIAL = {"\\": re.compile(r"""[$'"\\]"""), "`": re.compile(r"""[$'"`]""")}
_SPECIAL_PARAMETERS = "@*#?-$!0"


@lru_cache(maxsize=32)
def _plain_run(specials: str) -> re.Pattern[str]:
    return re.compile(f"[^{re.escape(specials)}]+")


@dataclass(slots=True)
class _Frame:
    """One open construct: the whole word, a double quote, or a word inside ``${…}``; ``begin`` is where it opened."""

    stop: str
    raw: bool
    begin: int
    plain: re.Pattern[str]
    name: str = ""
    operator: str = ""
    colon: bool = False
    pattern: str | None = None
    parts: list[Rope] = field(default_factory=list)
    size: int = 0

    @property
    def quoted(self) -> bool:
        return self.stop == '"'


class _Expander:
    def __init__(self, word: str, variables: Mapping[str, str], escape: str, where: Location | None, mode: Mode):
        self.word = word
        self.variables = variables
        self.escape = escape
        self.where = where
        self.mode = mode
        self.position = 0
        self.effort = 0
        self.limit = LIMIT + len(word)
        self.used: dict[str, None] = {}
        self.undefined: dict[str, None] = {}
        self.segments: list[tuple[Rope, bool]] = []
        self.stack: list[_Frame] = []

    def run(self) -> Expanded:
        self.open("", self.mode.keep_escapes, 0)
        while self.position < len(self.word):
            self.step(self.stack[-1])
        if len(self.stack) > 1:
            self.unfinished(self.stack[-1])
        segments = tuple((join(rope), splits) for rope, splits in self.segments)
        text = "".join(part for part, _ in segments)
        return Expanded(text, tuple(self.used), tuple(self.undefined), segments)

    # -- the machine ---------------------------------------------------------------------------------------

    def open(self, stop: str, raw: bool, begin: int, **dollar: str | bool | None) -> None:
        quotes = "" if stop == '"' or not self.mode.quotes else "'\""
        plain = _plain_run("$" + self.escape + stop + quotes)
        self.stack.append(_Frame(stop, raw, begin, plain, **dollar))  # type: ignore[arg-type]

    def step(self, frame: _Frame) -> None:
        plain = frame.plain.match(self.word, self.position)
        if plain:
            self.position = plain.end()
            self.emit(plain.group(), splits=True)
            return
        char = self.word[self.position]
        if char == frame.stop:
            self.position += 1
            self.close(frame)
        elif char == "$":
            self.dollar()
        elif char == self.escape:
            self.escaped(frame)
        elif char == "'":
            self.single_quote()
        else:
            self.position += 1
            self.open('"', frame.raw, self.position - 1)
            if self.mode.keep_quotes:
                self.emit('"', splits=False)

    def emit(self, part: Rope, *, splits: bool, size: int | None = None) -> None:
        """Add to the innermost frame; ``size`` is the length of a part that is not a string."""
        frame = self.stack[-1]
        frame.size += len(part) if size is None else size
        if frame.size > self.limit:
            raise self.error(
                f"this expands to more than {LIMIT:,} characters",
                (0, len(self.word)),
                cause="a variable that holds itself several times grows with every line",
            )
        if len(self.stack) == 1:
            self.segments.append((part, splits))
        else:
            frame.parts.append(part)

    def escaped(self, frame: _Frame) -> None:
        """Outside quotes any character can be escaped; inside double quotes only ``"``, ``$`` and the escape."""
        self.position += 1
        following = self.word[self.position : self.position + 1]
        if frame.raw:
            self.emit(self.escape, splits=False)
        if not following:
            return  # at the very end it means nothing
        if not frame.quoted or following in ('"', "$", self.escape):
            self.position += 1
            self.emit(following, splits=False)
        else:
            self.emit(self.escape, splits=False)

    def single_quote(self) -> None:
        end = self.word.find("'", self.position + 1)
        if end < 0:
            raise self.error(
                "unexpected end of statement while looking for matching single-quote",
                (self.position, len(self.word)),
                cause="a quote is opened here and never closed",
                hint=f"""Close it, or write {self.escape}' or "'" for an apostrophe.""",
            )
        text = self.word[self.position + 1 : end]
        self.position = end + 1
        self.emit(f"'{text}'" if self.mode.keep_quotes else text, splits=False)

    def close(self, frame: _Frame) -> None:
        self.stack.pop()
        if frame.quoted:
            if self.mode.keep_quotes:
                frame.parts.append('"')
            self.emit(frame.parts, splits=False, size=frame.size + self.mode.keep_quotes)
        elif frame.operator == "/" and frame.pattern is None:
            pattern = join(frame.parts)
            self.open("}", True, frame.begin, name=frame.name, operator="/", colon=frame.colon, pattern=pattern)
        else:
            self.substitute(frame)

    def unfinished(self, frame: _Frame) -> None:
        span = (frame.begin, len(self.word))
        if frame.quoted:
            raise self.error(
                "unexpected end of statement while looking for matching double-quote",
                span,
                cause="a quote is opened here and never closed",
                hint=f'Close it, or write {self.escape}" for the character itself.',
            )
        if frame.stop == "/":
            raise self.error(
                "syntax error: missing '/' in ${}", span, hint="Write ${name/pattern/replacement}, with two slashes."
            )
        raise self.error("syntax error: missing '}'", span, cause="${ is opened here and never closed")

    # -- variables -----------------------------------------------------------------------------------------

    def dollar(self) -> None:
        begin = self.position
        if self.word.startswith("{", begin + 1):
            self.position = begin + 2
            self.brace(begin)
            return
        self.position = begin + 1
        name = self.name()
        if not name:
            self.emit("$", splits=True)
            return
        value = self.get(name)
        if value is None:
            value = f"${name}" if self.mode.keep_unset else ""
        self.emit(value, splits=True)

    def brace(self, begin: int) -> None:
        following = self.word[self.position : self.position + 1]
        if following in ("{", "}", ":") and following:
            raise self.error(
                "syntax error: bad substitution",
                (begin, self.position + 1),
                cause="a variable's name must follow ${",
            )
        name = self.name()
        operator = self.word[self.position : self.position + 1]
        self.position += 1
        if operator == "}":
            value = self.get(name)
            if value is None:
                value = f"${{{name}}}" if self.mode.keep_unset else ""
            self.emit(value, splits=True)
            return
        colon = operator == ":"
        if colon:
            operator = self.word[self.position : self.position + 1]
            self.position += 1
        if not operator:
            raise self.error("syntax error: missing '}'", (begin, len(self.word)))
        if operator not in ("-", "+", "?", "#", "%") and (colon or operator != "/"):
            self.unsupported(begin, ":" * colon + operator)
        if operator == "/":
            everywhere = self.word.startswith("/", self.position)
            self.position += everywhere
            # "colon" has no meaning for this operator; it remembers that there were two slashes.
            self.open("/", True, begin, name=name, operator="/", colon=everywhere)
        else:
            self.open("}", operator in "#%", begin, name=name, operator=operator, colon=colon)

    def unsupported(self, begin: int, operator: str) -> None:
        raise self.error(
            f"unsupported modifier ({operator}) in substitution",
            (begin, self.position),
            hint="The forms are ${v}, ${v:-word}, ${v:+word}, ${v:?message}, ${v#pattern}, ${v%pattern} "
            "and ${v/pattern/replacement}.",
        )

    def name(self) -> str:
        """Letters, digits and ``_``; or digits alone; or one of the shell's special parameters."""
        word, begin = self.word, self.position
        end = begin
        if end < len(word) and word[end].isdecimal():
            while end < len(word) and word[end].isdecimal():
                end += 1
        elif end < len(word) and word[end] in _SPECIAL_PARAMETERS:
            end += 1
        else:
            while end < len(word) and (word[end].isalpha() or word[end].isdecimal() or word[end] == "_"):
                end += 1
        self.position = end
        return word[begin:end]

    def get(self, name: str) -> str | None:
        value = self.variables.get(name)
        (self.undefined if value is None else self.used).setdefault(name)
        return value

    def substitute(self, frame: _Frame) -> None:
        value = self.get(frame.name)
        if value is None and self.mode.keep_unset:
            self.as_written(frame)
        elif frame.operator in "-+":
            missing = value is None or (frame.colon and not value)
            if missing == (frame.operator == "-"):
                self.emit(frame.parts, splits=True, size=frame.size)
            else:
                self.emit("" if missing else value or "", splits=True)
        else:
            self.emit(self.worked_out(frame, value, join(frame.parts)), splits=True)

    def worked_out(self, frame: _Frame, value: str | None, text: str) -> str:
        """The operators that need the word as one text."""
        match frame.operator:
            case "?":
                if value is None or (frame.colon and not value):
                    self.required(frame, text, unset=value is None)
                return value or ""
            case "/":
                return self.replaced(frame, value or "", text)
            case side:
                longest = text.startswith(side)
                pattern = self.pattern(frame, text[longest:], value or "")
                trim = pattern.trim_prefix if side == "#" else pattern.trim_suffix
                return trim(value or "", longest=longest)

    def as_written(self, frame: _Frame) -> None:
        operator = f"/{frame.pattern}/" if frame.operator == "/" else ":" * frame.colon + frame.operator
        head = f"${{{frame.name}{operator}"
        self.emit([head, frame.parts, "}"], splits=True, size=len(head) + frame.size + 1)

    def replaced(self, frame: _Frame, value: str, replacement: str) -> str:
        pattern = self.pattern(frame, frame.pattern or "", value)
        if (len(value) + 1) * len(replacement) <= LIMIT:
            return pattern.replace(value, replacement, everywhere=frame.colon)
        # Too many replacements could be too much text: count them before making it.
        marks = pattern.replace(value, "\0", everywhere=frame.colon).count("\0") - value.count("\0")
        if marks * len(replacement) > LIMIT:
            raise self.error(f"this expands to more than {LIMIT:,} characters", (frame.begin, self.position))
        return pattern.replace(value, replacement, everywhere=frame.colon)

    def pattern(self, frame: _Frame, text: str, value: str) -> Pattern:
        self.effort += len(value)
        if self.effort > EFFORT:
            raise self.error(f"the patterns here are tried on more than {EFFORT:,} characters", (0, len(self.word)))
        try:
            return Pattern.parse(text)
        except InvalidPattern as error:
            raise self.error(
                f"invalid pattern ({text}) in substitution: {error}",
                (frame.begin, self.position),
                hint="Only *, ? and \\ are escaped in a pattern.",
            ) from None

    def required(self, frame: _Frame, message: str, *, unset: bool) -> None:
        default = f"is not allowed to be {'unset' if unset else 'empty'}"
        raise self.error(
            f"{frame.name}: {message or default}",
            (frame.begin, self.position),
            cause=f"${{{frame.name}:?…}} asks for a value, and there is none" if not message else "",
            hint=f"Give it one: ARG {frame.name}=… above, or --build-arg {frame.name}=…",
        )

    # -- errors --------------------------------------------------------------------------------------------

    def error(self, what: str, span: tuple[int, int], *, cause: str = "", hint: str = "") -> DockerfileError:
        begin, end = span
        where = self.where
        if where is None:
            where = Location("word", 1, begin + 1, max(1, end - begin), self.word)
        elif where.text.startswith(self.word, where.column - 1):
            where = Location(where.source, where.line, where.column + begin, max(1, end - begin), where.text)
        return DockerfileError(what, where=where, cause=cause, hint=hint)
