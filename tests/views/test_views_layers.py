"""Images as stacks, and the union of their files."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from xml.etree.ElementTree import Element

import pytest

from minirt.views import (
    FileEntry,
    FileLayer,
    ImageStack,
    LayerBox,
    files_graph,
    files_table,
    layers_graph,
    layers_table,
    to_svg,
)
from minirt.views.graph import Graph, Look, Node
from minirt.views.layers_view import created_words
from minirt.views.union import Mark, unite

BASE = LayerBox("sha256:" + "a" * 64, 4_000_000, "COPY programs of this machine /", local=True)
APP = LayerBox("sha256:" + "b" * 64, 812, "COPY app.sh /app.sh # buildkit")
DATA = LayerBox("sha256:" + "c" * 64, 8, "RUN /bin/sh -c echo one > /one # buildkit")
GONE = LayerBox("sha256:" + "d" * 64, 0, "/bin/sh -c rm /one")


def stack(name: str, *layers: LayerBox) -> ImageStack:
    return ImageStack(name, "sha256:" + name[-1] * 64, layers)


def by_id(graph: Graph) -> dict[str, Node]:
    return {node.id: node for node in graph.nodes}


def place(node: Node) -> tuple[float, float]:
    assert node.place is not None
    return node.place


def test_a_shared_layer_is_drawn_once_and_carries_its_images() -> None:
    """As wide as what stands on it, and below it."""
    graph = layers_graph([stack("a:1", BASE, APP), stack("a:2", BASE, DATA)])
    cards = by_id(graph)
    base, app, data = cards["layer-0"], cards["layer-1"], cards["layer-2"]
    assert len(graph.nodes) == 5
    assert (base.look, app.look) == (Look.SHARED, Look.UNIQUE)
    assert base.width >= app.width + data.width
    assert place(base)[1] > place(app)[1] == place(data)[1]
    assert "shared by 2" in base.detail


@pytest.mark.parametrize(
    "images",
    [
        [stack("a:1", BASE)],
        [stack("a:1", BASE, APP, DATA), stack("a:2", BASE, APP), stack("a:3", BASE), stack("a:4", DATA)],
        [stack("a:1"), stack("a:2", BASE)],
        [stack("a:1", BASE, APP), stack("a:2", BASE, APP)],
        [stack("a:1", *(LayerBox(f"sha256:{i:064x}", i, f"RUN step {i}") for i in range(127)))],
    ],
    ids=["one", "a family", "an image without layers", "two names of one image", "127 layers"],
)
def test_stacks_do_not_overlap(images: list[ImageStack]) -> None:
    """Whatever shares what, every slab has its own place and the page stays readable."""
    graph = layers_graph(images)
    to_svg(graph)
    for one, other in combinations(graph.nodes, 2):
        (ax, ay), (bx, by) = place(one), place(other)
        apart = ax + one.width <= bx or bx + other.width <= ax or ay + one.height <= by or by + other.height <= ay
        assert apart, (one.id, other.id)


def test_the_same_layer_on_another_base_is_counted_once() -> None:
    """One diff id is one set of bytes on disk, wherever it stands."""
    graph = layers_graph([stack("a:1", BASE, APP), stack("a:2", DATA, APP)])
    assert graph.subtitle.startswith("2 images, 3 different layers, 4 MB on disk")
    assert "without sharing" in graph.subtitle


def test_edges_trace_what_stands_on_what() -> None:
    """They are not drawn, but a viewer can follow them from the base to the image."""
    edges = {(edge.source, edge.target) for edge in layers_graph([stack("a:1", BASE, APP), stack("a:2", BASE)]).edges}
    assert edges == {("layer-0", "layer-1"), ("layer-1", "image-0"), ("layer-0", "image-1")}


def test_many_images_stay_within_the_page() -> None:
    """Nine images in lanes: as wide as four, every image once, and a shared layer says by how many."""
    graph = layers_graph([stack(f"i{n}", *(BASE, APP, DATA)[: 1 + n % 3]) for n in range(9)])
    assert max(place(node)[0] + node.width for node in graph.nodes) <= 845
    assert sorted(node.title for node in graph.nodes if node.id.startswith("image")) == [f"i{n}" for n in range(9)]
    assert {node.detail.partition(" · ")[0] for node in graph.nodes if node.id.startswith("layer-0")} >= {"shared by 9"}
    known = {node.id for node in graph.nodes}
    assert len(known) == len(graph.nodes)
    assert all(edge.source in known and edge.target in known for edge in graph.edges)


def test_no_lines_run_across_a_stack() -> None:
    """What stands on a layer touches it; the edges are for viewers that trace, and are not drawn."""
    svg = to_svg(layers_graph([stack("one", BASE, APP), stack("two", BASE, APP, DATA)]))
    assert 'class="edge' not in svg


def test_a_stable_stack_has_no_ids_and_no_sizes_of_this_machine() -> None:
    """Another machine's base, another id: the same picture."""
    other = LayerBox("sha256:" + "e" * 64, 9, BASE.created_by, local=True)
    images = [[stack("a:1", base, APP), ImageStack("a:2", "sha256:" + "f" * 64, (base,))] for base in (BASE, other)]
    assert layers_graph(images[0], stable=True) == layers_graph(images[1], stable=True)
    assert "varies" in layers_table(images[0], stable=True)


