"""The ``docker`` grammar: one tree of commands for the terminal and for notebook cells.

``run`` and ``execute`` take a command line and a :class:`Session`; ``complete`` and ``help_for`` serve editors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from minirt.cli.main import execute, run
from minirt.cli.session import ProgressFactory, Session

if TYPE_CHECKING:
    from minirt.cli.completion import Completion

__all__ = ["ProgressFactory", "Session", "complete", "execute", "help_for", "main", "run"]


def main() -> int:
    """The console script ``minirt``."""
    from minirt.cli.terminal import main

    return main()


def complete(words: list[str], session: Session) -> list[Completion]:
    """What may stand where the last of ``words`` is being typed; see :mod:`minirt.cli.completion`."""
    from minirt.cli.completion import complete

    return complete(words, session)


def help_for(words: list[str], name: str = "docker") -> str:
    """Markdown about the command or flag that ``words`` end with; empty if there is nothing to say."""
    from minirt.cli.completion import help_for

    return help_for(words, name)
