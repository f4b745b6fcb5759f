"""What each instruction and each flag means, for completion and Shift-Tab. Texts: the ``help_*`` tables."""

from __future__ import annotations

from dataclasses import dataclass

from minirt.dockerfile.help_flags import FLAG_HELP, MOUNT_HELP
from minirt.dockerfile.help_instructions import INSTRUCTION_HELP

__all__ = ["FlagHelp", "InstructionHelp", "keywords", "mount_options", "reference"]


@dataclass(frozen=True, slots=True)
class FlagHelp:
    """``name`` with its dashes, ``value`` what may follow the ``=`` (empty for a switch), ``summary`` a sentence."""

    name: str
    value: str
    summary: str


@dataclass(frozen=True, slots=True)
class InstructionHelp:
    """``syntax`` has a line a form; ``makes`` is ``layer``, ``config``, ``stage`` or ``later``."""

    keyword: str
    syntax: str
    summary: str
    example: str
    makes: str
    flags: tuple[FlagHelp, ...] = ()

    def markdown(self) -> str:
        """The whole help as Markdown."""
        parts = [f"### {self.keyword}", self.summary, f"```dockerfile\n{self.syntax}\n```", f"*{_MAKES[self.makes]}*"]
        if self.flags:
            # A bar inside a cell, even inside code, would end the cell.
            cells = ((f"`{one.name}{'=' * bool(one.value)}{one.value}`", one.summary) for one in self.flags)
            rows = ("| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in cells)
            parts.append("\n".join(("| flag | meaning |", "|---|---|", *rows)))
        parts.append(f"For example:\n\n```dockerfile\n{self.example}\n```")
        return "\n\n".join(parts) + "\n"


_MAKES = {
    "layer": "Changes files: makes a layer.",
    "config": "Changes only the image's config: no layer.",
    "stage": "Begins a stage.",
    "later": "Does nothing in this build: it runs when another image is built FROM this one.",
}


def keywords() -> tuple[str, ...]:
    """All instructions, in alphabetical order."""
    return tuple(sorted(INSTRUCTION_HELP))


def reference(keyword: str) -> InstructionHelp | None:
    """The help of an instruction, in any case; None if there is none of that name."""
    found = INSTRUCTION_HELP.get(keyword.upper())
    if found is None:
        return None
    flags = FLAG_HELP.get(keyword.upper(), {})
    return InstructionHelp(
        keyword.upper(), *found, flags=tuple(FlagHelp(f"--{name}", *texts) for name, texts in flags.items())
    )


def mount_options(kind: str = "bind") -> tuple[FlagHelp, ...]:
    """The options of ``RUN --mount=type=kind``; empty for an unknown kind."""
    return tuple(FlagHelp(name, *texts) for name, texts in MOUNT_HELP.get(kind, {}).items())
