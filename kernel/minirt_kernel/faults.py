"""Errors on the page: what happened, where, the likely cause, what to do. No Python traceback.

IPython asks an exception for ``_render_traceback_`` before it draws one itself. The runtime knows nothing of
Jupyter, so its root class is taught here, when the kernel (or the extension) starts. The error is still an
exception: the reply says ``error`` and Run All stops.
"""

from __future__ import annotations

import signal
from dataclasses import replace

from minirt.errors import Cancelled, ContainerFailed, Location, MinirtError

__all__ = ["install", "render", "shift", "without_name"]

_SIGNALLED = 128
"""A program that signal n ended has the exit code 128 + n (POSIX, shell command language)."""

_SHELL_SAYS = {
    126: "126 is a shell's word for: there is such a file, but it is no program that may be run",
    127: "127 is a shell's word for: the image has no such program",
}

# No red: JupyterLab gives an error a red ground already, on which its bold red is hard to read in the dark theme.
_BOLD, _OFF = "\x1b[1m", "\x1b[0m"


def install() -> None:
    """Teach every :class:`MinirtError` to show itself; a second call changes nothing."""
    MinirtError._render_traceback_ = render  # type: ignore[attr-defined]


def render(error: MinirtError) -> list[str]:
    """The error as lines, in bold (ANSI) what to read first: notebooks, nbconvert and terminals show it."""
    if isinstance(error, Cancelled):
        return [f"{_BOLD}Interrupted.{_OFF} Nothing half made was kept."]
    lines = [f"{_BOLD}{_title(error)}: {error.what}{_OFF}"]
    if error.where is not None:
        lines.append(f"  {error.where.source}, line {error.where.line}")
        text, _, caret = error.where.draw().partition("\n")
        number, bar, rest = text.partition("|")
        lines += [f"{number}{bar}{rest}", f"{_BOLD}{caret}{_OFF}"]
    if error.cause:
        lines.append(f"{_BOLD}Likely cause:{_OFF} {error.cause}")
    if error.hint:
        lines.append(f"{_BOLD}What to do:{_OFF} {error.hint}")
    return lines


def shift(error: MinirtError, source: str, lines: int, shown_as: str = "cell") -> None:
    """Count a place in the text ``source`` in the cell's lines instead, which begins ``lines`` lines earlier."""
    where = error.where
    if isinstance(where, Location) and where.source == source:
        error.where = replace(where, source=shown_as, line=where.line + lines)


def without_name(error: ContainerFailed) -> ContainerFailed:
    """The same without the container's name, which is random unless the user chose it: saved outputs stay equal."""
    code = error.exit_code
    cause = error.cause
    if not cause and code in _SHELL_SAYS:
        cause = _SHELL_SAYS[code]
    elif not cause and code > _SIGNALLED:
        try:
            cause = f"a signal ended it: {signal.Signals(code - _SIGNALLED).name}"
        except ValueError:
            cause = ""
    what = f"the container ended with exit code {code}"
    return ContainerFailed(what, exit_code=code, stderr=error.stderr, cause=cause, hint=error.hint)


def _title(error: MinirtError) -> str:
    """The class's name as words: ``ImageNotFound`` -> ``Image not found``."""
    name = type(error).__name__
    words = "".join(f" {char.lower()}" if char.isupper() else char for char in name).strip()
    return words[0].upper() + words[1:]
