"""One line a figure, aligned."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Row", "Table"]


@dataclass(frozen=True, slots=True)
class Row:
    """Times in milliseconds. ``peer`` is docker's for the same; ``other`` another yardstick and its name."""

    what: str
    ours: float
    aim: str = ""
    peer: float | None = None
    other: tuple[str, float] | None = None


class Table:
    """Prints rows as they come."""

    def __init__(self, with_peer: bool) -> None:
        head = f"{'':50}{'minirt':>12}"
        print(head + (f"{'docker':>12}{'ratio':>8}" if with_peer else "") + "   aim")
        self._with_peer = with_peer

    def print(self, row: Row) -> None:
        line = f"{row.what:50}{row.ours:>9.1f} ms"
        if self._with_peer:
            peer = f"{row.peer:>9.1f} ms{row.ours / row.peer:>8.2f}" if row.peer else " " * 20
            line += peer
        note = row.aim
        if row.other is not None:
            name, time = row.other
            note += f" · {row.ours / time:.1f} times {name} ({time:.0f} ms)"
        print(f"{line}   {note}".rstrip(), flush=True)
