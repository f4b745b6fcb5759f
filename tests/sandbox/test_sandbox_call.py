"""Work on files in a child process: what it sees, what comes back, and how it is stopped."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from minirt.errors import Cancelled, CorruptBlob, SandboxError
from minirt.linux.processes import is_alive, start_time
from minirt.model.cancel import Cancel
from minirt.model.spec import OverlayRoot, TreeRoot

TOOLS = "minirt.sandbox.selftest"


def test_values_cross_unchanged(bench: Any) -> None:
    """Arguments and answers are JSON values of any size."""
    value = {"text": "ä\n\udc80", "numbers": [1, 2.5, None, True], "big": "x" * 3_000_000}
    assert bench.sandbox.call(f"{TOOLS}:echo", value) == value


def test_the_worker_is_root_of_its_own_view(bench: Any) -> None:
    """It has id 0, no environment of the engine's, and only the descriptors it was given."""
    read_end, write_end = os.pipe()
    seen = bench.sandbox.call(f"{TOOLS}:look", {}, fds=[write_end])
    os.close(write_end)
    with open(read_end, "rb") as answer:
        assert answer.read() == b"hello"
    assert seen["uid"] == 0
    assert set(seen["environment"]) <= {"LC_CTYPE"}
    assert len(seen["descriptors"]) <= 6


def test_a_root_is_mounted_for_the_worker_alone(bench: Any) -> None:
    """The layers are joined at ``root_dir``; what is written there is in the upper directory, and no mount shows."""
    root = bench.root()
    seen = bench.sandbox.call(f"{TOOLS}:look", {"write": "etc/new"}, root=root)
    assert {"bin", "etc", "data"} <= set(seen["entries"])
    assert "proc" not in seen["entries"]
    assert (Path(root.upper) / "etc/new").read_text() == "written\n"
    assert os.listdir(seen["root_dir"].removesuffix("/root")) == []


def test_views_and_trees(bench: Any, tmp_path: Path) -> None:
    """A read-only view refuses writes with the system's own error; a plain tree is written in place."""
    with pytest.raises(OSError, match="Read-only") as caught:
        bench.sandbox.call(f"{TOOLS}:look", {"write": "new"}, root=OverlayRoot((str(bench.base),)))
    assert caught.value.errno == 30
    tree = tmp_path / "tree"
    tree.mkdir()
    bench.sandbox.call(f"{TOOLS}:look", {"write": "new"}, root=TreeRoot(str(tree)))
    assert (tree / "new").read_text() == "written\n"


def test_other_owners(bench: Any) -> None:
    """Where more ids are mapped the worker may give files away."""
    if bench.sandbox.machine.single_id:
        pytest.skip("this user has one id only")
    root = bench.root()
    bench.sandbox.call(f"{TOOLS}:look", {"write": "theirs", "uid": 33}, root=root)
    assert bench.sh("stat -c %u /theirs", root=root) == "33\n"


def test_errors_keep_their_class_and_fields(bench: Any) -> None:
    """A learner's error crosses whole; one of the system keeps its number; a bug keeps its traceback."""
    with pytest.raises(CorruptBlob, match="not the bytes") as caught:
        bench.sandbox.call(f"{TOOLS}:fail", {})
    error = caught.value
    assert (error.cause, error.hint) == ("why", "what to do")
    assert error.where is not None and error.where.line == 3
    assert "a file, line 3" in error.explain()
    with pytest.raises(FileNotFoundError) as missing:
        bench.sandbox.call(f"{TOOLS}:explain", {"path": "/not/there"})
    assert missing.value.filename == "/not/there"
    with pytest.raises(SandboxError, match="ZeroDivisionError: oops") as bug:
        bench.sandbox.call(f"{TOOLS}:crash", {})
    assert "selftest.py" in bug.value.cause


def test_cancelled(bench: Any) -> None:
    """Raising the flag kills the worker at once."""
    read_end, write_end = os.pipe()
    with Cancel() as cancel:

        def stop() -> None:
            cancel.cancel()

        threading.Timer(0.3, stop).start()
        with pytest.raises(Cancelled):
            bench.sandbox.call(f"{TOOLS}:hang", {}, fds=[write_end], root=bench.root(), cancel=cancel)
    pid = int(os.read(read_end, 100))
    os.close(read_end)
    os.close(write_end)
    for _ in range(100):
        if not is_alive(pid, start_time(pid) or -1):
            break
        threading.Event().wait(0.02)
    assert start_time(pid) is None


def test_many_calls_at_once(bench: Any) -> None:
    """Threads share one spawner and get their own answers."""
    answers: dict[int, Any] = {}

    def ask(number: int) -> None:
        answers[number] = bench.sandbox.call(f"{TOOLS}:echo", {"n": number})["n"]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: number for number in range(10)}


