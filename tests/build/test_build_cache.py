"""The build cache: what hits, what misses, and why."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from minirt.build.cache import Inputs, explain
from minirt.engine import Engine
from minirt.model.events import CacheMissed, StepCached, StepFinished

TEXT = """FROM minirt/base
ARG VERSION=1
WORKDIR /cache-test
COPY src ./src
RUN echo $VERSION > out
"""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A context with a few files."""
    (tmp_path / "src" / "deep").mkdir(parents=True)
    (tmp_path / "src" / "app.py").write_text(f"print({time.time_ns()})\n")
    (tmp_path / "src" / "deep" / "lib.py").write_text("pass\n")
    return tmp_path


def _reasons(events: list[Any]) -> dict[str, str]:
    return {event.step: event.reason for event in events if isinstance(event, CacheMissed)}


def _cached(events: list[Any]) -> list[str]:
    return [event.step for event in events if isinstance(event, StepCached)]


def test_a_second_build_is_the_same_image_from_the_cache(build: Any, context: Path, events: list[Any]) -> None:
    """Nothing runs again, and even the image id, times included, is the same."""
    first = build(TEXT, context)
    events.clear()
    assert build(TEXT, context).image_id == first.image_id
    assert _cached(events) == ["0.2", "0.3", "0.4"]
    assert _reasons(events) == {}


def test_times_of_files_do_not_matter(build: Any, context: Path, events: list[Any]) -> None:
    """A fresh checkout has new times and the same content: it hits."""
    build(TEXT, context)
    events.clear()
    os.utime(context / "src" / "app.py", (1, 1))
    build(TEXT, context)
    assert _reasons(events) == {}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda src: (src / "app.py").write_text("other\n"), "the file src/app.py changed"),
        (lambda src: (src / "deep" / "lib.py").chmod(0o755), "the file src/deep/lib.py changed"),
        (lambda src: (src / "new.py").write_text(""), "the file src/new.py is new"),
        (lambda src: (src / "app.py").unlink(), "the file src/app.py is gone"),
    ],
)
def test_a_changed_file_is_named(build: Any, context: Path, events: list[Any], change: Any, reason: str) -> None:
    """COPY says which file is not as it was, and what follows says that something before it changed."""
    build(TEXT, context)
    events.clear()
    change(context / "src")
    build(TEXT, context)
    assert _reasons(events) == {"0.3": reason, "0.4": "an earlier step changed"}


def test_a_changed_argument_is_named(build: Any, context: Path, events: list[Any]) -> None:
    """RUN says which ARG has another value; steps that do not see it stay."""
    build(TEXT, context)
    events.clear()
    build(TEXT, context, build_args={"VERSION": "2"})
    # BuildKit: every RUN below an ARG sees it.
    assert _reasons(events) == {"0.4": "ARG VERSION is 2, was 1"}


def test_no_cache_runs_everything(build: Any, context: Path, events: list[Any]) -> None:
    """--no-cache looks nothing up, but what it makes serves the next build."""
    build(TEXT, context)
    events.clear()
    build(TEXT, context, no_cache=True)
    assert _cached(events) == []
    events.clear()
    build(TEXT, context)
    assert _cached(events) == ["0.2", "0.3", "0.4"]


def test_steps_before_a_failure_stay_cached(build: Any, context: Path, events: list[Any]) -> None:
    """A failing build is not for nothing."""
    with pytest.raises(Exception, match="exit code: 1"):
        build(TEXT + "RUN false\n", context)
    events.clear()
    build(TEXT + "RUN true\n", context)
    assert _cached(events) == ["0.2", "0.3", "0.4"]


def test_copy_from_a_stage_hits_by_content(build: Any, events: list[Any]) -> None:
    """The stage was built differently, but what is copied from it is the same."""
    text = "FROM minirt/base AS s\nRUN echo %s > /noise; echo x > /x\nFROM minirt/base\nCOPY --from=s /x /copied\n"
    build(text % "one")
    events.clear()
    build(text % "two")
    assert _cached(events) == ["1.1"]


def test_a_changed_command_does_not_confuse_its_neighbour(build: Any, events: list[Any]) -> None:
    """An instruction that was never built says so."""
    build("FROM minirt/base\nRUN echo neighbour > /1\n")
    events.clear()
    build(f"FROM minirt/base\nRUN echo neighbour > /1\nRUN echo {time.time_ns()} > /2\n")
    assert _reasons(events) == {"0.2": "not built before"}


