"""The cell's place on the page: where text and pictures go.

Only the cell's own coroutine calls these, so that IPython's own bookkeeping (a context variable) sends everything to
the right cell.
"""

# mypy: disable-error-code="no-untyped-call"
from __future__ import annotations

import sys
from typing import Any, Protocol

__all__ = ["NotebookPage", "Page", "TerminalPage", "cell_key", "page_of"]


class Page(Protocol):
    """``moves``: whether a picture that was shown can be changed."""

    moves: bool

    def write(self, stream: str, text: str) -> None:
        """Text for ``stdout`` or ``stderr``, shown at once."""

    def show(self, bundle: dict[str, Any], display_id: str, *, update: bool) -> None:
        """One mimebundle; with ``update`` in place of the one shown before under ``display_id``."""


class NotebookPage:
    """A Jupyter front end."""

    moves = True

    def write(self, stream: str, text: str) -> None:
        out = sys.stderr if stream == "stderr" else sys.stdout
        out.write(text)
        out.flush()  # ipykernel's own timer would hold it back for 0.2 s

    def show(self, bundle: dict[str, Any], display_id: str, *, update: bool) -> None:
        from IPython.display import publish_display_data

        publish_display_data(bundle, {}, transient={"display_id": display_id}, update=update)


class TerminalPage:
    """IPython in a terminal: a picture is its text twin, printed once."""

    moves = False

    def write(self, stream: str, text: str) -> None:
        out = sys.stderr if stream == "stderr" else sys.stdout
        out.write(text)
        out.flush()

    def show(self, bundle: dict[str, Any], display_id: str, *, update: bool) -> None:
        sys.stdout.write(bundle["text/plain"].rstrip("\n") + "\n")


def page_of(shell: Any) -> Page:
    """The page of an IPython shell."""
    return NotebookPage() if getattr(shell, "kernel", None) is not None else TerminalPage()


def cell_key(shell: Any) -> tuple[str, int]:
    """The cell that runs: its id, where the front end sends one, and its execution count.

    Without an id (nbconvert, a terminal) every run is a cell of its own.
    """
    number = int(shell.execution_count)
    parent = shell.get_parent() if hasattr(shell, "get_parent") else {}
    found = ((parent or {}).get("metadata") or {}).get("cellId")
    return (str(found) if found else f"run {number}"), number
