"""``top``: the processes of a container, as the machine sees them."""

from __future__ import annotations

from minirt.cli.grammar import command
from minirt.cli.session import Session

__all__ = ["top"]

_LEAST, _GAP = 20, 3  # docker/cli: tabwriter.NewWriter(out, 20, 1, 3, ' ', 0)


@command(
    "top",
    "Display the running processes of a container",
    usage="CONTAINER [ps OPTIONS]",
    arity=(1, None),
    operands="container",
    interspersed=False,
)
def top(session: Session, arguments: tuple[str, ...]) -> None:
    name, *words = arguments
    table = session.engine.containers.get(name).top(words)
    lines = [table["Titles"], *table["Processes"]]
    columns = max(len(line) for line in lines)
    widths = [
        max(_LEAST, *(len(line[column]) + _GAP for line in lines if column < len(line))) for column in range(columns)
    ]
    for line in lines:
        padded = [cell.ljust(width) for cell, width in zip(line[:-1], widths, strict=False)]
        session.print("".join(padded) + line[-1] + "\n")
