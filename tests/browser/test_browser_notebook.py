"""The first chapter as a learner meets it: JupyterLab, Run All, pictures that move, and what the page then shows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
CHAPTER = "01-images-and-layers.ipynb"
OpenPage = Callable[[str], Any]

# Notes every state of every cell's picture, and whether the cell was still running when it was seen.
WATCH = """() => {
  window.frames = [];
  const look = () => document.querySelectorAll('.jp-CodeCell').forEach((cell, number) => {
    const picture = cell.querySelector('.mrt-svg');
    if (!picture) return;
    const running = cell.querySelector('.jp-InputPrompt').textContent.includes('*');
    const frame = JSON.stringify([number, running, picture.textContent]);
    if (!window.frames.includes(frame)) window.frames.push(frame);
  });
  new MutationObserver(look).observe(document.body, {subtree: true, childList: true, characterData: true});
}"""


def run_all(page: Any) -> None:
    """By the menu, as a person would; then wait until every code cell has run."""
    page.get_by_text("| Idle").wait_for(timeout=60_000)
    page.evaluate(WATCH)
    page.click('.lm-MenuBar-itemLabel:text-is("Run")')
    page.click('.lm-Menu-itemLabel:text-is("Run All Cells")')
    page.wait_for_function(
        """() => [...document.querySelectorAll('.jp-CodeCell')].every(
             (cell) => /\\d/.test(cell.querySelector('.jp-InputPrompt').textContent))""",
        timeout=120_000,
    )


def prepared(name: str) -> Any:
    """A chapter without its saved outputs, so that what the page shows was made by this run."""
    notebook = nbformat.read(ROOT / "notebooks" / name, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    # One slow step, so that a picture has time to be seen while it moves.
    first = next(cell for cell in notebook.cells if cell.source.startswith("%%dockerfile"))
    first.source = first.source.replace("RUN echo", "RUN sleep 1; echo", 1)
    return notebook


def test_the_first_chapter_runs_and_its_picture_moves(lab: Any, open_page: OpenPage) -> None:
    """Every cell runs without an error, and the first build's picture changes while its cell is busy."""
    notebook = prepared(CHAPTER)
    page = open_page(lab.write(CHAPTER, notebook.cells, kernel="minirt"))
    # All cells in the page at once: JupyterLab otherwise draws only those near the view.
    page.set_viewport_size({"width": 1200, "height": 20_000})
    run_all(page)
    assert page.locator('.jp-OutputArea-output[data-mime-type*="error"]').count() == 0
    frames = [json.loads(frame) for frame in page.evaluate("() => window.frames")]
    moving = {text for number, running, text in frames if number == 0 and running}
    assert len(moving) >= 2, frames
    final = page.locator(".jp-CodeCell").first.locator(".mrt-svg").get_attribute("aria-label") or ""
    assert final.startswith("Built hello:1")
    keep_screenshot(page)


def keep_screenshot(page: Any) -> None:
    """As at a laptop, for whoever looks at the run afterwards."""
    page.set_viewport_size({"width": 1200, "height": 900})
    page.wait_for_timeout(500)
    directory = ROOT / "tests/screenshots"
    directory.mkdir(exist_ok=True)
    page.screenshot(path=directory / "notebook-01.png")
    assert (directory / "notebook-01.png").stat().st_size > 20_000