def _pid(bench: Any, *, again: bool = True) -> int:
    return int(bench.sandbox.call(f"{TOOLS}:look", {}, again=again)["pid"])


def _gone(pid: int) -> bool:
    """Whether the process ends with all its threads, given a moment: only then are its sockets closed."""
    place, deadline = Path(f"/proc/{pid}"), time.monotonic() + 5
    while place.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return not place.exists()


def test_a_worker_that_is_kept_serves_again(bench: Any) -> None:
    """Calls that allow it share one process for as long as somebody wants it, and that process ends after."""
    with bench.sandbox.keeping():
        first = _pid(bench)
        with bench.sandbox.keeping():
            assert _pid(bench) == first
        assert _pid(bench) == first
        assert _pid(bench, again=False) != first
        assert bench.sandbox.call(f"{TOOLS}:look", {}, root=bench.root(), again=True)["pid"] != first
    assert _gone(first)
    assert _pid(bench) != _pid(bench)


def test_a_kept_worker_that_dies_or_fails_is_replaced(bench: Any) -> None:
    """One killed while it waits costs nothing; one whose call fails ends, as its state is not known any more."""
    with bench.sandbox.keeping():
        first = _pid(bench)
        os.kill(first, signal.SIGKILL)
        assert _gone(first)
        second = _pid(bench)
        with pytest.raises(CorruptBlob):
            bench.sandbox.call(f"{TOOLS}:fail", {}, again=True)
        assert _pid(bench) not in (first, second)
        assert _gone(second)


def test_a_kept_worker_can_be_cancelled(bench: Any) -> None:
    """The flag kills it in the middle of a later call, and the next call gets another."""
    with bench.sandbox.keeping(), Cancel() as cancel:
        first = _pid(bench)
        threading.Timer(0.2, cancel.cancel).start()
        with pytest.raises(Cancelled):
            bench.sandbox.call(f"{TOOLS}:doze", {}, cancel=cancel, again=True)
        assert _gone(first)
        assert _pid(bench) != first


def test_threads_that_keep_workers_get_their_own_answers(bench: Any) -> None:
    """As many workers as calls at once, none shared at one time."""

    def ask(number: int) -> list[int]:
        return [bench.sandbox.call(f"{TOOLS}:echo", {"n": number + n}, again=True)["n"] for n in range(0, 500, 100)]

    with bench.sandbox.keeping(), ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(40)))
    assert answers == [list(range(number, number + 500, 100)) for number in range(40)]


def test_a_killed_spare_is_not_missed(bench: Any) -> None:
    """The spawner forks the next child ahead; when somebody kills that one, the next request is served all the same."""
    bench.sandbox.call(f"{TOOLS}:echo", {})
    spawner = int(bench.sandbox.call(f"{TOOLS}:look", {})["parent"])
    for _ in range(3):
        for child in Path(f"/proc/{spawner}/task/{spawner}/children").read_text().split():
            with contextlib.suppress(ProcessLookupError):  # the last call's own, which ends by itself
                os.kill(int(child), signal.SIGKILL)
            assert _gone(int(child))
        assert bench.sandbox.call(f"{TOOLS}:echo", {"n": 1}) == {"n": 1}


def test_the_spare_ends_with_the_spawner(bench: Any) -> None:
    """Nothing of a spawner is left, however it ends."""
    spawner = int(bench.sandbox.call(f"{TOOLS}:look", {})["parent"])
    deadline = time.monotonic() + 5
    while not (children := Path(f"/proc/{spawner}/task/{spawner}/children").read_text().split()):
        assert time.monotonic() < deadline, "no spare"
    os.kill(spawner, signal.SIGKILL)
    assert all(_gone(int(child)) for child in children)
    assert bench.sandbox.call(f"{TOOLS}:echo", {"n": 2}) == {"n": 2}


def test_programs_started_by_a_cancelled_worker(bench: Any) -> None:
    """What the worker itself started ends with it."""
    read_end, write_end = os.pipe()
    seconds = f"6{int(bench.id[:6], 16)}"
    with Cancel() as cancel:
        threading.Timer(0.3, cancel.cancel).start()
        with pytest.raises(Cancelled):
            bench.sandbox.call(f"{TOOLS}:hang", {"child": seconds}, fds=[write_end], cancel=cancel)
    os.close(write_end)
    with open(read_end, "rb") as told:
        pid = int(told.read())
    deadline = time.monotonic() + 5  # it is killed when the worker hears of the end, not before we do
    while _command_lines_with(seconds):
        assert time.monotonic() < deadline, pid
        time.sleep(0.01)


def _command_lines_with(text: str) -> list[str]:
    found = []
    for entry in os.listdir("/proc"):
        try:
            command = Path(f"/proc/{entry}/cmdline").read_text(errors="replace") if entry.isdigit() else ""
        except OSError:
            continue
        if text in command:
            found.append(command)
    return found
