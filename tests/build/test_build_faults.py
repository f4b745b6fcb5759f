"""What goes wrong: a clear error, nothing left behind, and what was done is not lost."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import unpacked

from minirt.build.bases import MOST_LAYERS
from minirt.engine import Engine
from minirt.errors import (
    BuildError,
    Cancelled,
    CopyFailed,
    DockerfileError,
    ImageNotFound,
    InvalidSpec,
    MinirtError,
    PathNotFound,
    RunFailed,
    StorageFull,
    TooManyLayers,
    Unsupported,
)
from minirt.model.cancel import Cancel
from minirt.model.events import BuildFailed, StepFailed, StepOutput, WarningRaised

pytestmark = pytest.mark.usefixtures("nothing_left")


def _later(seconds: float, cancel: Cancel) -> threading.Timer:
    timer = threading.Timer(seconds, cancel.cancel)
    timer.start()
    return timer


def _running(argument: str) -> bool:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if argument.encode() in path.read_bytes() and int(path.parent.name) != os.getpid():
                return True
        except OSError:
            continue
    return False


def test_interrupting_a_run_kills_it_and_leaves_nothing(build: Any, events: list[Any]) -> None:
    """The command and its children are dead when the call returns, and that is at once."""
    stamp = f"3600.{os.getpid()}"
    with Cancel() as cancel:
        timer = threading.Timer(0.6, cancel.cancel)
        timer.start()
        started = time.monotonic()
        with pytest.raises(Cancelled):
            build(f"FROM minirt/base\nRUN sleep {stamp} & sleep {stamp}\n", cancel=cancel, no_cache=True)
        assert time.monotonic() - started < 5
        timer.join()
    assert not _running(stamp)
    assert isinstance(events[-1], BuildFailed)


def test_interrupting_stages_side_by_side(build: Any) -> None:
    """All of them stop."""
    stamp = f"3601.{os.getpid()}"
    text = (
        f"FROM minirt/base AS a\nRUN sleep {stamp}\nFROM minirt/base AS b\nRUN sleep {stamp} 1\n"
        "FROM minirt/base\nCOPY --from=a / /a\nCOPY --from=b / /b\n"
    )
    with Cancel() as cancel:
        timer = _later(0.6, cancel)
        with pytest.raises(Cancelled):
            build(text, cancel=cancel, no_cache=True)
        timer.join()
    assert not _running(stamp)


def test_output_comes_while_the_command_runs(build: Any) -> None:
    """Lines are events at the time they are written."""
    seen: list[float] = []
    from minirt.build.request import BuildRequest

    def note(event: Any) -> None:
        if isinstance(event, StepOutput):
            seen.append(time.monotonic())

    engine_build = build.__closure__
    assert engine_build is not None
    builder = next(cell.cell_contents for cell in engine_build if hasattr(cell.cell_contents, "builder")).builder
    builder.build(BuildRequest("FROM minirt/base\nRUN echo 1; sleep 0.4; echo 2 >&2\n", no_cache=True), note)
    assert len(seen) == 2
    assert seen[1] - seen[0] > 0.3


def test_a_failing_stage_stops_the_others_and_tells_its_own_error(build: Any) -> None:
    """Not "interrupted", and not after the slow stage's hour."""
    text = (
        "FROM minirt/base AS slow\nRUN sleep 3602\nFROM minirt/base AS bad\nRUN sleep 0.3; exit 7\n"
        "FROM minirt/base\nCOPY --from=slow / /a\nCOPY --from=bad / /b\n"
    )
    started = time.monotonic()
    with pytest.raises(RunFailed) as caught:
        build(text, no_cache=True)
    assert caught.value.status == 7
    assert caught.value.where is not None and caught.value.where.line == 4
    assert time.monotonic() - started < 10


def test_what_lies_beside_a_missing_file_is_told(build: Any, tmp_path: Path) -> None:
    """In its own directory where there is one; else at the top."""
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "apple").touch()
    for word, hint in (("d/zzzzzz", "In d there are: apple."), ("e/zzzzzz", "There are: d.")):
        with pytest.raises(CopyFailed) as caught:
            build(f"FROM scratch\nCOPY {word} /\n", context=tmp_path)
        assert caught.value.hint == hint


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes device nodes")
def test_a_device_of_the_context_stays_one(build: Any, engine: Engine, tmp_path: Path) -> None:
    """As with BuildKit: its kind and its numbers are in the layer, and nothing reads from it."""
    os.mknod(tmp_path / "null", 0o20600, os.makedev(1, 3))
    result = build("FROM scratch\nCOPY . /\nCOPY null /named\n", context=tmp_path)
    image = unpacked.unpack(engine.images.get(str(result.image_id)).save(named=False))
    assert set(image.files) == {"/null", "/named"}
    assert set(image.files.values()) == {"device 1,3 0600 0:0"}


