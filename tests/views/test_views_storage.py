"""The storage, volumes and namespaces pictures, and their text twins."""

from __future__ import annotations

from minirt.views import LayerBox, to_svg
from minirt.views.graph import Look
from minirt.views.namespaces_view import NamespaceRow, ProcessRow, namespaces_graph
from minirt.views.storage_view import StorageContainer, StorageVolume, VolumeUse, storage_graph, volumes_graph

BASE = LayerBox("sha256:aa", 14_500_000, "minirt/base", local=True)
TOP = LayerBox("sha256:bb", 10, "RUN echo hello > /hello")
CONTAINERS = (
    StorageContainer("k1", "running", "hello:1", (BASE, TOP), 2000, 3, 1, 1),
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
    assert [node.detail for node in shared] == ["shared by 3", "shared by 2"]
    assert shared[0].width > shared[1].width
    assert len({node.id for node in graph.nodes}) == len(graph.nodes)
    assert "k1 at /data, k2 at /in (ro)" in graph.text
    assert to_svg(graph).startswith("<svg")


def test_the_text_twin_says_the_same() -> None:
    """A row for each container and for each volume."""
    lines = storage_graph(CONTAINERS, VOLUMES).text.splitlines()
    assert lines[0].split()[:3] == ["Container", "Status", "Image"]
    assert lines[1].split() == ["k1", "running", "hello:1", "2", "kB", "3", "1", "1"]
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


def test_nothing_yet() -> None:
    """An empty home has a picture, too."""
    assert "no containers" in storage_graph((), ()).text
    assert to_svg(volumes_graph(())).startswith("<svg")
