"""``docker run -it`` in a cell: a terminal that is typed on, in a real JupyterLab."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_output

pytestmark = pytest.mark.browser

OpenPage = Callable[[str], Any]
SCREENSHOTS = os.environ.get("MINIRT_TEST_SCREENSHOTS")
SETUP = "import os\nos.environ['MINIRT_HOME'] = {home!r}\nos.environ['MINIRT_LIVE'] = '1'\n%load_ext minirt_kernel"


@pytest.fixture
def notebook(lab: Any, open_page: OpenPage, tmp_path: Path) -> Any:
    """Opens a notebook of ``cells`` whose kernel has a home of its own; the first cell has been run."""

    def start(name: str, *cells: str) -> Any:
        sources = [SETUP.format(home=str(tmp_path / "home")), *cells]
        page = open_page(lab.write(name, [new_code_cell(source) for source in sources]))
        page.get_by_text("| Idle").wait_for(timeout=60_000)
        run(page, 0)
        return page

    return start


def run(page: Any, number: int, *, wait: bool = True) -> Any:
    """Run one cell, by keyboard, and return it."""
    cell = page.locator(".jp-Notebook .jp-CodeCell").nth(number)
    cell.locator(".jp-InputPrompt").click()
    page.keyboard.press("Control+Enter")
    if wait:
        done(cell)
    return cell


def done(cell: Any) -> None:
    for _ in range(600):
        if re.search(r"\d", cell.locator(".jp-InputPrompt").first.inner_text()):
            return
        cell.page.wait_for_timeout(50)
    pytest.fail("the cell is still running")


def text_of(cell: Any) -> str:
    """What the terminal shows, row by row."""
    return "\n".join(row.rstrip() for row in cell.locator(".xterm-rows > div").all_inner_texts()).replace("\xa0", " ")


def shows(cell: Any, pattern: str) -> str:
    for _ in range(200):
        text = text_of(cell)
        if re.search(pattern, text, re.MULTILINE):
            return text
        cell.page.wait_for_timeout(50)
    pytest.fail(f"{pattern!r} does not appear in:\n{text_of(cell)}")


# The shell's own: dash's, or busybox' where the machine has it, which names the directory too.
PROMPT = r"^(/ )?#"


def shot(page: Any, name: str) -> None:
    if SCREENSHOTS:
        page.screenshot(path=f"{SCREENSHOTS}/{name}.png")


def test_a_shell_in_a_cell(notebook: Any) -> None:
    """Typed on, interrupted, resized, ended; the kernel is free and no key reaches the notebook."""
    page = notebook("terminal.ipynb", "docker run -it --rm --name shell minirt/base sh", "print(6 * 9)")
    cell = run(page, 1)
    shows(cell, PROMPT)
    cell.locator(".xterm").click()
    page.keyboard.type("echo $((6*7)); printf '\\033[32mgreen\\033[0m \\033[1;31mred\\033[0m ä漢\\n'\n")
    shows(cell, r"^42$")
    shows(cell, r"^green red ä")
    shot(page, "terminal-light")
    page.keyboard.type("sleep 100\n")
    page.wait_for_timeout(500)  # a signal before the shell has started the program would be the shell's
    page.keyboard.press("Control+c")
    shows(cell, r"\^C")
    page.keyboard.type("stty size\n")
    size = re.search(r"^(\d+) (\d+)$", shows(cell, r"^\d+ \d+$"), re.MULTILINE)
    assert size is not None
    page.evaluate("document.querySelector('.mrt-terminal').style.height = '12em'")
    page.wait_for_timeout(500)
    page.keyboard.type("stty size\n")
    smaller = re.search(rf"^(?!{size[1]} )(\d+) {size[2]}$", shows(cell, rf"^(?!{size[1]} )\d+ {size[2]}$"), re.M)
    assert smaller is not None
    assert int(smaller[1]) < int(size[1])
    assert "54" in run(page, 2).locator(".jp-OutputArea").inner_text()
    cells = page.locator(".jp-Notebook .jp-CodeCell").count()
    cell.locator(".xterm").click()
    page.keyboard.type("dd bb aa\n")  # shortcuts of the notebook
    page.keyboard.press("Escape")
    page.keyboard.type("\nexit 3\n")
    shows(cell, r"^The program ended with exit code 3\.$")
    assert page.locator(".jp-Notebook .jp-CodeCell").count() == cells == 3


def test_a_program_that_said_little_leaves_little(notebook: Any) -> None:
    """At its end a terminal is as high as what it shows; one that was filled stays as it is."""
    page = notebook(
        "little.ipynb", "docker run -it --rm minirt/base echo said", "docker run -it --rm minirt/base seq 90"
    )
    cell, filled = run(page, 1), run(page, 2)
    shows(cell, r"^The program ended with exit code 0\.$")
    shows(filled, r"^The program ended with exit code 0\.$")
    page.wait_for_timeout(500)
    shot(page, "terminal-ended")
    assert "said" in text_of(cell)
    boxes = [one.locator(".mrt-terminal").bounding_box() for one in (cell, filled)]
    rows = cell.locator(".xterm-rows > div").count()
    assert rows == 3 and boxes[0]["height"] < 90 < 250 < boxes[1]["height"]


def test_several_at_once_and_in_the_dark(notebook: Any) -> None:
    """Two terminals of one container, with exec and attach; leaving by keys; a dark theme has dark terminals."""
    page = notebook(
        "several.ipynb",
        "docker run -dit --name box minirt/base sh\ndocker exec -it box sh",
        "docker attach box",
        "docker ps --format '{{.Names}} {{.State}}'",
    )
    page.evaluate("document.body.dataset.jpThemeLight = 'false'")
    one, two = run(page, 1), run(page, 2)
    one.locator(".xterm").click()
    page.keyboard.type("tty; echo o''ne\n")
    shows(one, r"^/dev/pts/1$")
    shows(one, r"^one$")
    two.locator(".xterm").click()
    page.keyboard.type("\ntty; ls --color=always -d /e*\n")
    shows(two, r"^/dev/pts/0$")
    assert one.locator(".mrt-terminal").get_attribute("data-theme") == "dark"
    shot(page, "terminal-dark")
    page.keyboard.press("Control+p")
    page.keyboard.press("Control+q")
    shows(two, r"^box runs on: docker attach box comes back to it\.$")
    assert "box running" in run(page, 3).locator(".jp-OutputArea").inner_text()
    one.locator(".xterm").click()
    page.keyboard.type("kill -9 $$\n")
    shows(one, r"^The program ended with exit code 137\.$")


def test_a_flood_can_be_stopped(notebook: Any) -> None:
    """A program that writes without end does not drown the page: Ctrl-C still ends it soon."""
    page = notebook("flood.ipynb", "docker run -it --rm minirt/base sh", "docker ps -q")
    cell = run(page, 1)
    shows(cell, PROMPT)
    cell.locator(".xterm").click()
    page.keyboard.type("while :; do echo a line of no interest at all, again and again; done\n")
    shows(cell, r"no interest.*\n.*no interest")
    page.wait_for_timeout(1500)
    page.keyboard.press("Control+c")
    page.keyboard.type("\necho st''opped\n")
    shows(cell, r"^stopped$")


def test_a_page_that_comes_back_and_one_that_is_saved(notebook: Any, lab: Any) -> None:
    """Reloaded, the page shows the terminal as it was; the file says in words what was there."""
    page = notebook("again.ipynb", "docker run -it --rm minirt/base sh")
    cell = run(page, 1)
    shows(cell, PROMPT)
    cell.locator(".xterm").click()
    page.keyboard.type("echo be''fore\n")
    shows(cell, r"^before$")
    page.locator(".jp-Notebook .jp-CodeCell").nth(0).locator(".jp-InputPrompt").click()
    page.keyboard.press("Control+s")
    page.wait_for_timeout(1500)
    saved = nbformat.read(lab.folder / "again.ipynb", as_version=4)
    told = saved.cells[1].outputs[0].data["text/plain"]
    assert told.startswith("docker run -it --rm minirt/base sh: a terminal needs a live page.")
    page.reload(wait_until="domcontentloaded")
    cell = page.locator(".jp-Notebook .jp-CodeCell").nth(1)
    cell.locator(".xterm").wait_for(timeout=60_000)
    shows(cell, r"^before$")
    cell.locator(".xterm").click()
    page.keyboard.type("echo af''ter\n")
    shot(page, "terminal-again")
    shows(cell, r"^after$")


def test_a_saved_terminal_without_its_kernel(lab: Any, open_page: OpenPage) -> None:
    """Opened another day, the notebook says what was there and what to do."""
    told = "docker run -it x: a terminal needs a live page."
    widget = {"version_major": 2, "version_minor": 0, "model_id": "gone"}
    data = {"application/vnd.jupyter.widget-view+json": widget, "text/plain": told}
    page = open_page(
        lab.write("old.ipynb", [new_code_cell("docker run -it x", outputs=[new_output("display_data", data=data)])])
    )
    page.get_by_text("| Idle").wait_for(timeout=60_000)
    page.get_by_text(told).wait_for(timeout=20_000)


def test_keys_come_back_quickly(notebook: Any) -> None:
    """From a key to its echo on the page: well under what a typist notices as late."""
    page = notebook("quick.ipynb", "docker run -it --rm minirt/base cat")
    cell = run(page, 1)
    cell.locator(".xterm").click()
    page.evaluate(WATCH_ECHO)
    for letter in "abcdefghijklmnopqrst":
        page.keyboard.type(letter)
        page.wait_for_function("(letter) => window.echoes[letter] !== undefined", arg=letter, timeout=5000)
    times = sorted(page.evaluate("Object.values(window.echoes)"))
    assert times[len(times) // 2] < 250, times
    print(f"echo: median {times[len(times) // 2]:.0f} ms, worst {times[-1]:.0f} ms")


WATCH_ECHO = """() => {
  const typed = {}, rows = document.querySelector(".xterm-rows");
  window.echoes = {};
  document.addEventListener("keydown", (event) => { typed[event.key] = performance.now(); }, true);
  const look = () => {
    const text = rows.textContent;
    for (const key of Object.keys(typed))
      if (text.includes(key)) window.echoes[key] ??= performance.now() - typed[key];
    requestAnimationFrame(look);
  };
  look();
}"""


def test_nothing_is_loaded_from_elsewhere(notebook: Any) -> None:
    """The page asks no other host than JupyterLab's."""
    page = notebook("local.ipynb", "docker run -it --rm minirt/base sh")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    shows(run(page, 1), PROMPT)
    assert [url for url in asked if not url.startswith(("http://127.0.0.1", "ws://127.0.0.1", "blob:", "data:"))] == []


def test_the_bundle_is_what_its_source_makes() -> None:
    """The committed file holds the licences, and every message of the source."""
    root = Path(__file__).parents[2] / "kernel"
    bundle = (root / "minirt_kernel/static/terminal.js").read_text()
    assert "Permission is hereby granted" in bundle
    for word in re.findall(r'type: "(\w+)"', (root / "frontend/terminal.js").read_text()):
        assert word in bundle


def test_a_build_that_fails_opens_a_shell_in_its_cell(notebook: Any) -> None:
    """--on-error=shell: typed on in the files as the step left them; then the cell fails with the build's error."""
    text = "%%dockerfile --on-error=shell\nFROM minirt/base\nWORKDIR /place\nRUN echo half > /half; exit 3"
    page = notebook("on-error.ipynb", text)
    cell = run(page, 1, wait=False)
    shows(cell, r"^(/place )?#")
    cell.locator(".xterm").click()
    page.keyboard.type("cat /half; pwd; exit\n")
    done(cell)
    assert "exit code: 3" in cell.inner_text()
    shot(page, "on-error")
