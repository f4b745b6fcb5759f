"""Lists as docker prints them: columns, ``--format`` and ``-q`` (docker/cli, cli/command/formatter)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from minirt.cli.template_functions import go_json
from minirt.cli.templates import Fields, Template, unescape

__all__ = ["Listing", "align"]

_MINIMUM, _PADDING = 10, 3  # docker/cli: tabwriter.NewWriter(out, 10, 1, 3, ' ', 0)


@dataclass(frozen=True, slots=True)
class Listing:
    """What a list can show.

    ``titles`` are all the fields with their column titles, ``columns`` the fields of the default table, ``quiet``
    the field that ``-q`` prints.
    """

    titles: Mapping[str, str]
    columns: tuple[str, ...]
    quiet: str

    def render(self, rows: Sequence[Mapping[str, Any]], *, form: str = "", quiet: bool = False) -> str:
        """The whole text; ``form`` is what ``--format`` got. Raises :class:`minirt.errors.InvalidInput`."""
        if quiet and (not form or form == "table"):
            return "".join(f"{row[self.quiet]}\n" for row in rows)
        if form == "json":
            form = "{{json .}}"
        if not form or form == "table":
            form = "table " + r"\t".join(f"{{{{.{name}}}}}" for name in self.columns)
        if form.startswith("table"):
            return self._table(rows, Template(unescape(form.removeprefix("table").strip())))
        template = Template(unescape(form))
        if form == "{{json .}}":
            return "".join(f"{_escaped(go_json(dict(sorted(row.items()))))}\n" for row in rows)
        return "".join(f"{template.render(Fields(row))}\n" for row in rows)

    def _table(self, rows: Sequence[Mapping[str, Any]], template: Template) -> str:
        titles: dict[str, Any] = dict(self.titles)
        functions = [name for row in rows[:1] for name, value in row.items() if callable(value)]
        for name in functions:  # the title of {{.Label "stage"}} is the label's name
            titles[name] = lambda argument: argument
        lines = [template.render(Fields(titles), header=True)]
        lines += [template.render(Fields(row)) for row in rows]
        return align([line.split("\t") for line in lines])


def align(lines: Sequence[Sequence[str]]) -> str:
    """Cells in columns, as Go's text/tabwriter sets them: the last cell of a line is not padded."""
    widths: list[int] = []
    for cells in lines:
        for column, cell in enumerate(cells[:-1]):
            widths += [_MINIMUM] * (column + 1 - len(widths))
            widths[column] = max(widths[column], len(cell) + _PADDING)
    out = []
    for cells in lines:
        padded = [cell.ljust(widths[column]) for column, cell in enumerate(cells[:-1])]
        out.append("".join(padded) + cells[-1] + "\n")
    return "".join(out)


def _escaped(text: str) -> str:
    """Go writes these three as escapes inside JSON of a row."""
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