@pytest.mark.parametrize(
    ("shell", "mode", "code", "why"),
    [
        (b"\x7fELF no program", 0o755, 126, "exec format error"),
        (b"#!/bin/true\n", 0o644, 126, "permission denied"),
        (b"#!/no/such/interpreter\n", 0o755, 127, "its interpreter '/no/such/interpreter' is not"),
        (None, 0, 127, "this image has no /bin/sh"),
    ],
)
def test_why_the_shell_does_not_start(
    shell: bytes | None, mode: int, code: int, why: str, build: Any, tmp_path: Path
) -> None:
    """Only where it is missing the image is said to have none."""
    text = "FROM scratch\nRUN echo\n"
    if shell is not None:
        (tmp_path / "sh").write_bytes(shell)
        text = f"FROM scratch\nCOPY --chmod={mode:o} sh /bin/sh\nRUN echo\n"
    with pytest.raises(RunFailed, match=f"exit code: {code}") as caught:
        build(text, context=tmp_path)
    assert why in caught.value.explain()
    assert ("this image has no /bin/sh" in caught.value.explain()) == (shell is None)


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("FROM minirt/base\nRUN nonesuch-program\n", RunFailed, "no program called nonesuch-program"),
        ("FROM minirt/base\nRUN exit 137\n", RunFailed, "SIGKILL"),
        ('FROM minirt/base\nRUN ["/no/such"]\n', RunFailed, "exit code: 127"),
        ('FROM minirt/base\nRUN ["/etc/passwd"]\n', RunFailed, "exit code: 126"),
        ("FROM scratch\nRUN echo\n", RunFailed, "Start from an image with a shell"),
        ("FROM minirt/base\nUSER nobodyatall\nRUN true\n", InvalidSpec, "unable to find user nobodyatall"),
        ("FROM minirt/base\nRUN --security=insecure true\n", Unsupported, "insecure"),
        ("FROM minirt/base\nCOPY a /b\n", CopyFailed, "no build context"),
        ("FROM minirt/base\nCOPY --chmod=999 a /b\n", CopyFailed, "invalid chmod parameter"),
        ("FROM minirt/base\nCOPY http://example.org/x /b\n", CopyFailed, "Write ADD instead"),
        ("FROM minirt/base AS builder\nFROM bulder\n", ImageNotFound, "Did you mean builder?"),
        ("FROM minirt/base\nEXPOSE 80/tpc\n", DockerfileError, "invalid proto"),
        ("FROM minirt/base\nEXPOSE 70000\n", DockerfileError, "invalid containerPort"),
        ("FROM $NOTHING\n", DockerfileError, "should not be blank"),
        ("FROM --platform=what/is/this/now minirt/base\n", DockerfileError, "platform"),
        ("FROM minirt/base\nCOPY --from=9 /a /b\n", DockerfileError, "invalid stage index 9"),
        ("FROM minirt/base\nCOPY --from=$X /a /b\n", DockerfileError, "expansion is not supported"),
        ("FROM minirt/base\nRUN --mount=type=secret,id=key,required=true true\n", BuildError, "secret key"),
    ],
)
def test_errors_say_what_where_and_what_to_do(build: Any, text: str, kind: type[MinirtError], words: str) -> None:
    """Each bad line has its own sentence, and its place."""
    with pytest.raises(MinirtError) as caught:
        build(text)
    if kind is not ImageNotFound:  # what a lookup raises depends on the network
        assert isinstance(caught.value, kind)
    assert words in caught.value.explain()
    assert caught.value.where is not None


def test_a_missing_context_is_named(build: Any, tmp_path: Path) -> None:
    """It is the last word of the command, and people forget the dot."""
    with pytest.raises(PathNotFound, match="unable to prepare context"):
        build("FROM minirt/base\n", tmp_path / "nothing")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_named(build: Any, tmp_path: Path) -> None:
    """With the way out: .dockerignore."""
    (tmp_path / "key").touch(mode=0)
    with pytest.raises(CopyFailed) as caught:
        build("FROM minirt/base\nCOPY . /x/\n", tmp_path)
    assert "cannot read key" in caught.value.what
    assert ".dockerignore" in caught.value.hint


