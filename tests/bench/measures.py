"""What is measured. Each function yields rows; all take the warm engine, docker or None, and a scratch directory."""

from __future__ import annotations

import hashlib
import os
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from minirt.engine import Engine
from tests.bench.peer import BASE, Docker
from tests.bench.table import Row

__all__ = ["ALL", "prepare"]

STEPS = 20
FILES = 10_000


def prepare(engine: Engine) -> None:
    """Start what starts once: helper process, base image, the layout of graphs."""
    from minirt.views import warm

    warm()
    engine.containers.run(BASE, ["true"], remove=True)


def median_ms(work: Callable[[], object], times: int) -> float:
    """The median of ``times`` runs, in milliseconds."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append((time.perf_counter() - start) * 1000)
    return statistics.median(taken)


def start_to_exit(engine: Engine, docker: Docker | None, _directory: Path) -> Iterator[Row]:
    """A container of ``true``, created already, from start to its exit code; then everything, with create and rm."""
    for network, what in (("host", "the machine's network"), (None, "a network of its own")):
        made = iter([engine.containers.create(BASE, ["true"], network=network) for _ in range(25)])
        ours = median_ms(lambda made=made: next(made).run(lambda *_: None), 25)
        yield Row(f"start to exit of `true`, {what}", ours, "15 ms or less" if network else "")
        engine.containers.prune()
    ours = median_ms(lambda: engine.containers.run(BASE, ["true"], remove=True), 25)
    yield Row(
        "create, start, exit, remove",
        ours,
        peer=median_ms(lambda: docker.run("run", "--rm", BASE, "true"), 5) if docker else None,
    )


def cold_shell(engine: Engine, docker: Docker | None, _directory: Path) -> Iterator[Row]:
    """``minirt run`` from a shell: start of Python, helper process and container together."""
    program = [Path(sys.executable).parent / "minirt", "run", "--rm", BASE, "true"]
    env = {**os.environ, "MINIRT_HOME": str(engine.home)}
    ours = median_ms(lambda: subprocess.run(program, env=env, check=True, capture_output=True), 7)
    bare = median_ms(lambda: subprocess.run([sys.executable, "-c", ""], check=True), 7)
    peer = median_ms(lambda: docker.run("run", "--rm", BASE, "true"), 5) if docker else None
    yield Row("`minirt run --rm … true` from a cold shell", ours, "", peer, ("a bare Python", bare))


def many_steps(engine: Engine, docker: Docker | None, _directory: Path) -> Iterator[Row]:
    """A Dockerfile of 20 RUN steps, never seen before, and then again."""

    def text() -> str:
        fresh = uuid.uuid4().hex
        return f"FROM {BASE}\n" + "".join(f"RUN echo {fresh} > /file{number}\n" for number in range(STEPS))

    new = median_ms(lambda: engine.images.build(text=text()), 3) / STEPS
    peer_new = peer_cached = None
    known = text()
    if docker:
        peer_new = median_ms(lambda: docker.run("build", "-t", "minirt-bench", "-", sent=text().encode()), 2) / STEPS
        docker.run("build", "-t", "minirt-bench", "-", sent=known.encode())
        peer_cached = median_ms(lambda: docker.run("build", "-t", "minirt-bench", "-", sent=known.encode()), 3)
    yield Row(f"a RUN step, of {STEPS} without cache", new, "25 ms a step", peer_new)
    engine.images.build(text=known)
    cached = median_ms(lambda: engine.images.build(text=known), 9)
    yield Row(f"the same {STEPS} steps, all cached", cached, "10 ms in all", peer_cached)


def two_stages(engine: Engine, docker: Docker | None, _directory: Path) -> Iterator[Row]:
    """Two stages that do not need each other, each a second long, and a third that takes from both."""

    def text(stages: int) -> str:
        fresh = uuid.uuid4().hex
        slow = "".join(f"FROM {BASE} AS s{n}\nRUN sleep 1; echo {fresh} > /out\n" for n in range(stages))
        return slow + f"FROM {BASE}\n" + "".join(f"COPY --from=s{n} /out /out{n}\n" for n in range(stages))

    one = median_ms(lambda: engine.images.build(text=text(1)), 3)
    two = median_ms(lambda: engine.images.build(text=text(2)), 3)
    peer = None
    if docker:
        peer = median_ms(lambda: docker.run("build", "-t", "minirt-bench", "-", sent=text(2).encode()), 2)
    yield Row("two independent stages of 1 s each", two, "the time of one", peer, ("one such stage", one))


def many_files(engine: Engine, docker: Docker | None, directory: Path) -> Iterator[Row]:
    """COPY of 10,000 files, against reading and hashing them."""
    context = directory / "context"
    for number in range(FILES):
        file = context / "files" / f"{number // 100:03}" / f"{number:05}"
        if number % 100 == 0:
            file.parent.mkdir(parents=True)
        file.write_bytes(os.urandom(1000 + 37 * (number % 500)))
    text = f"FROM {BASE}\nCOPY files /files\n"
    (context / "Dockerfile").write_text(text)
    reading = median_ms(lambda: _hash_all(context / "files"), 3)
    ours = median_ms(lambda: engine.images.build(context, text=text, nocache=True), 3)
    peer = None
    if docker:
        peer = median_ms(lambda: docker.run("build", "--no-cache", "-t", "minirt-bench", str(context)), 2)
    total = sum(file.stat().st_size for file in (context / "files").rglob("*") if file.is_file())
    what = f"COPY of {FILES:,} files, {total / 1e6:.0f} MB, without cache"
    yield Row(what, ours, "3 times", peer, ("reading and hashing", reading))
    engine.images.build(context, text=text)
    yield Row("the same, cached", median_ms(lambda: engine.images.build(context, text=text), 5))


def _hash_all(directory: Path) -> None:
    for file in directory.rglob("*"):
        if file.is_file():
            hashlib.sha256(file.read_bytes()).digest()


def pictures(_engine: Engine, _docker: Docker | None, _directory: Path) -> Iterator[Row]:
    """From an event to the bundle that goes to the page: view, DOT, layout, SVG."""
    from minirt.model.events import BuildStarted, PlannedStage, PlannedStep, StepFinished, StepStarted
    from minirt.views import BuildView, mimebundle

    for count in (20, 127):
        steps = tuple(PlannedStep(f"0.{n}", f"RUN make part-{n}", "filesystem", n + 1) for n in range(count))
        view = BuildView()
        view.add(BuildStarted((PlannedStage("0", "", BASE, steps),)))
        turn = iter(range(count))

        def frame(view: BuildView = view, turn: Iterator[int] = turn) -> None:
            number = next(turn)
            view.add(StepStarted(f"0.{number}"))
            view.add(StepFinished(f"0.{number}", 0.1))
            mimebundle(view.graph())

        yield Row(f"event to picture, {count} steps", median_ms(frame, 15))


def parsing(_engine: Engine, _docker: Docker | None, _directory: Path) -> Iterator[Row]:
    """A Dockerfile of 10,000 lines."""
    from minirt.dockerfile import parse

    text = f"FROM {BASE}\n" + "".join(f"RUN echo {n} > /file{n}\nENV A{n}=b c=$A{n}\n" for n in range(5_000))
    yield Row("parsing 10,000 lines", median_ms(lambda: parse(text), 5), "100 ms")


ALL = (start_to_exit, cold_shell, many_steps, two_stages, many_files, pictures, parsing)
