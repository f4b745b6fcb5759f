"""One line a figure: what, ours, the aim and whether it is met, docker's figure and the ratio, what is beside."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Row", "Skipped", "Table"]

_WHAT = 58


@dataclass(frozen=True, slots=True)
class Row:
    """A figure in ``unit``. ``docker`` is docker's for the same, ``beside`` others' or other yardsticks, by name.

    ``aim`` is the most it may be, in ``unit``; with ``times``, the most it may be in multiples of that yardstick of
    ``beside``.
    """

    what: str
    ours: float
    unit: str = "ms"
    aim: float | None = None
    times: str = ""
    docker: float | None = None
    beside: dict[str, float] = field(default_factory=dict)

    @property
    def met(self) -> bool | None:
        """None where nothing is aimed at."""
        if self.aim is None:
            return None
        return (self.ours / self.beside[self.times] if self.times else self.ours) <= self.aim


@dataclass(frozen=True, slots=True)
class Skipped:
    """A figure that this machine cannot give, and why."""

    what: str
    reason: str


class Table:
    """Prints rows as they come, and at the end how many aims were met."""

    def __init__(self, with_docker: bool) -> None:
        self._with_docker = with_docker
        self._results: list[bool] = []
        head = f"{'':{_WHAT}}{'minirt':>12}  {'aim':>9}  met"
        print(head + (f"{'docker':>13}{'ratio':>8}" if with_docker else "") + "  beside", flush=True)

    def heading(self, text: str) -> None:
        print(f"\n{text}", flush=True)

    def print(self, row: Row | Skipped) -> None:
        if isinstance(row, Skipped):
            print(f"  {row.what:{_WHAT - 2}}{'–':>12}  {row.reason}", flush=True)
            return
        if row.met is not None:
            self._results.append(row.met)
        aim = "" if row.aim is None else f"{row.aim:g} times" if row.times else _shown(row.aim, row.unit)
        met = {True: "yes", False: "NO", None: ""}[row.met]
        line = f"  {row.what:{_WHAT - 2}}{_shown(row.ours, row.unit):>12}  {aim:>9}  {met:3}"
        if self._with_docker:
            known = row.docker is not None
            line += f"{_shown(row.docker, row.unit):>13}{row.ours / row.docker:>8.2f}" if known else " " * 21
        notes = [f"{name} {_shown(value, row.unit)}" for name, value in row.beside.items()]
        if row.times:
            notes.insert(0, f"{row.ours / row.beside[row.times]:.1f} times:")
        print(f"{line}  {' · '.join(notes).replace(': · ', ' ')}".rstrip(), flush=True)

    def fail(self, measure: str, error: Exception) -> None:
        """A measure that could not be finished counts as an aim that is not met."""
        self._results.append(False)
        print(f"  {measure} failed: {error}", flush=True)

    def close(self) -> bool:
        """Whether all was met."""
        print(f"\n{sum(self._results)} of {len(self._results)} aims met")
        return all(self._results)


def _shown(value: float | None, unit: str) -> str:
    assert value is not None
    return f"{value:,.0f} {unit}" if value >= 100 or value == int(value) else f"{value:.1f} {unit}"
