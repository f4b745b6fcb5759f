"""One container seen from both sides: its namespaces, and its processes with their ids inside and outside.

What the container has for itself is two cards side by side; what it shares with the machine is one card across both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from minirt.views.graph import Graph, Kind, LegendItem, Look, Node
from minirt.views.tables import text_table
from minirt.views.text import clean

__all__ = ["IdMap", "NamespaceRow", "ProcessRow", "gone_graph", "namespaces_graph"]

_MEANING = {
    "cgroup": "its place among control groups", "ipc": "message queues, shared memory", "mnt": "the files it sees",
    "net": "interfaces, addresses, ports", "pid": "process ids", "time": "clocks since boot",
    "user": "user ids and root's powers", "uts": "the host name",
}  # fmt: skip
_HALF, _PAGE, _CARD, _GAP = 414, 844, 34, 5.0
_RIGHT = float(_PAGE - _HALF)


@dataclass(frozen=True, slots=True)
class NamespaceRow:
    """``inside`` and ``outside`` are the kernel's numbers; equal ones mean that it is the machine's own."""

    kind: str
    inside: int
    outside: int

    @property
    def own(self) -> bool:
        return self.inside != self.outside


@dataclass(frozen=True, slots=True)
class IdMap:
    """``count`` user ids from ``inside`` on are those from ``outside`` on (user_namespaces(7), uid_map)."""

    inside: int
    outside: int
    count: int


@dataclass(frozen=True, slots=True)
class ProcessRow:
    """A process: its ids in the container and on the machine; ``origin`` says how it came to be.

    ``yours``: outside, it is the user that looks.
    """

    inside_pid: int
    outside_pid: int
    inside_uid: int
    outside_uid: int
    command: str
    origin: str = ""
    yours: bool = False


def namespaces_graph(
    name: str,
    namespaces: Sequence[NamespaceRow],
    processes: Sequence[ProcessRow],
    maps: Sequence[IdMap] = (),
    *,
    stable: bool = False,
) -> Graph:
    """Inside on the left, outside on the right. ``stable`` leaves out the numbers that differ at each run."""
    own = {row.kind for row in namespaces if row.own}
    nodes = [_heading("inside", f"inside {name}", 0.0), _heading("outside", "outside, on the machine", _RIGHT)]
    y = 26.0
    for row in namespaces:
        nodes += _namespace(row, y, stable)
        y += _CARD + _GAP
    if "user" in own and maps and not stable:
        nodes += _mapping(maps, y)
        y += _CARD + _GAP
    y += 10
    for one in processes:
        nodes += _process(one, y, stable, "pid" in own)
        y += 44 + _GAP
    shared = len(namespaces) - len(own)
    return Graph(
        id="namespaces",
        title=f"Namespaces of {clean(name)}",
        subtitle=f"{len(own)} of its own, {shared} shared with the machine; "
        f"{'1 process' if len(processes) == 1 else f'{len(processes)} processes'}",
        nodes=tuple(nodes),
        legend=(
            LegendItem(Look.CONTAINER, "the container's own"),
            LegendItem(Look.SHARED, "shared with the machine"),
            LegendItem(Look.PLAIN, "the machine's"),
            LegendItem(Look.PROCESS, "process"),
        ),
        text=_text(namespaces, processes, maps, stable),
    )


def gone_graph(name: str, status: str) -> Graph:
    """What is left to draw of a container that does not run."""
    words = f"{clean(name)} is not running ({status}): it has no processes and no namespaces then"
    note = Node(id="nothing", kind=Kind.NOTE, title=words, width=_PAGE, height=_CARD, place=(0.0, 0.0))
    return Graph(id="namespaces", title=f"Namespaces of {clean(name)}", nodes=(note,), text=f"{words}.")


def _heading(identity: str, words: str, x: float) -> Node:
    return Node(
        id=f"heading-{identity}", kind=Kind.NOTE, title=words, look=Look.EMPTY, width=_HALF, height=22, place=(x, 0.0)
    )


def _namespace(row: NamespaceRow, y: float, stable: bool) -> Iterator[Node]:
    meaning = _MEANING.get(row.kind, "")
    number = "" if stable else str(row.inside)
    if not row.own:
        detail = f"the machine's {number}".strip()
        tooltip = f"{row.kind} namespace\n{meaning}\nshared with the machine"
        yield Node(
            f"ns-{row.kind}", Kind.MORE, row.kind, meaning, detail, look=Look.SHARED, tooltip=tooltip,
            width=_PAGE, height=_CARD, place=(0.0, y),
        )  # fmt: skip
        return
    tooltip = f"{row.kind} namespace\n{meaning}\nthe container's own"
    yield Node(
        f"ns-{row.kind}", Kind.MORE, row.kind, meaning, f"its own {number}".strip(), look=Look.CONTAINER,
        tooltip=tooltip, width=_HALF, height=_CARD, place=(0.0, y),
    )  # fmt: skip
    yield Node(
        f"ns-{row.kind}-out", Kind.MORE, row.kind, meaning, "another" if stable else str(row.outside), look=Look.PLAIN,
        tooltip=f"{row.kind} namespace\n{meaning}\nthe machine's", width=_HALF, height=_CARD, place=(_RIGHT, y),
    )  # fmt: skip


def _mapping(maps: Sequence[IdMap], y: float) -> Iterator[Node]:
    inside = ", ".join(_range(one.inside, one.count) for one in maps)
    outside = ", ".join(_range(one.outside, one.count) for one in maps)
    lines = "\n".join(f"{_range(one.inside, one.count)} inside is {_range(one.outside, one.count)}" for one in maps)
    tooltip = f"user ids, as the user namespace translates them\n{lines}"
    for identity, words, look, x in (("in", inside, Look.CONTAINER, 0.0), ("out", outside, Look.PLAIN, _RIGHT)):
        yield Node(
            f"map-{identity}", Kind.MORE, "user ids", words, look=look, tooltip=tooltip,
            width=_HALF, height=_CARD, place=(x, y),
        )  # fmt: skip


def _range(first: int, count: int) -> str:
    return str(first) if count == 1 else f"{first} to {first + count - 1}"


def _process(one: ProcessRow, y: float, stable: bool, own_pids: bool) -> Iterator[Node]:
    user = "your user" if one.yours else f"user {one.outside_uid}"
    outside = user if stable else f"pid {one.outside_pid}, user {one.outside_uid}" + (" (you)" if one.yours else "")
    command = clean(one.command)
    tooltip = f"{command}\n{one.origin}".strip()
    if not own_pids:
        yield Node(
            f"in-{one.outside_pid if not stable else command}", Kind.PROCESS, outside, command,
            ", ".join(filter(None, (one.origin, "the same inside and outside"))), look=Look.SHARED,
            tooltip=tooltip, width=_PAGE, height=44, place=(0.0, y),
        )  # fmt: skip
        return
    yield Node(
        f"in-{one.inside_pid}", Kind.PROCESS, f"pid {one.inside_pid}, user {one.inside_uid}", command, one.origin,
        look=Look.PROCESS, tooltip=tooltip, width=_HALF, height=44, place=(0.0, y),
    )  # fmt: skip
    yield Node(
        f"out-{one.inside_pid}", Kind.PROCESS, f"another pid, {outside}" if stable else outside, command,
        "the same process", look=Look.PLAIN, tooltip=tooltip, width=_HALF, height=44, place=(_RIGHT, y),
    )  # fmt: skip


def _text(
    namespaces: Sequence[NamespaceRow], processes: Sequence[ProcessRow], maps: Sequence[IdMap], stable: bool
) -> str:
    """What differs from machine to machine stands last in a line."""
    rows = [
        [row.kind, _MEANING.get(row.kind, ""), "its own" if row.own else "the machine's"]
        + ([] if stable else [str(row.inside), str(row.outside)])
        for row in namespaces
    ]
    numbers = [] if stable else ["Inside", "Outside"]
    parts = [text_table(["Namespace", "What it holds", "Whose", *numbers], rows)]
    own = {row.kind for row in namespaces if row.own}
    if "user" in own and maps and not stable:
        ids = [[_range(one.inside, one.count), _range(one.outside, one.count)] for one in maps]
        parts.append(text_table(["User ids inside", "Outside"], ids))
    if processes:
        seen = [[clean(one.command)[:60], one.origin, *_ids(one, stable, "pid" in own)] for one in processes]
        heads = ["Ids"] if stable else ["Pid inside", "Pid outside", "User inside", "User outside"]
        parts.append(text_table(["Process", "Came by", *heads], seen))
    return "\n\n".join(parts)


def _ids(one: ProcessRow, stable: bool, own_pids: bool) -> list[str]:
    if stable:
        return [f"{one.inside_pid} inside, another outside" if own_pids else "the same inside and outside"]
    return [str(one.inside_pid), str(one.outside_pid), str(one.inside_uid), str(one.outside_uid)]
