"""Terminals where nobody can type: the line that says so, and what the kernel does with a view's messages."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from minirt_kernel.terminal import Link

from minirt.engine import Engine

WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory, start_kernel: Callable[..., Any]) -> Iterator[Any]:
    """A kernel without anything live, as the notebooks' tests have it."""
    folder = tmp_path_factory.mktemp("calm")
    yield start_kernel(folder, folder / "home", MINIRT_LIVE="0")
    with Engine(folder / "home") as engine:
        for container in engine.containers.list(all=True):
            container.remove(force=True)


@pytest.mark.parametrize(
    ("cell", "instead"),
    [
        ("docker run -it minirt/base sh", "docker run minirt/base sh"),
        ("docker run -v /a:/b -it --rm minirt/base", "docker run -v /a:/b --rm minirt/base COMMAND runs one command"),
        ("docker run -dit minirt/base\ndocker exec -it -e A=1 nobody sh", None),
        ("docker start -ai nobody", None),
    ],
)
def test_a_line_in_place_of_a_terminal(calm: Any, cell: str, instead: str | None) -> None:
    """Nothing live: the cell says what it needs and what to type instead, makes nothing, and does not fail."""
    reply = calm.run(cell)
    if instead is None:
        assert reply.status in ("ok", "error")
        assert "not a TTY" not in reply.error
        return
    assert reply.status == "ok", reply.error
    shown = [content["data"] for content in reply.of("display_data")]
    assert [set(data) for data in shown] == [{"text/plain"}]
    text = shown[0]["text/plain"]
    assert text.startswith(cell)
    assert "a terminal needs a live page" in text
    assert f"Without a page: {instead}" in text
    assert calm.run("docker ps -aq").text() == ""


def test_a_page_that_does_not_answer(kernel: Any) -> None:
    """As with nbconvert: after a short wait the widget gives way to the line, and the next cell runs."""
    start = time.monotonic()
    reply = kernel.run("docker run -it --name kernel-nobody minirt/base sh")
    assert time.monotonic() - start < 8
    assert reply.status == "ok", reply.error
    first, last = reply.of("display_data")[0], reply.of("update_display_data")[-1]
    assert WIDGET in first["data"]
    assert first["data"]["text/plain"] == last["data"]["text/plain"]
    assert set(last["data"]) == {"text/plain"}
    assert "kernel-nobody" not in kernel.run("docker ps -a").text()


def test_a_terminal_without_typing_needs_no_page(kernel: Any) -> None:
    """-t alone: the program has a terminal, its output is the cell's."""
    reply = kernel.run("docker run --rm -t minirt/base tty")
    assert reply.status == "ok"
    assert reply.text().startswith("/dev/pts/")  # 0, or one of the machine's in a pod


class Page:
    """A link, and what a view of it was sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[dict[str, Any], bytes | None]] = []
        self.link = Link(lambda message, data: self.sent.append((message, data)))
        self.sizes: list[tuple[int, int]] = []
        self.left = False
        self.typed, typing = os.pipe()
        self.link.connect(self, typing, b"\x10\x11")  # type: ignore[arg-type]  # stands for the attachment

    def resize(self, rows: int, columns: int) -> None:
        self.sizes.append((rows, columns))

    def detach(self) -> None:
        self.left = True

    def says(self, kind: str, **fields: Any) -> None:
        self.link.message({"type": kind, "view": "v", **fields})

    def shown(self, view: str = "v", seconds: float = 0.3) -> bytes:
        time.sleep(seconds)
        return b"".join(data or b"" for message, data in self.sent if message.get("view") == view)


def test_keys_arrive_in_order_and_sizes_at_once() -> None:
    """Also when the messages overtook each other; the keys to leave are seen across them."""
    page = Page()
    page.says("ready", rows=30, columns=100)
    for count in (1, 0, 3, 2):
        page.says("keys", data="abcd"[count], count=count)
    time.sleep(0.1)
    assert os.read(page.typed, 10) == b"abcd"
    page.says("resize", rows=31, columns=99)
    assert page.sizes[-2:] == [(30, 100), (31, 99)]
    page.says("keys", data="\x10", count=4)
    page.says("keys", data="\x11", count=5)
    time.sleep(0.1)
    assert page.left
    os.close(page.typed)


def test_pieces_travel_together_and_a_late_view_sees_them_all() -> None:
    """Bytes that come close together are one message; whoever opens the page later is shown what was there."""
    page = Page()
    page.says("ready", rows=24, columns=80)
    for number in range(50):
        page.link.output("stdout", b"%d " % number)
    everything = b"".join(b"%d " % number for number in range(50))
    assert page.shown() == everything
    assert len(page.sent) < 10
    page.link.message({"type": "ready", "view": "late", "rows": 24, "columns": 80})
    assert page.shown("late") == everything
    page.link.end("over")
    assert page.shown("late")
    assert [message["view"] for message, _ in page.sent if message["type"] == "end"] == ["v", "late"]
    os.close(page.typed)


def test_a_view_that_does_not_draw_is_not_sent_more() -> None:
    """Half a megabyte ahead at most: so Ctrl-C is not far behind what is seen."""
    page = Page()
    page.says("ready", rows=24, columns=80)
    for _ in range(8):
        page.link.output("stdout", b"x" * 100_000)
        time.sleep(0.05)
    before = len(page.shown())
    assert 500_000 < before < 700_000
    page.says("taken", bytes=before)
    assert len(page.shown()) == 800_000
    page.link.end("over")
    os.close(page.typed)


def test_scripts_are_whole_and_local() -> None:
    """What the page gets needs nothing from any other place."""
    static = Path(__file__).parents[2] / "kernel/minirt_kernel/static"
    for name in ("loader.js", "terminal.js"):
        text = (static / name).read_text()
        assert "import(" not in text.replace("import(address)", "")
        assert "sourceMappingURL" not in text


@pytest.mark.parametrize("cell", ["%%dockerfile --on-error=shell\n{}", "docker build --on-error=shell -f Failing ."])
def test_a_failed_build_without_a_page_says_what_failed(calm: Any, cell: str) -> None:
    """--on-error=shell where nobody can type: the error of the build, which names docker debug."""
    text = "FROM minirt/base\nRUN echo half > /half; exit 3\n"
    calm.run(f"open('Failing', 'w').write({text!r});")
    reply = calm.run(cell.format(text))
    assert reply.status == "error"
    assert "exit code: 3" in reply.error and "docker debug" in reply.error
    assert calm.run("docker debug cat /half").text() == "half\n"
