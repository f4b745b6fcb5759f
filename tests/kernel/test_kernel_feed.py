"""What the worker threads say, carried to the cell."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from minirt_kernel.feed import CellStream, Feed, Text
from minirt_kernel.presenter import Presenter
from minirt_kernel.transcript import Transcript

from minirt.model.events import (
    BuildFinished,
    BuildStarted,
    PlannedStage,
    PlannedStep,
    StepFinished,
    StepOutput,
    StepStarted,
)


def test_bytes_are_decoded_across_the_cuts() -> None:
    """A character cut in two writes arrives whole; a half one at the end becomes U+FFFD."""
    feed = Feed()
    stream = CellStream(feed, "stdout")
    for byte in "aé€".encode():
        stream.write(bytes([byte]))
    stream.write("é".encode()[:1])
    stream.finish()
    assert feed.drain() == [Text("stdout", "aé€\ufffd")]


def test_streams_and_events_keep_their_order() -> None:
    """Neighbouring texts of one stream are joined, everything else stays in order."""
    feed = Feed()
    event = StepStarted("0.1")
    for item in (Text("stdout", "a"), Text("stdout", "b"), Text("stderr", "c"), event, Text("stdout", "d")):
        feed.put(item)
    assert feed.drain() == [Text("stdout", "ab"), Text("stderr", "c"), event, Text("stdout", "d")]
    assert feed.drain() == []


def test_a_fast_writer_waits_for_the_page() -> None:
    """Above the limit a writer is held until the consumer takes something."""
    feed = Feed(limit=10)
    written = threading.Event()

    def write() -> None:
        feed.put(Text("stdout", "x" * 11))
        feed.put(Text("stdout", "y"))
        written.set()

    threading.Thread(target=write, daemon=True).start()
    assert not written.wait(0.2)
    assert feed.drain() == [Text("stdout", "x" * 11)]
    assert written.wait(5)


def test_closing_lets_writers_go() -> None:
    """After the cell's end nobody is held back."""
    feed = Feed(limit=1)
    feed.close()
    feed.put(Text("stdout", "x" * 100))
    feed.put(Text("stdout", "y"))


def transcript(*outputs: tuple[str, bytes]) -> str:
    """The text for outputs of steps 0.1 and 1.1; a bare step id with no bytes ends the step."""
    stages = tuple(
        PlannedStage(str(n), "", "scratch", (PlannedStep(f"{n}.1", f"RUN step {n}", "filesystem", 2),)) for n in (0, 1)
    )
    log = Transcript()
    text = log.add(BuildStarted(stages))
    for step, data in outputs:
        text += log.add(StepOutput(step, "stdout", data) if data else StepFinished(step, 0.1))
    return text


def test_the_instruction_stands_above_its_output() -> None:
    """Once for a step, however many pieces its output comes in."""
    assert transcript(("0.1", b"a\n"), ("0.1", b"b"), ("0.1", b"c\n"), ("0.1", b"")) == "▸ RUN step 0\na\nbc\n"


def test_stages_that_run_together_never_share_a_line() -> None:
    """A half line of one stage waits, or is closed, before another speaks."""
    text = transcript(("0.1", b"a\nb"), ("1.1", b"half"), ("1.1", b" whole\n"), ("0.1", b"c\n"), ("0.1", b""))
    assert text == "▸ RUN step 0\na\n▸ RUN step 1\nhalf whole\n▸ RUN step 0\nbc\n"
    text = transcript(("0.1", b"a\n"), ("0.1", b"b"), ("1.1", b"c\n"), ("0.1", b"d\n"), ("0.1", b""))
    assert text == "▸ RUN step 0\na\nb\n▸ RUN step 1\nc\n▸ RUN step 0\nd\n"


def test_an_unfinished_last_line_is_finished() -> None:
    """A command that prints no final newline does not swallow what follows."""
    assert transcript(("0.1", b"no newline"), ("0.1", b"")) == "▸ RUN step 0\nno newline\n"


def test_a_silent_step_says_nothing() -> None:
    """No output, no line."""
    assert transcript(("0.1", b"")) == ""


@dataclass
class Sheet:
    """A page that keeps what it is given."""

    moves: bool = True
    shown: list[tuple[str, str, bool]] = field(default_factory=list)

    def write(self, stream: str, text: str) -> None:
        self.shown.append(("text", text, False))

    def show(self, bundle: dict[str, Any], display_id: str, *, update: bool) -> None:
        self.shown.append((display_id, bundle["text/plain"], update))


def test_a_plan_that_grows_stays_in_its_picture() -> None:
    """A base's ONBUILD starts the build anew with more steps: no half-done picture stays. The next has its own."""

    def plan(*texts: str) -> BuildStarted:
        steps = [PlannedStep(f"0.{n}", text, "config", n + 1) for n, text in enumerate(texts)]
        return BuildStarted((PlannedStage("0", "", "parent:1", tuple(steps)),), "child:latest")

    async def build() -> None:
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        following = asyncio.ensure_future(Presenter(sheet, feed, live=True, keep=lambda _: None).follow(ended))
        feed.put(plan("FROM parent:1", "CMD a"))
        while not sheet.shown:
            await asyncio.sleep(0.01)
        feed.put(plan("FROM parent:1", "ONBUILD ENV A=1", "CMD a"))
        feed.put(BuildFinished("sha256:" + "a" * 64, 1.0))
        await asyncio.sleep(0.5)
        feed.put(plan("FROM parent:1"))
        ended.set_result(None)
        await following

    sheet, feed = Sheet(), Feed()
    with ThreadPoolExecutor(1) as pool:  # a thread of its own: the browser's tests leave a loop running in this one
        pool.submit(asyncio.run, build()).result()
    pictures = list(dict.fromkeys(one for one, _, _ in sheet.shown))
    assert len(pictures) == 2
    assert [update for one, _, update in sheet.shown if one == pictures[0]][:2] == [False, True]
    assert "ONBUILD" in [text for one, text, _ in sheet.shown if one == pictures[0]][-1]
