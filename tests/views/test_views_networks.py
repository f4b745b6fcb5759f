"""The picture of networks, and its text twin."""

from __future__ import annotations

from itertools import combinations

from minirt.views import to_svg
from minirt.views.graph import EdgeKind, Kind, Look
from minirt.views.networks_view import DrawnNetwork, DrawnPort, NetworkedContainer, networks_graph

NETWORKS = (
    DrawnNetwork("bridge", "bridge", "172.30.0.0/24", "out through pasta"),
    DrawnNetwork("host", "host"),
    DrawnNetwork("backend", "bridge", "172.30.2.0/24", "", has_names=True),
    DrawnNetwork("frontend", "bridge", "172.30.1.0/24", "out through pasta", has_names=True),
)
WEB = NetworkedContainer(
    "web",
    (("frontend", "172.30.1.2"), ("backend", "172.30.2.2")),
    (DrawnPort(8080, "80/tcp"), DrawnPort(32768, "443/tcp", "127.0.0.1", chosen=False)),
    ("443/tcp", "80/tcp"),
)
DB = NetworkedContainer("db", (("backend", "172.30.2.3"),), exposed=("5432/tcp",))
CONTAINERS = (WEB, DB, NetworkedContainer("debug", shares="db"), NetworkedContainer("own", (("host", ""),)))


def test_one_card_for_each_thing_docker_names() -> None:
    """A container on two networks is one card with two wires; each published port is one that leads to it."""
    graph = networks_graph(NETWORKS, CONTAINERS)
    kinds = [node.kind for node in graph.nodes]
    assert (kinds.count(Kind.NETWORK), kinds.count(Kind.CONTAINER), kinds.count(Kind.PORT)) == (4, 4, 2)
    wires = {(edge.source, edge.target) for edge in graph.edges if edge.kind is EdgeKind.WIRE}
    assert {("network-frontend", "container-web"), ("network-backend", "container-web")} <= wires
    assert [edge.target for edge in graph.edges if edge.kind is EdgeKind.LEADS] == ["container-web"] * 2
    looks = {node.title: node.look for node in graph.nodes}
    assert (looks["bridge"], looks["backend"]) == (Look.PLAIN, Look.NETWORK)
    assert to_svg(graph).count('class="edge') == len(graph.edges)


def test_what_is_exposed_only_is_not_published() -> None:
    """EXPOSE alone publishes nothing: the card says so, and no port of the machine is drawn for it."""
    graph = networks_graph(NETWORKS, (DB,))
    assert (
        next(node for node in graph.nodes if node.title == "db").detail == "172.30.2.3; 5432/tcp exposed, not published"
    )
    assert not [node for node in graph.nodes if node.kind is Kind.PORT]


def test_the_text_twin_says_the_same() -> None:
    """Networks, places and ports, each as a row."""
    rows = [line.split() for line in networks_graph(NETWORKS, CONTAINERS).text.splitlines()]
    for row in (["web", "backend", "172.30.2.2"], ["port", "8080", "web", "80/tcp"], ["debug", "that", "of", "db"]):
        assert row in rows


def test_a_stable_picture_holds_nothing_that_differs_between_machines() -> None:
    """No subnets, no numbers that nobody chose, no name of the program that leads out."""
    graph = networks_graph(NETWORKS, CONTAINERS, stable=True)
    for text in (graph.text, to_svg(graph)):
        assert not [word for word in ("172.30", "32768", "pasta") if word in text]
        assert "8080" in text


def test_no_card_lies_on_another() -> None:
    """Also with many containers and ports, and names that want to break out."""
    many = [
        NetworkedContainer(f"<c{number}>", (("backend", f"172.30.2.{number}"),), tuple(
            DrawnPort(8000 + number * 10 + port, f"{port}/tcp") for port in range(1, number % 4)
        ))
        for number in range(2, 22)
    ]  # fmt: skip
    for containers in ((), CONTAINERS, (*many, *CONTAINERS)):
        graph = networks_graph(NETWORKS, containers)
        boxes = [(*node.place, node.width, node.height) for node in graph.nodes if node.place]
        assert len(boxes) == len(graph.nodes) == len({node.id for node in graph.nodes})
        for (ax, ay, aw, ah), (bx, by, bw, bh) in combinations(boxes, 2):
            assert ax + aw <= bx or bx + bw <= ax or ay + ah <= by or by + bh <= ay
        assert "<c2>" not in to_svg(graph)
