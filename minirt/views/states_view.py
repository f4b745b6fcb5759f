"""The life of containers: the states there are, the commands that lead from one to the next, and who is where."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from minirt.views.graph import Chip, Edge, EdgeKind, Graph, Kind, LegendItem, Look, Node
from minirt.views.tables import text_table
from minirt.views.text import printable, text_width

__all__ = ["StatedContainer", "states_graph"]

_STATES = {
    "created": "a storage layer, no process yet",
    "running": "its program runs",
    "paused": "frozen, nothing is lost",
    "restarting": "ended, and about to start again",
    "exited": "the process is gone, the storage layer is not",
    "dead": "could not be removed whole",
    "gone": "the storage layer, too",
}
_ALWAYS = ("created", "running", "paused", "exited", "gone")
_WAYS = (
    ("created", "docker start", "running"),
    ("running", "docker pause", "paused"),
    ("paused", "docker unpause", "running"),
    ("running", "docker stop, docker kill, or its program ends", "exited"),
    ("exited", "docker start", "running"),
    ("exited", "docker rm", "gone"),
)
_NAMES = 4


@dataclass(frozen=True, slots=True)
class StatedContainer:
    """A container, its state, and the exit code of its program once it has ended."""

    name: str
    status: str
    exit_code: int | None = None


def states_graph(containers: Sequence[StatedContainer]) -> Graph:
    """All states, with the ``containers`` that are in them."""
    here = {one.status for one in containers}
    shown = [state for state in _STATES if state in _ALWAYS or state in here]
    nodes = [_state(state, [one for one in containers if one.status == state]) for state in shown]
    counts = [f"{sum(one.status == state for one in containers)} {state}" for state in shown if state in here]
    alone = printable(containers[0].name) if len(containers) == 1 else ""
    return Graph(
        id="states",
        title=f"The state of {alone}" if alone else "Containers and their states",
        subtitle=", ".join(counts) or "no containers",
        nodes=(*nodes, *_commands()),
        edges=tuple(_edges()),
        legend=(LegendItem(Look.CONTAINER, "a container is here"), LegendItem(Look.PLAIN, "none is")),
        text=_table(containers, shown),
        gap=10,
    )


def _state(state: str, inside: Sequence[StatedContainer]) -> Node:
    names = [_called(one) for one in inside]
    more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    return Node(
        id=f"state-{state}",
        kind=Kind.CONTAINER if inside else Kind.NOTE,
        title=state,
        detail=", ".join(names[:_NAMES]) + more if names else _STATES[state],
        look=Look.CONTAINER if inside else Look.PLAIN,
        chips=(Chip(str(len(inside)), width=34),) if len(inside) > 1 else (),
        tooltip=f"{state}: {_STATES[state]}\n" + "\n".join(names[:30]),
        width=270,
        height=44,
    )


def _called(one: StatedContainer) -> str:
    code = "" if one.exit_code is None or one.status != "exited" else f" (code {one.exit_code})"
    return printable(one.name) + code


def _commands() -> Iterator[Node]:
    for start, command, end in _WAYS:
        width = round(text_width(command, 12, mono=True)) + 20
        yield Node(f"{start}-to-{end}", Kind.NOTE, text=command, look=Look.EMPTY, width=width, height=24)


def _edges() -> Iterator[Edge]:
    for start, _, end in _WAYS:
        yield Edge(f"state-{start}", f"{start}-to-{end}", EdgeKind.STACK)
        yield Edge(f"{start}-to-{end}", f"state-{end}", EdgeKind.THEN)


def _table(containers: Sequence[StatedContainer], shown: Sequence[str]) -> str:
    rows = [
        [state, _STATES[state], ", ".join(_called(one) for one in containers if one.status == state)] for state in shown
    ]
    ways = [[start, command, end] for start, command, end in _WAYS]
    return f"{text_table(['State', 'Meaning', 'Containers'], rows)}\n\n{text_table(['From', 'Command', 'To'], ways)}"
