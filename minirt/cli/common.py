"""Small things that many commands share."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from minirt.cli.grammar import Flag, switch, value, values
from minirt.cli.session import Session
from minirt.cli.values import filter_pair
from minirt.errors import Cancelled, MinirtError

__all__ = ["FORMAT", "INSPECT_FORMAT", "QUIET_IDS", "confirmed", "each", "filter_flag", "pretty"]

_TEMPLATE_HELP = (
    "'json':             Print in JSON format\n"
    "'TEMPLATE':         Print output using the given Go template.\n"
    "Refer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates"
)


def FORMAT() -> Flag:  # noqa: N802 - a constant, made anew because click keeps state in it
    text = (
        "Format output using a custom template:\n"
        "'table':            Print output in table format with column headers (default)\n"
        "'table TEMPLATE':   Print output in table format using the given Go template\n"
    )
    return value("--format", "", text + _TEMPLATE_HELP, name="form")


def INSPECT_FORMAT() -> Flag:  # noqa: N802
    return value("--format", "f", "Format output using a custom template:\n" + _TEMPLATE_HELP, name="form")


def QUIET_IDS(text: str = "Only show image IDs") -> Flag:  # noqa: N802
    return switch("--quiet", "q", text)


def filter_flag(text: str = "Filter output based on conditions provided", short: str = "f") -> Flag:
    return values("--filter", short, text, word="filter", name="filters", parse=filter_pair)


def each(session: Session, names: Iterable[str], action: Callable[[str], str | None]) -> None:
    """Do ``action`` for every name and print what it gives; one that fails does not keep the others from their turn.

    The last failure is raised, those before it are printed.
    """
    failures: list[MinirtError] = []
    for name in names:
        try:
            said = action(name)
        except Cancelled:
            raise
        except MinirtError as error:
            failures.append(error)
            continue
        if said is not None:
            session.print(said if said.endswith("\n") or not said else f"{said}\n")
    for failure in failures[:-1]:
        session.complain_of(failure)
    if failures:
        raise failures[-1]


def confirmed(session: Session, warning: str, force: bool) -> bool:
    """Ask on the terminal, unless ``--force`` says not to; the end of the input is a no."""
    if force:
        return True
    session.print(f"WARNING! {warning}\nAre you sure you want to continue? [y/N] ")
    if session.stdin.readline().strip().lower() in (b"y", b"yes"):
        return True
    session.print("\n")
    if not session.interactive:
        session.complain("Nothing was removed: there is nobody to ask here. Add --force to go ahead.\n")
    return False


def pretty(data: Any) -> str:
    """JSON as ``docker inspect`` lays it out."""
    return json.dumps(data, indent=4, ensure_ascii=False) + "\n"
