"""The storage, volumes and namespaces pictures, and their text twins."""

from __future__ import annotations

from minirt.views import LayerBox, to_svg
from minirt.views.graph import Look
from minirt.views.namespaces_view import IdMap, NamespaceRow, ProcessRow, gone_graph, namespaces_graph
from minirt.views.states_view import StatedContainer, states_graph
from minirt.views.storage_view import (
    StorageContainer,
    StorageVolume,
    StoredPath,
    VolumeUse,
    storage_graph,
    volumes_graph,
)

BASE = LayerBox("sha256:aa", 14_500_000, "minirt/base", local=True)
TOP = LayerBox("sha256:bb", 10, "RUN echo hello > /hello")
PATHS = (
    StoredPath("C", "/etc"),
    StoredPath("C", "/etc/passwd"),
    StoredPath("D", "/hello"),
    StoredPath("A", "/srv"),
    StoredPath("A", "/srv/a"),
    StoredPath("A", "/srv-b"),
)
CONTAINERS = (
    StorageContainer("k1", "running", "hello:1", (BASE, TOP), 2000, PATHS),
    StorageContainer("alone", "exited", "minirt/base", (BASE,), 0),
    StorageContainer("k2", "created", "hello:1", (BASE, TOP), 0),
)
VOLUMES = (
    StorageVolume("data", 1_000_000, (VolumeUse("k1", "/data"), VolumeUse("k2", "/in", True))),
    StorageVolume("f" * 64, 0),
)


def test_storage() -> None:
    """Shared layers once and as wide as those who share them; a thin layer for each container; volumes below."""
    graph = storage_graph(CONTAINERS, VOLUMES)
    kinds = [str(node.kind) for node in graph.nodes]
    assert (kinds.count("container"), kinds.count("layer"), kinds.count("volume")) == (3, 2, 2)
    shared = [node for node in graph.nodes if node.look is Look.SHARED]
    assert sorted(node.detail for node in shared) == ["shared by 2", "shared by 3"]
    assert {node.detail: node.width for node in shared}["shared by 3"] > shared[0].width / 2
    assert len({node.id for node in graph.nodes}) == len(graph.nodes)
    assert "k1 at /data, k2 at /in (ro)" in graph.text
    assert to_svg(graph).startswith("<svg")


def test_the_thin_layer_lists_what_it_holds() -> None:
    """New files, changed ones and whiteouts each by their own sign; directories on the way are left out."""
    graph = storage_graph(CONTAINERS, ())
    looks = {node.text: node.look for node in graph.nodes if node.id.startswith("path-k1-")}
    assert looks == {
        "/etc/passwd": Look.UNIQUE,
        "/hello": Look.WHITEOUT,
        "/srv-b": Look.VISIBLE,
        "/srv/a": Look.VISIBLE,
    }
    assert "whiteout             /hello" in graph.text


def test_nothing_overlaps_and_nothing_leaves_the_page() -> None:
    """With one container and with thirty of two images, with many paths and long names."""
    many = tuple(StoredPath("A", f"/a/rather/long/path/to/a/file/{n:03}") for n in range(20))
    odd = "a-very-long-name-" * 4 + "\u202e\n"
    for count in (1, 2, 3, 4, 5, 30):
        containers = [
            StorageContainer(f"{odd}{n}", "running", "i", (BASE, TOP)[: 1 + n % 2], n, many[: n * 7 % 21])
            for n in range(count)
        ]
        volumes = [StorageVolume(f"{odd}{n}", n, (VolumeUse(odd, "/data"),)) for n in range(count)]
        boxes = [(node.place, node.width, node.height) for node in storage_graph(containers, volumes).nodes]
        assert all(place is not None and place[0] + width <= 845 for place, width, _ in boxes)
        for i, (a, width, height) in enumerate(boxes):
            for b, other_width, other_height in boxes[i + 1 :]:
                assert a and b
                apart = a[0] + width <= b[0] or b[0] + other_width <= a[0]
                assert apart or a[1] + height <= b[1] or b[1] + other_height <= a[1], (a, b, count)


def test_the_text_twin_says_the_same() -> None:
    """A row for each container, for each path that it holds and for each volume."""
    text = storage_graph(CONTAINERS, VOLUMES).text
    lines = text.splitlines()
    assert lines[0].split()[:3] == ["Container", "Status", "Image"]
    assert lines[1].split() == ["k1", "running", "hello:1", "2", "kB", "3", "2", "1"]
    assert lines[-1].endswith("nobody")


def test_stable_pictures_hold_no_sizes_of_this_machine() -> None:
    """What differs between machines is left out where outputs are compared."""
    assert "14.5 MB" not in to_svg(storage_graph(CONTAINERS, VOLUMES, stable=True))
    rows = [NamespaceRow("pid", 4026532000, 4026531836), NamespaceRow("net", 7, 7)]
    graph = namespaces_graph("k1", rows, [ProcessRow(1, 4711, 0, 1001, "sleep 60")], stable=True)
    assert "4026532000" not in to_svg(graph) + graph.text
    assert "4711" not in graph.text
    full = namespaces_graph("k1", rows, [ProcessRow(1, 4711, 0, 1001, "sleep 60")])
    assert all(number in full.text for number in ("4026532000", "4711", "1001"))
    assert "the machine's" in full.text


def test_what_is_shared_is_one_card_and_what_is_not_is_two() -> None:
    """Own namespaces and pids stand side by side; a pod's container has nothing of its own, and the picture says so."""
    process = ProcessRow(1, 4711, 0, 1001, "sleep 60", "docker exec", yours=True)
    own = namespaces_graph(
        "k1", [NamespaceRow("pid", 1, 2), NamespaceRow("user", 3, 4)], [process], [IdMap(0, 1001, 1)]
    )
    ids = {node.id for node in own.nodes}
    assert {"ns-pid", "ns-pid-out", "map-in", "map-out", "in-1", "out-1"} <= ids
    assert "0                1001" in own.text
    same = ProcessRow(4711, 4711, 1001, 1001, "sleep 60", yours=True)
    pod = namespaces_graph(
        "k1", [NamespaceRow("pid", 2, 2), NamespaceRow("user", 4, 4)], [same], [IdMap(0, 0, 2**32 - 1)]
    )
    assert [node.width for node in pod.nodes if not node.id.startswith("heading")] == [844, 844, 844]
    assert "2 shared with the machine" in pod.subtitle


def test_nothing_yet() -> None:
    """An empty home has a picture, too; so has a container that does not run."""
    assert "no containers" in storage_graph((), ()).text
    assert to_svg(volumes_graph(())).startswith("<svg")
    assert "not running (exited)" in to_svg(gone_graph("k1", "exited"))


def test_states_say_who_is_where() -> None:
    """Each container is in one state, an ended one with its exit code; commands lead from state to state."""
    boxes = [StatedContainer(f"w{n}", "running") for n in range(9)] + [StatedContainer("box", "exited", 137)]
    graph = states_graph(boxes)
    details = {node.id: node.detail for node in graph.nodes}
    assert details["state-exited"] == "box (code 137)"
    assert details["state-running"].endswith("and 5 more")
    assert details["state-paused"].startswith("frozen")
    assert "docker unpause" in to_svg(graph)
    assert "box (code 137)" in graph.text
    assert "state-dead" not in details
    assert "dead" in states_graph([StatedContainer("box", "dead")]).subtitle