def test_no_images_is_a_picture_too() -> None:
    """It says what to do."""
    graph = layers_graph([])
    assert "%%dockerfile" in graph.nodes[0].detail
    assert graph.text == "There are no images."
    to_svg(graph)


@pytest.mark.parametrize(
    ("history", "words"),
    [
        ("/bin/sh -c #(nop)  CMD [\"sh\"]", 'CMD ["sh"]'),
        ("/bin/sh -c apt-get update", "RUN apt-get update"),
        ("RUN /bin/sh -c make # buildkit", "RUN make"),
        ("RUN |1 V=2 /bin/sh -c make # buildkit", "RUN make"),
        ("COPY a b # buildkit", "COPY a b"),
    ],
)  # fmt: skip
def test_history_lines_lose_what_builders_wrapped_around_them(history: str, words: str) -> None:
    """The instruction is what a learner wants to read."""
    assert created_words(history) == words


# --------------------------------------------------------------------------------------------------------- the union

FILES = (
    FileLayer(
        BASE,
        (
            FileEntry("bin", "directory"),
            *(FileEntry(f"bin/tool-{i}", size=1000) for i in range(30)),
            FileEntry("etc", "directory"),
            FileEntry("etc/passwd", size=400),
        ),
    ),
    FileLayer(APP, (FileEntry("app.sh", size=812), FileEntry("etc", "directory"), FileEntry("etc/passwd", size=430))),
    FileLayer(DATA, (FileEntry("data", "directory"), FileEntry("data/a", size=5), FileEntry("data/b", size=6))),
    FileLayer(GONE, (FileEntry("data", "directory"), FileEntry("data/a", whiteout=True))),
)


def test_a_later_file_hides_an_earlier_one() -> None:
    """The upper layer's version is seen; the lower one is still there."""
    history = unite(FILES)["etc/passwd"]
    assert history.marks == {0: Mark.HIDDEN, 1: Mark.VISIBLE}
    assert (history.size, history.bytes_hidden()) == (430, 400)


def test_directories_merge() -> None:
    """A directory in two layers hides nothing."""
    assert unite(FILES)["etc"].marks == {0: Mark.VISIBLE}


def test_a_whiteout_hides_a_path() -> None:
    """Nobody sees it any more; its bytes are still shipped."""
    history = unite(FILES)["data/a"]
    assert history.marks == {2: Mark.HIDDEN, 3: Mark.WHITEOUT}
    assert not history.seen
    assert history.bytes_hidden() == 5


def test_a_whiteout_of_a_directory_hides_all_below_it() -> None:
    """And what a still later layer writes there is seen again."""
    later = FileLayer(APP, (FileEntry("data", whiteout=True),))
    again = FileLayer(APP, (FileEntry("data", "directory"), FileEntry("data/b", size=1)))
    union = unite([FILES[2], later, again])
    assert not union["data/a"].seen
    assert union["data/b"].marks == {0: Mark.HIDDEN, 2: Mark.VISIBLE}
    assert union["data"].seen


