"""The labextension in a real JupyterLab: pictures from saved and running notebooks, colours in cells."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nbformat.v4 import new_code_cell, new_output

from minirt.views import GRAPH_MIME, BuildView, mimebundle

sys.path.insert(0, str(Path(__file__).parents[1] / "views"))
import samples

pytestmark = pytest.mark.browser

OpenPage = Callable[[str], Any]
PICTURE = ".mrt-graph-output .mrt-svg"


def shown(bundle: dict[str, Any], source: str = "") -> Any:
    """A cell whose saved output is ``bundle``."""
    return new_code_cell(source, outputs=[new_output("display_data", data=bundle)])


def build(log: list[Any]) -> dict[str, Any]:
    view = BuildView()
    for event in log:
        view.add(event)
    return mimebundle(view.graph(), final=True)


def kernel_is_idle(page: Any) -> None:
    """The status bar knows; the notebook's own indicator already says idle before there is a kernel."""
    page.get_by_text("| Idle").wait_for(timeout=60_000)


def test_a_saved_graph_shows_in_a_notebook_nobody_trusted(lab: Any, open_page: OpenPage) -> None:
    """Drawn by the extension, labelled, with a card for each step, and without its kernel."""
    page = open_page(lab.write("saved.ipynb", [shown(build(samples.two_stage_build()))]))
    page.wait_for_selector(PICTURE)
    assert page.locator(f"{PICTURE} .mrt-node").count() == 11
    assert "Build of server:latest failed" in (page.locator(PICTURE).get_attribute("aria-label") or "")
    assert page.locator(PICTURE).get_attribute("role") == "img"


def test_nothing_foreign_gets_into_the_page(lab: Any, open_page: OpenPage) -> None:
    """Scripts, handlers, links, styles, ids and outer files in a hostile notebook's SVG are left behind."""
    evil = """<svg xmlns="http://www.w3.org/2000/svg" xmlns:x="http://www.w3.org/1999/xlink" viewBox="0 0 50 50"
      width="50" height="50" onload="window.pwned=1" style="position:fixed;inset:0">
      <script>window.pwned=2</script><style>body{display:none}</style>
      <foreignObject><p xmlns="http://www.w3.org/1999/xhtml" onclick="window.pwned=3"><img src="x"/></p></foreignObject>
      <a x:href="javascript:window.pwned=4"><text x="1" y="9">link</text></a>
      <image href="http://127.0.0.1:9/x.png"/><use href="#node"/><animate onbegin="window.pwned=5"/>
      <g id="config" class="node jp-Dialog"><title>&lt;img src=x onerror="window.pwned=6"&gt;</title>
        <rect x="1" y="1" width="40" height="20" fill="url(http://127.0.0.1:9/)" onclick="window.pwned=7"/>
        <text x="5" y="10" fill="#1c2330">&lt;b&gt;fine&lt;/b&gt;</text></g></svg>"""
    data = {
        "version": 1,
        "title": "<img src=x onerror='window.pwned=8'>",
        "svg": evil,
        "nodes": {},
        "edges": [],
        "text": "<b>",
    }
    page = open_page(lab.write("evil.ipynb", [shown({GRAPH_MIME: data})]))
    page.wait_for_selector(PICTURE)
    page.locator(f"{PICTURE} text").hover()
    page.wait_for_selector(".mrt-tip:not([hidden])")
    inside = page.eval_on_selector_all(f"{PICTURE}, {PICTURE} *", "all => all.map((e) => e.localName)")
    assert set(inside) == {"svg", "g", "rect", "text"}
    names = page.eval_on_selector_all(f"{PICTURE}, {PICTURE} *", "all => all.flatMap((e) => e.getAttributeNames())")
    assert not {name for name in names if name.startswith("on") or "href" in name or name in ("id", "style")}
    assert page.locator(f"{PICTURE} rect").get_attribute("fill") is None
    assert page.locator(f"{PICTURE} .jp-Dialog").count() == 0
    assert page.evaluate("window.pwned") is None
    assert page.locator(".mrt-graph-output img").count() == 0


def test_the_table_is_one_button_away(lab: Any, open_page: OpenPage) -> None:
    """By keyboard too, and back again."""
    page = open_page(lab.write("table.ipynb", [shown(build(samples.hello_build()))]))
    page.wait_for_selector(PICTURE)
    page.get_by_role("button", name="Show as table").focus()
    page.keyboard.press("Enter")
    assert "from cache" in page.locator(".mrt-table").inner_text()
    assert not page.locator(PICTURE).is_visible()
    page.get_by_role("button", name="Show as picture").click()
    assert page.locator(PICTURE).is_visible()


def test_hovering_tells_and_traces(lab: Any, open_page: OpenPage) -> None:
    """A tooltip for the card, and what does not belong to its line of work fades."""
    page = open_page(lab.write("hover.ipynb", [shown(build(samples.two_stage_build()))]))
    page.locator('.mrt-node[data-id="step-1-0"] rect').first.hover()
    assert "FROM minirt/base" in page.locator(".mrt-tip").inner_text()
    lit = page.eval_on_selector_all(".mrt-node.mrt-lit", "all => all.map((e) => e.dataset.id)")
    assert "image" in lit and "step-0-1" not in lit
    page.mouse.move(0, 0)
    page.wait_for_selector(".mrt-tip", state="hidden")
    assert page.locator(".mrt-tracing").count() == 0


