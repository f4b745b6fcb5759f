"""What a cell is, from its text alone.

A cell is a Dockerfile, a script for a container, docker commands, a graph, or (whenever in doubt) Python::

    %%dockerfile -t hello:1 .        FROM minirt/base
    FROM minirt/base                 RUN echo hello > /greeting

    %%run --rm hello:1               docker build -t hello:1 .
    cat /greeting                    docker run --rm hello:1 ls /

Python has the last word: a line such as ``docker = 3``, ``docker.run()`` or ``FROM = "x"`` is Python's.
"""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass

__all__ = [
    "Cell",
    "DockerCell",
    "DockerfileCell",
    "DockerfileLine",
    "GraphCell",
    "MistypedCell",
    "PythonCell",
    "RunCell",
    "classify",
    "is_bare_dockerfile",
]


@dataclass(frozen=True, slots=True)
class PythonCell:
    """Python, or anything else IPython understands."""


@dataclass(frozen=True, slots=True)
class DockerfileCell:
    """``options`` follow ``%%dockerfile``; ``text`` is the Dockerfile, whose first line is the cell's ``line``."""

    options: str
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class RunCell:
    """``options`` follow ``%%run`` on the cell's line ``line - 1``; ``script`` starts on ``line``."""

    options: str
    script: str
    line: int


@dataclass(frozen=True, slots=True)
class DockerCell:
    """``text``: lines that each start with ``docker`` (or ``%docker``), comments and blank lines."""

    text: str


@dataclass(frozen=True, slots=True)
class GraphCell:
    """``arguments`` follow ``%graph``."""

    arguments: str
    line: int


@dataclass(frozen=True, slots=True)
class DockerfileLine:
    """``arguments`` follow ``%dockerfile``: cells to a file, or a file to cells."""

    arguments: str
    line: int


@dataclass(frozen=True, slots=True)
class MistypedCell:
    """``word`` on the cell's ``line`` is not Python's, and nearly ``meant``."""

    word: str
    meant: str
    line: int


Cell = PythonCell | DockerfileCell | RunCell | DockerCell | GraphCell | DockerfileLine | MistypedCell

_MAGIC = re.compile(r"(?P<blank>(?:[ \t]*\n)*)[ \t]*%%(?P<name>dockerfile|run)(?P<options>(?:[ \t][^\n]*)?)(?:\n|$)")
_FIRST_WORD = re.compile(r"(?:\$[ \t]+)?(?:sudo[ \t]+)?%?docker(?:[ \t]+(?P<next>\S+)|[ \t]*$)")
_LINE = re.compile(r"%(?P<name>graph|dockerfile)(?P<arguments>(?:[ \t][^\n]*)?)$")
# What may follow a name in Python: `docker = 3`, `FROM, x = 1, 2`, `docker is None` …
_PYTHON_NEXT = re.compile(
    r"(?:[=+*/%(\[.,:|&<>!@^;)\]}~]|-(?!-?[A-Za-z])|(?:in|is|and|or|if|else|not|for|as)(?![\w-]))"
)
_COMMENT_OR_BLANK = re.compile(r"[ \t]*(?:#[^\n]*)?$")


def classify(text: str, defined: Callable[[str], bool] = lambda _name: False) -> Cell:
    """The kind of a cell. ``defined(name)``: whether Python knows ``name`` (``docker -v`` is then a subtraction)."""
    magic = _MAGIC.match(text)
    if magic:
        body, line = text[magic.end() :], text.count("\n", 0, magic.start("name")) + 2
        kind = DockerfileCell if magic["name"] == "dockerfile" else RunCell
        return kind(magic["options"].strip(), body, line)
    number, first = _first_code_line(text)
    one = _LINE.match(first)
    if one and all(_COMMENT_OR_BLANK.match(line) for line in text.split("\n")[number:]):
        return (GraphCell if one["name"] == "graph" else DockerfileLine)(one["arguments"].strip(), number)
    if _starts_docker(first, defined) and (not first.startswith("%") or _only_docker(text)):
        return DockerCell(text)
    if is_bare_dockerfile(text):
        return DockerfileCell("", text, 1)
    return _mistyped(text, number, first) or PythonCell()


def _mistyped(text: str, number: int, first: str) -> MistypedCell | None:
    """``%%dockerfil``, ``Docker ps``: what Python would answer with a syntax error that helps nobody."""
    magic = re.match(r"%%([A-Za-z]+)(?=\s|$)", first)
    if magic:
        name = magic[1].lower()
        near = [name] if name in ("dockerfile", "run") else difflib.get_close_matches(name, ["dockerfile"], cutoff=0.8)
        return MistypedCell(magic[0], f"%%{near[0]}", number) if near else None
    word = re.match(r"(?:[$%][ \t]*)?([A-Za-z]+)[ \t]+([A-Za-z-]+)(?=\s|$)", first)
    if word is None or word[1] == "docker" or _PYTHON_NEXT.match(word[2]) or _is_python(text):
        return None
    if difflib.get_close_matches(word[1].lower(), ["docker"], cutoff=0.8):
        return MistypedCell(word[1], f"docker {word[2]}", number)
    return None


def is_begun_dockerfile(text: str) -> bool:
    """Whether the cell ends with ``FROM `` and nothing behind it: who types that asks for the names of images."""
    return text.endswith(("FROM ", "FROM\t")) and is_bare_dockerfile(f"{text}scratch")


def is_bare_dockerfile(text: str) -> bool:
    """Whether the cell starts as a Dockerfile does: FROM, with only comments, directives and ARG before it."""
    continued = False
    for line in text.split("\n"):
        if not continued and _COMMENT_OR_BLANK.match(line):
            continue
        if continued and line.lstrip().startswith("#"):
            continue  # a comment between the lines of one instruction
        if not continued:
            word, rest = _keyword(line)
            if word not in ("FROM", "ARG") or (rest and _PYTHON_NEXT.match(rest)):
                return False
            if word == "FROM":
                return not _is_python(text)
        continued = line.rstrip().endswith("\\")
    return False


def _keyword(line: str) -> tuple[str, str]:
    match = re.match(r"[ \t]*([A-Za-z]+)(?:[ \t]+(.*))?$", line)
    return (match[1], (match[2] or "").strip()) if match else ("", "")


def _first_code_line(text: str) -> tuple[int, str]:
    """Its number, from 1, and the line without the blanks around it."""
    for number, line in enumerate(text.split("\n"), 1):
        if not _COMMENT_OR_BLANK.match(line):
            return number, line.strip()
    return 0, ""


def _starts_docker(line: str, defined: Callable[[str], bool]) -> bool:
    match = _FIRST_WORD.match(line)
    if match is None:
        return False
    if line.startswith(("%", "$", "sudo")):
        return True
    following = match["next"] or ""
    if _PYTHON_NEXT.match(following):
        return False
    # `docker` and `docker -v` are whole Python expressions too
    return not defined("docker") if not following or following.startswith("-") else True


def _only_docker(text: str) -> bool:
    """Whether no line is Python: `%docker` may also stand in the middle of Python, where IPython runs it."""
    continued = False
    for line in text.split("\n"):
        if not continued and not _COMMENT_OR_BLANK.match(line) and not _FIRST_WORD.match(line.strip()):
            return False
        continued = line.rstrip().endswith("\\")
    return True


def _is_python(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError):
        return False
    return True