def test_a_lost_layer_is_made_again(engine: Engine, build: Any, events: list[Any]) -> None:
    """A record whose layer was removed does not count."""
    text = f"FROM minirt/base\nRUN echo {time.time_ns()} > /lost\n"
    first = build(text)
    engine.store.path(first.config.diff_ids[-1]).unlink()
    events.clear()
    again = build(text)
    assert _reasons(events) == {"0.1": "its layer is no longer in the store"}
    assert engine.store.has(again.config.diff_ids[-1])


def test_damaged_records_are_forgotten(engine: Engine, build: Any, events: list[Any]) -> None:
    """A cache may lose its memory, but it never breaks a build."""
    text = f"FROM minirt/base\nRUN echo {time.time_ns()} > /damaged\n"
    build(text)
    for path in (engine.home / "cache" / "build").glob("*/*.json"):
        path.write_bytes(b'{"version": 1, "half')
    events.clear()
    build(text)
    assert [type(event) for event in events if getattr(event, "step", "") == "0.1"][-1] is StepFinished


def test_two_builds_at_once_on_one_home(engine: Engine, tmp_path: Path) -> None:
    """Two engines, as two kernels have, build the same and different things at the same time."""
    stamp = time.time_ns()
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            with Engine(engine.home) as other:
                for turn in range(3):
                    text = f"FROM minirt/base\nRUN echo {stamp}-{turn} > /same\nRUN echo {number} > /own\n"
                    other.images.build(text=text, tag=f"two-at-once:{number}")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    for number in range(3):
        said = engine.containers.run(f"two-at-once:{number}", ["cat", "/own"], remove=True)
        assert said == f"{number}\n".encode()


def test_prune_forgets_and_size_counts(engine: Engine, build: Any, events: list[Any]) -> None:
    """Pruned steps are built again."""
    text = f"FROM minirt/base\nRUN echo {time.time_ns()} > /pruned\n"
    build(text)
    cache = engine.builder.cache
    assert cache.size() > 0
    assert cache.prune().keys
    assert (cache.size(), cache.layers()) == (0, frozenset())
    events.clear()
    build(text)
    assert _reasons(events) == {"0.1": "not built before"}


@pytest.mark.parametrize(
    ("before", "now", "reason"),
    [
        (Inputs("p", {"env A": "1"}), Inputs("p", {"env A": ""}), 'ENV A is "", was 1'),
        (Inputs("p", {}), Inputs("p", {"arg A": "1"}), "ARG A is new: 1"),
        (Inputs("p", {"user": "a"}), Inputs("p", {"user": "b"}), "the user is b, was a"),
        (Inputs("p", {"env A": "1"}), Inputs("p", {}), "ENV A is gone"),
        (Inputs("p", {"env A": "x" * 99}), Inputs("p", {"env A": "y"}), "ENV A changed"),
        (Inputs("p", {}), Inputs("q", {}), "an earlier step changed"),
        (
            Inputs("p", {}, "1", {"d": "40755 ", "d/f": "1"}),
            Inputs("p", {}, "2", {"d": "40700 ", "d/f": "2"}),
            "the file d/f changed, and 1 more",
        ),
    ],
)
def test_reasons_are_told_in_words(before: Inputs, now: Inputs, reason: str) -> None:
    """The first difference that a person would name."""
    assert explain(before, now) == reason


def test_the_cache_keeps_to_its_limit(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside what images have, the cache holds a bounded number of bytes; what was not used for longest goes."""
    from minirt.engine import build_cache

    engine.images.build(text="FROM minirt/base\nRUN head -c 30000 /dev/urandom > /kept\n", tag="kept-by-an-image:1")
    for number in range(4):
        loose = engine.images.build(text=f"FROM minirt/base\nRUN head -c 50000 /dev/urandom > /loose{number}\n")
        engine.images.remove(loose.id)
    monkeypatch.setattr(build_cache, "MOST_BYTES", 120_000)
    (engine.builder.cache.root / "looked-at").unlink(missing_ok=True)
    engine.images.build(text="FROM minirt/base\n")
    assert 0 < build_cache.usage(engine)["Reclaimable"] <= 120_000
    events: list[Any] = []
    text = "FROM minirt/base\nRUN head -c 30000 /dev/urandom > /kept\n"
    engine.images.build(text=text, on_event=events.append)
    assert any(type(event).__name__ == "StepCached" for event in events)