def test_ctrl_wheel_zooms_drag_pans_and_a_double_click_resets(lab: Any, open_page: OpenPage) -> None:
    """A plain wheel still scrolls the page."""
    page = open_page(lab.write("zoom.ipynb", [shown(build(samples.hello_build()))]))
    box = page.locator(PICTURE).bounding_box()
    view = lambda: [float(n) for n in page.locator(PICTURE).get_attribute("viewBox").split()]  # noqa: E731
    full = view()
    page.mouse.move(box["x"] + 100, box["y"] + 100)
    page.mouse.wheel(0, 10)
    assert view() == full
    page.keyboard.down("Control")
    page.mouse.wheel(0, -100)
    page.keyboard.up("Control")
    page.wait_for_selector(".mrt-zoomed")
    zoomed = view()
    assert zoomed[2] < full[2]
    page.mouse.down()
    page.mouse.move(box["x"] + 60, box["y"] + 80)
    page.mouse.up()
    assert view()[0] > zoomed[0] and view()[1] > zoomed[1]
    page.mouse.dblclick(box["x"] + 60, box["y"] + 80)
    assert view() == full


def test_dark_themes_have_dark_cards(lab: Any, open_page: OpenPage) -> None:
    """Each colour has its dark twin; letters stay readable on it."""
    page = open_page(lab.write("dark.ipynb", [shown(build(samples.hello_build()))]))
    card = page.locator('.mrt-node[data-id="step-0-3"]')
    light = card.locator("rect").first.evaluate("e => getComputedStyle(e).fill")
    page.evaluate("document.body.dataset.jpThemeLight = 'false'")
    dark = card.locator("rect").first.evaluate("e => getComputedStyle(e).fill")
    words = card.locator("text").first.evaluate("e => getComputedStyle(e).fill")
    assert _brightness(light) > 200
    assert _brightness(dark) < 60 < 200 < _brightness(words)


def _brightness(colour: str) -> float:
    red, green, blue = (float(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(","))
    return 0.3 * red + 0.6 * green + 0.1 * blue


LIVE = """
import sys, time
sys.path.insert(0, {folder!r})
import samples
from IPython.display import display, update_display
from minirt.views import BuildView, mimebundle
view = BuildView()
log = samples.two_stage_build()
view.add(log[0])
display(mimebundle(view.graph()), raw=True, display_id="live")
for event in log[1:]:
    view.add(event)
    update_display(mimebundle(view.graph()), raw=True, display_id="live")
    time.sleep(0.1)
"""
WATCH = """() => {
  const seen = window.seen = { frames: 0, blank: 0, outputs: new Set(), statuses: new Set() };
  const look = () => {
    const output = document.querySelector(".mrt-graph-output"), svg = output?.querySelector(".mrt-svg");
    if (output) {
      seen.frames++;
      seen.outputs.add(output);
      if (!svg || svg.getBoundingClientRect().height < 50) seen.blank++;
    }
    const step = output?.querySelector('[data-id="step-0-1"]');
    if (step) seen.statuses.add(["waiting", "running", "done"].find((word) => step.classList.contains("mrt-" + word)));
    requestAnimationFrame(look);
  };
  look();
}"""


def test_ten_updates_a_second_do_not_flicker(lab: Any, open_page: OpenPage) -> None:
    """One widget takes all frames; no frame is blank; every status of a step is seen."""
    source = LIVE.format(folder=str(Path(samples.__file__).parent))
    page = open_page(lab.write("live.ipynb", [new_code_cell(source)]))
    kernel_is_idle(page)
    page.evaluate(WATCH)
    page.locator('[data-jp-item-name="run"]').click()
    page.wait_for_selector('.mrt-svg[data-status="failed"]', timeout=30_000)
    seen = page.evaluate("() => ({...seen, outputs: seen.outputs.size, statuses: [...seen.statuses]})")
    assert seen["frames"] > 30
    assert (seen["blank"], seen["outputs"]) == (0, 1)
    assert seen["statuses"] == ["waiting", "running", "done"]


def test_cells_are_coloured_by_what_they_hold(lab: Any, open_page: OpenPage) -> None:
    """Dockerfiles and container scripts as such; Python that only looks similar stays Python."""
    cells = [
        '%%dockerfile -t hello:1\nFROM minirt/base\nENV GREETING=hello\nRUN echo "$GREETING"',
        "# syntax=docker/dockerfile:1\nARG V=1\n\nFROM alpine:$V AS build\nRUN true",
        "%%run hello:1\nfor i in 1 2; do echo $i; done",
        "from math import pi\nFROM = 3",
    ]
    page = open_page(lab.write("colours.ipynb", [new_code_cell(source) for source in cells]))
    kernel_is_idle(page)
    expected = [
        ["FROM", "ENV", "RUN"],
        ["ARG", "FROM", "AS", "RUN"],
        ["for", "in", "do", "done"],
        ["from", "import", "="],
    ]
    # What CodeMirror calls a keyword is bold in JupyterLab's theme; class names are generated.
    bold = """(all) => all.map((cell) => [...cell.querySelectorAll(".cm-line span")]
      .filter((e) => getComputedStyle(e).fontWeight >= 600).map((e) => e.textContent))"""
    for _ in range(50):
        found = page.eval_on_selector_all(".jp-CodeCell", bold)
        if found == expected:
            break
        page.wait_for_timeout(100)
    assert found == expected
