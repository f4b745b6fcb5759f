"""One container seen from both sides: its namespaces, and its processes with their ids inside and outside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from minirt.views.graph import Graph, Kind, LegendItem, Look, Node
from minirt.views.tables import text_table

__all__ = ["NamespaceRow", "ProcessRow", "namespaces_graph"]

_MEANING = {
    "cgroup": "its place among control groups", "ipc": "message queues, shared memory", "mnt": "the files it sees",
    "net": "interfaces, addresses, ports", "pid": "process ids", "time": "clocks since boot",
    "user": "user ids and root's powers", "uts": "the host name",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class NamespaceRow:
    """``inside`` and ``outside`` are the kernel's numbers; equal ones mean that it is the machine's own."""

    kind: str
    inside: int
    outside: int


@dataclass(frozen=True, slots=True)
class ProcessRow:
    """A process: its ids in the container and on the machine."""

    inside_pid: int
    outside_pid: int
    inside_uid: int
    outside_uid: int
    command: str


def namespaces_graph(
    name: str, namespaces: Sequence[NamespaceRow], processes: Sequence[ProcessRow], *, stable: bool = False
) -> Graph:
    """Inside on the left, outside on the right. ``stable`` leaves out the numbers that differ at each run."""
    nodes = []
    for number, row in enumerate(namespaces):
        own = row.inside != row.outside
        words = "own" if own else "the machine's"
        nodes.append(_card(f"ns-{row.kind}", row.kind, _MEANING.get(row.kind, ""), Look.UNIQUE if own else Look.SHARED,
                           (0.0, number * 48.0), words if stable else f"{words}, {row.inside}"))  # fmt: skip
        if not stable and own:
            nodes.append(_card(f"ns-{row.kind}-out", row.kind, "of the machine", Look.PLAIN, (430.0, number * 48.0),
                               str(row.outside)))  # fmt: skip
    top = len(namespaces) * 48.0 + 16
    for number, one in enumerate(processes):
        y = top + number * 48.0
        where = f"pid {one.inside_pid}, user {one.inside_uid}"
        nodes.append(_card(f"in-{one.inside_pid}", where, one.command, Look.UNIQUE, (0.0, y), "in the container"))
        outside = "another pid" if stable else f"pid {one.outside_pid}, user {one.outside_uid}"
        nodes.append(_card(f"out-{one.inside_pid}", outside, one.command, Look.PLAIN, (430.0, y), "on the machine"))
    return Graph(
        id="namespaces",
        title=f"Namespaces of {name}",
        subtitle="the same processes, seen from inside and from outside",
        nodes=tuple(nodes),
        legend=(LegendItem(Look.UNIQUE, "the container's own"), LegendItem(Look.SHARED, "shared with the machine")),
        text=_text(namespaces, processes, stable),
    )


def _card(identity: str, title: str, text: str, look: Look, place: tuple[float, float], detail: str) -> Node:
    tooltip = f"{title}\n{text}\n{detail}"
    return Node(
        identity, Kind.CONTAINER, title, text, detail, look=look, tooltip=tooltip, width=414, height=42, place=place
    )


def _text(namespaces: Sequence[NamespaceRow], processes: Sequence[ProcessRow], stable: bool) -> str:
    rows = [
        [row.kind, "own" if row.inside != row.outside else "the machine's", _MEANING.get(row.kind, "")]
        + ([] if stable else [str(row.inside), str(row.outside)])
        for row in namespaces
    ]
    first = text_table(["Namespace", "Whose", "What it holds", *([] if stable else ["Inside", "Outside"])], rows)
    seen = [
        [str(one.inside_pid), str(one.inside_uid)]
        + ([] if stable else [str(one.outside_pid), str(one.outside_uid)])
        + [one.command]
        for one in processes
    ]
    heads = ["Pid inside", "User inside", *([] if stable else ["Pid outside", "User outside"]), "Command"]
    return f"{first}\n\n{text_table(heads, seen)}" if seen else first
