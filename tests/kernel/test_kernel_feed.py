"""What the worker threads say, carried to the cell."""

import threading

from minirt_kernel.feed import CellStream, Feed, Text
from minirt_kernel.transcript import Transcript

from minirt.model.events import BuildStarted, PlannedStage, PlannedStep, StepFinished, StepOutput, StepStarted


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