def test_a_sparse_giant_is_refused_before_anything_is_written(build: Any, tmp_path: Path) -> None:
    """A file that claims more than the disk has is not read to its end."""
    free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize
    with open(tmp_path / "giant", "wb") as file:
        try:
            file.truncate(min(free * 4, 1 << 43))
        except OSError:
            pytest.skip("this file system has no files of that size")
    started = time.monotonic()
    with pytest.raises(StorageFull) as caught:
        build("FROM minirt/base\nCOPY giant /x\n", tmp_path)
    assert "giant" in caught.value.cause
    assert time.monotonic() - started < 5


def test_names_that_are_not_utf8_are_copied(build: Any, engine: Engine, tmp_path: Path) -> None:
    """A file name is bytes."""
    name = os.fsencode(str(tmp_path)) + b"/caf\xe9"
    with open(name, "wb") as file:
        file.write(b"latin\n")
    result = build("FROM minirt/base\nCOPY . /x/\nRUN cat /x/caf* > /y\n", tmp_path)
    assert engine.containers.run(str(result.image_id), ["cat", "/y"], remove=True) == b"latin\n"


def test_a_socket_becomes_an_empty_file_and_a_warning(build: Any, tmp_path: Path, events: list[Any]) -> None:
    """As from BuildKit, but said."""
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.getcwd()
        os.chdir(tmp_path)
        try:
            listener.bind("sock")
        finally:
            os.chdir(here)
        build("FROM minirt/base\nCOPY . /s/\nRUN test -f /s/sock -a ! -s /s/sock\n", tmp_path)
    assert [event.rule for event in events if isinstance(event, WarningRaised)] == ["SocketNotCopied"]


def test_one_layer_too_many_names_the_instructions(build: Any, events: list[Any]) -> None:
    """Before anything is built, with the line that is one too many."""
    text = "FROM minirt/base\n" + "RUN true\n" * (MOST_LAYERS - 1) + "WORKDIR /x\n"
    with pytest.raises(TooManyLayers) as caught:
        build(text)
    assert "128 layers" in caught.value.what
    assert "126 RUN (lines 2-127), 1 WORKDIR (lines 128)" in caught.value.cause
    assert caught.value.where is not None and caught.value.where.line == 128
    assert [event.step for event in events if isinstance(event, StepFailed)] == ["0.0"]


def test_as_many_layers_as_there_may_be(build: Any, engine: Engine) -> None:
    """127 layers build, and the image runs."""
    stamp = time.time_ns()
    text = "FROM scratch\n" + "".join(f"WORKDIR /d{number}\n" for number in range(MOST_LAYERS - 1))
    result = build(text + f"COPY --from=minirt/base / /\n# {stamp}\n")
    assert len(result.config.diff_ids) == MOST_LAYERS
    assert engine.containers.run(str(result.image_id), ["ls", "-d", "/d0"], remove=True) == b"/d0\n"


def test_a_killed_builder_leaves_nothing_for_long(engine: Engine, build: Any) -> None:
    """Kill -9 in the middle of a step: its processes die, and the next build clears its files away."""
    stamp = f"3603.{os.getpid()}"
    code = (
        "import sys\nfrom minirt.engine import Engine\n"
        f"Engine(sys.argv[1]).images.build(text='FROM minirt/base\\nRUN sleep {stamp}\\n', nocache=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(engine.home)])
    deadline = time.monotonic() + 20
    while not list((engine.home / "tmp").glob("build-*/step-*")) or not _running(f"sleep\0{stamp}"):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 10
    while _running(f"sleep\0{stamp}"):
        assert time.monotonic() < deadline, "the command outlived its builder"
        time.sleep(0.02)
    assert list((engine.home / "tmp").glob("build-*")), "this is what the next build has to clear"
    build("FROM minirt/base\nENV X=1\n")


def test_a_flood_of_output_is_clipped_as_buildkit_clips_it(build: Any, events: list[Any]) -> None:
    """A step may print without end; what is told of it is bounded, and the step runs on."""
    build("FROM minirt/base\nRUN yes | head -c 5000000; echo end > /end\n", no_cache=True)
    told = b"".join(event.data for event in events if isinstance(event, StepOutput))
    assert told.startswith(b"y\ny\n")
    assert told.endswith(b"\n[output clipped, log limit 2MiB reached]\n")
    assert len(told) - (2 << 20) < 100
