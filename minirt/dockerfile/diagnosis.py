"""Why a line is not an instruction: the likely cause, from what it looks like and what stands above it."""

from __future__ import annotations

from minirt.dockerfile.instructions import KEYWORDS
from minirt.dockerfile.source import Origin
from minirt.dockerfile.suggest import did_you_mean
from minirt.errors import DockerfileError

__all__ = ["unknown_instruction"]

_CONTINUES = ("&&", "||", "|", ";", "-", "\\", "&", ">", "]", ")", "}", '"', "'")
_COMMANDS = frozenset(
    """
    apk apt apt-get awk bash bundle cargo cat cd chmod chown composer conda cp curl dnf echo export find gem git go
    grep gunzip gzip if install java ln ls make mkdir mv node npm perl pip pip3 printf python python3 rm ruby sed
    set sh sleep sudo tar test touch unzip useradd wget yarn yum
    """.split()  # noqa: SIM905 - words read best as words
)
_INVISIBLE = {"\xa0": "a no-break space", "\u200b": "a zero-width space", "\u2003": "an em space", "\ufeff": "a BOM"}


def unknown_instruction(origin: Origin, above: Origin | None, escape: str) -> DockerfileError:
    """The error for a statement whose first word is no keyword; ``above`` is the statement before it."""
    word = origin.keyword
    cause, hint = _explain(word, origin, above, escape)
    return origin.error(f"unknown instruction: {word}", (0, max(1, len(word))), cause=cause, hint=hint)


def _explain(word: str, origin: Origin, above: Origin | None, escape: str) -> tuple[str, str]:
    for char, name in _INVISIBLE.items():
        if char in word:
            return f"{name} stands where an ordinary space should, often copied from a web page", "Type it again."
    if not word:
        return f"the line holds only {escape}", "Remove it."
    if word.startswith(("<<<<<<<", "=======", ">>>>>>>")):
        return "a merge conflict was left in the file", "Choose one side and remove the marks."
    if word.startswith("```"):
        return "a mark of Markdown was copied along", "Remove the line."
    if word.startswith("//") or word.startswith("/*") or word.startswith("--"):
        return "", "Comments begin with #."
    stripped = word.strip(":=.,;").upper()
    if stripped in KEYWORDS:
        return f"{word[len(stripped) :] or word[:1]!r} does not belong there", f"Write {stripped} and a space."
    for keyword in KEYWORDS:
        if word.upper().startswith((f"{keyword}[", f'{keyword}"', f"{keyword}--", f"{keyword}=")):
            return "", f"Put a space after {keyword}."
    if above is not None and (word.startswith(_CONTINUES) or word in _COMMANDS):
        return (
            f"{above.keyword} of line {above.first_line} was meant to go on here, but the line above does not end "
            f"with {escape}",
            f"End the line above with {escape}, or write RUN before this one.",
        )
    return "", did_you_mean(word, KEYWORDS)
