"""Builds: steps, the cache, stages, COPY, parsing, and the pictures of them."""

from __future__ import annotations

import hashlib
import os
import random
import uuid
from collections.abc import Iterator
from pathlib import Path

from minirt.engine import Engine
from tests.bench.peer import BASE, Peers
from tests.bench.table import Row
from tests.bench.timing import best_ms, peers_ms

__all__ = ["ALL"]

STEPS = 20
FILES, BYTES = 13_000, 340_000_000


def many_steps(engine: Engine, peers: Peers, _directory: Path) -> Iterator[Row]:
    """A Dockerfile of 20 RUN steps, never seen before, and then again."""

    def text() -> str:
        fresh = uuid.uuid4().hex
        return f"FROM {BASE}\n" + "".join(f"RUN echo {fresh} > /file{number}\n" for number in range(STEPS))

    new = best_ms(lambda: engine.images.build(text=text()), 5) / STEPS
    known = text()
    engine.images.build(text=known)
    cached = best_ms(lambda: engine.images.build(text=known), 9)
    docker_new = docker_cached = None
    if peers.docker:
        found = peers.docker.build_ms(text())
        docker_new = found / STEPS if found else None
        peers.docker.build_ms(known)
        docker_cached = peers.docker.build_ms(known, times=3)
    yield Row(f"a RUN step, of {STEPS} without cache", new, aim=25, docker=docker_new)
    yield Row(f"the same {STEPS} steps, all cached", cached, aim=10, docker=docker_cached)


def two_stages(engine: Engine, peers: Peers, _directory: Path) -> Iterator[Row]:
    """Two stages that do not need each other, each a second long, and a third that takes from both."""

    def text(stages: int) -> str:
        fresh = uuid.uuid4().hex
        slow = "".join(f"FROM {BASE} AS s{n}\nRUN sleep 1; echo {fresh} > /out\n" for n in range(stages))
        return slow + f"FROM {BASE}\n" + "".join(f"COPY --from=s{n} /out /out{n}\n" for n in range(stages))

    one = best_ms(lambda: engine.images.build(text=text(1)), 2)
    two = best_ms(lambda: engine.images.build(text=text(2)), 2)
    docker = peers.docker.build_ms(text(2)) if peers.docker else None
    beside = {"one such stage": one}
    yield Row("two independent stages of 1 s each", two, aim=1.2, times="one such stage", docker=docker, beside=beside)


def many_files(engine: Engine, peers: Peers, directory: Path) -> Iterator[Row]:
    """COPY of a tree of a Debian's size, against reading and hashing it. Each time one file is new, and so all is."""
    context = directory / "context"
    _lay_out(context / "files")
    text = f"FROM {BASE}\nCOPY files /files\n"
    (context / "Dockerfile").write_text(text)

    def fresh() -> None:
        (context / "files" / "fresh").write_text(uuid.uuid4().hex)
        for file in (context / "files").rglob("*"):
            os.utime(file)  # so that its digest is not remembered

    hashing = best_ms(lambda: _hash_all(context / "files"), 3)
    ours = best_ms(lambda: engine.images.build(context, text=text), 4, before=fresh)
    docker, beside = None, {"reading and hashing": hashing}
    if peers.docker:
        docker = peers.docker.build_ms("", "--no-cache", str(context), times=2)
    if peers.podman:
        words = ("build", "-q", "--no-cache", "--network", "host", str(context))
        podman = peers.podman
        if (taken := peers_ms(lambda: podman.run(*words), 1)) is not None:
            beside["podman build"] = taken
    what = f"COPY of {FILES:,} files, {BYTES / 1e6:.0f} MB"
    yield Row(what, ours, aim=3, times="reading and hashing", docker=docker, beside=beside)
    engine.images.build(context, text=text)
    docker = peers.docker.build_ms("", str(context), times=2) if peers.docker else None
    yield Row("the same, cached", best_ms(lambda: engine.images.build(context, text=text), 5), docker=docker)


def _lay_out(where: Path) -> None:
    """Files of sizes as in a root filesystem: half of them below 4 kB, a few of 10 MB. The same on every machine."""
    chance = random.Random(1)
    sizes = [chance.lognormvariate(8.3, 1.9) for _ in range(FILES)]
    data = os.urandom(32 << 20)
    for number, size in enumerate(sizes):
        file = where / f"{number // 100:03}" / f"{number:05}"
        if number % 100 == 0:
            file.parent.mkdir(parents=True)
        length, start = int(size * BYTES / sum(sizes)), chance.randrange(1 << 20)
        file.write_bytes(data[start : start + length])


def _hash_all(directory: Path) -> None:
    for file in directory.rglob("*"):
        if file.is_file():
            hashlib.sha256(file.read_bytes()).digest()


def parsing(_engine: Engine, _peers: Peers, _directory: Path) -> Iterator[Row]:
    """A Dockerfile of 10,000 lines."""
    from minirt.dockerfile import parse

    text = f"FROM {BASE}\n" + "".join(f"RUN echo {n} > /file{n}\nENV A{n}=b c=$A{n}\n" for n in range(5_000))
    yield Row("parsing 10,000 lines", best_ms(lambda: parse(text), 7), aim=100)


def pictures(_engine: Engine, _peers: Peers, _directory: Path) -> Iterator[Row]:
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

        yield Row(f"event to picture, {count} steps", best_ms(frame, 15))


ALL = (many_steps, two_stages, many_files, parsing, pictures)