def test_an_opaque_directory_hides_only_what_is_below_it_in_lower_layers() -> None:
    """Its own layer's files stay, in whatever order the tar has them."""
    opaque = FileLayer(APP, (FileEntry("data/new", size=3), FileEntry("data", opaque=True)))
    union = unite([FILES[2], opaque])
    assert [union[path].seen for path in ("data/a", "data/b", "data/new")] == [False, False, True]


def test_a_file_in_the_place_of_a_directory_hides_it_all() -> None:
    """OCI applies entries by path: what was below a directory goes with it."""
    union = unite([FILES[2], FileLayer(APP, (FileEntry("data", size=1),))])
    assert not union["data/a"].seen
    assert union["data"].seen


def test_marked_whiteout_names_are_understood() -> None:
    """A path that still has the .wh. of the tar is the path without it."""
    assert not unite([FILES[2], FileLayer(APP, (FileEntry("data/.wh.a", whiteout=True),))])["data/a"].seen


def test_the_sheet_folds_what_is_all_the_same() -> None:
    """Thirty untouched programs are one line; what changed is shown one by one, hidden paths struck through."""
    graph = files_graph("a:1", FILES)
    rows = {node.text: node for node in graph.nodes}
    assert rows["bin/"].detail == "30 files, 30 kB"
    assert rows["a"].struck and rows["a"].look is Look.HIDDEN
    assert [chip.look for chip in rows["a"].chips] == [Look.EMPTY, Look.EMPTY, Look.HIDDEN, Look.WHITEOUT]
    assert [chip.look for chip in rows["passwd"].chips][:2] == [Look.HIDDEN, Look.VISIBLE]
    assert graph.subtitle == "33 files seen, 2 files hidden, 1 whiteout, 405 B hidden but still in the image"


def test_links_are_called_links_and_quiet_directories_stand_back() -> None:
    """What a layer changed is always shown; of what merely is there, a few lines, those with content first."""
    quiet = (FileEntry(name, "directory") for name in ("dev", "mnt", "opt", "proc", "srv", "sys", "tmp"))
    layers = (FileLayer(BASE, (FileEntry("bin", "symbolic link"), FileEntry("usr/x", size=9), *quiet)), FILES[2])
    names = [node.text for node in files_graph("a:1", layers).nodes if node.id.startswith("path-")]
    assert {"data/", "usr/"} <= set(names)
    assert any("more" in name for name in names)
    assert len(names) <= 10
    details = {node.text: node.detail for node in files_graph("a:1", layers[:1]).nodes}
    assert details["bin"] == "symbolic link"


def test_the_sheet_is_bounded(read_svg: Callable[[str], Element]) -> None:
    """Ten thousand changed paths in many layers still make one page, and it says how many are left out."""
    layers = [FILES[0]]
    for number in range(20):
        names = (FileEntry(f"srv/{i % 50}/{number}-{i}", size=i) for i in range(500))
        layers.append(FileLayer(LayerBox(f"sha256:{number:064x}", 1, "RUN x"), tuple(names)))
    graph = files_graph("big:1", layers, limit=40)
    sheet = [node for node in graph.nodes if node.id.startswith("path-")]
    assert len(sheet) <= 42
    assert any("more" in node.text for node in sheet)
    assert len({node.id for node in graph.nodes}) == len(graph.nodes)
    read_svg(to_svg(graph))


def test_a_stable_sheet_leaves_the_machines_own_files_out() -> None:
    """Another machine has other programs in its base: the saved picture is the same."""
    other = FileLayer(BASE, (FileEntry("etc/passwd", size=7), FileEntry("opt/thing", size=9)))
    one = files_graph("a:1", FILES, stable=True)
    two = files_graph("a:1", (other, *FILES[1:]), stable=True)
    assert one == two
    assert any("everything else" in node.text for node in one.nodes)


def test_the_table_tells_the_story_of_each_path() -> None:
    """Seen or not, and what each layer did to it."""
    table = files_table("a:1", FILES)
    assert "hidden in layer 3, whiteout in layer 4" in table
    line = next(line for line in table.splitlines() if line.strip().startswith("passwd"))
    assert line.split(maxsplit=4)[1:] == ["yes", "430", "B", "hidden in layer 1, from layer 2"]
