"""Containers: from start to exit, exec, many at once, stop, commit, events, logs, and what an idle one holds."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from minirt.engine import Engine
from minirt.errors import ContainerFailed
from tests.bench.peer import BASE, Docker, Peers, sleeping
from tests.bench.table import Row, Skipped
from tests.bench.timing import best_ms, named, peers_ms, pss_mib, sink

__all__ = ["ALL"]

MANY = 50
CHANGED = 10_000
IDLE = 10
OBEDIENT = ["sh", "-c", 'trap "exit 0" TERM; sleep 1000 & wait']


def start_to_exit(engine: Engine, peers: Peers, _directory: Path) -> Iterator[Row]:
    """A container of ``true``, created already, from start to its exit code."""
    for network, name in (("host", "host"), (None, "bridge")):
        made = iter([engine.containers.create(BASE, ["true"], network=network) for _ in range(25)])
        ours = best_ms(lambda made=made: next(made).run(sink), 25)
        docker = None
        if peers.docker:
            theirs = iter([peers.docker.create("true", network=name) for _ in range(6)])
            docker = peers_ms(lambda theirs=theirs, docker=peers.docker: docker.start_and_wait(next(theirs)), 6)
        beside = {"runc run": best_ms(peers.runc.run, 7)} if peers.runc and network else {}
        what = "the machine's network" if network else "a network of its own"
        yield Row(f"start to exit of `true`, {what}", ours, aim=15 if network else None, docker=docker, beside=beside)
        engine.containers.prune()


def whole_life(engine: Engine, peers: Peers, _directory: Path) -> Iterator[Row]:
    """Create, start, exit, remove: from a warm engine, and by a command from a shell."""
    ours = best_ms(lambda: engine.containers.run(BASE, ["true"], remove=True), 15)
    docker = None
    if peers.docker:
        api = peers.docker
        docker = peers_ms(lambda: api.start_and_wait(api.create("true", remove=True)), 5)
    yield Row("create, start, exit, remove", ours, docker=docker)
    program = [Path(sys.executable).parent / "minirt", "run", "--rm", BASE, "true"]
    env = {**os.environ, "MINIRT_HOME": str(engine.home)}
    ours = best_ms(lambda: subprocess.run(program, env=env, check=True, capture_output=True), 7)
    docker = (
        best_ms(lambda: peers.docker and peers.docker.run("run", "--rm", BASE, "true"), 5) if peers.docker else None
    )
    beside = {"a bare Python": best_ms(lambda: subprocess.run([sys.executable, "-c", ""], check=True), 7)}
    podman = peers_ms(peers.podman.once, 3) if peers.podman and peers.podman.runs else None
    if podman is not None:
        beside["podman"] = podman
    yield Row("`minirt run --rm … true` from a cold shell", ours, docker=docker, beside=beside)


def execute(engine: Engine, peers: Peers, _directory: Path) -> Iterator[Row]:
    """A second program in a container that runs."""
    box = engine.containers.run(BASE, ["sleep", "1000"], detach=True)
    ours = best_ms(lambda: box.exec_run(["true"]), 25)
    docker = None
    if peers.docker:
        with suppress(OSError), sleeping(peers.docker) as theirs:
            docker = peers_ms(lambda: peers.docker and peers.docker.exec(theirs, "true"), 7)
    box.remove(force=True)
    yield Row("`exec … true` in a running container", ours, aim=10, docker=docker)


def many_detached(engine: Engine, peers: Peers, _directory: Path) -> Iterator[Row]:
    """``run -d`` again and again, and then their stops."""
    boxes: list[Any] = []
    ours = best_ms(lambda: boxes.extend(engine.containers.run(BASE, OBEDIENT, detach=True) for _ in range(MANY)), 1)
    docker, theirs = None, []
    if peers.docker:
        theirs = [peers.docker.create(*OBEDIENT) for _ in range(MANY)]
        docker = peers_ms(lambda: [_start(peers.docker, one) for one in theirs], 1)
    yield Row(f"`run -d` of {MANY} containers, one after the other", ours, docker=docker)
    each = [best_ms(box.stop, 1) for box in boxes[:10]]
    turn = iter(theirs)
    docker = peers_ms(lambda: _stop(peers.docker, next(turn)), 5) if theirs else None
    yield Row("`stop` of a container that obeys", min(each), docker=docker)
    for box in boxes:
        box.remove(force=True)
    if peers.docker:
        peers.docker.remove(theirs)


def _start(docker: Docker | None, container: str) -> None:
    assert docker is not None
    docker.ask("POST", f"/containers/{container}/start")


def _stop(docker: Docker | None, container: str) -> None:
    assert docker is not None
    docker.ask("POST", f"/containers/{container}/stop")


def commit(engine: Engine, peers: Peers, _directory: Path) -> Iterator[Row]:
    """An image of a container that has written 10,000 files."""
    script = f"mkdir /d; i=0; while [ $i -lt {CHANGED} ]; do echo $i$i$i$i > /d/$i; i=$((i+1)); done"
    box = engine.containers.create(BASE, ["sh", "-c", script])
    box.run(sink)
    ours = best_ms(lambda: box.commit("minirt-bench-commit"), 3)
    box.remove()
    docker = None
    if peers.docker:
        api = peers.docker
        theirs = api.create("sh", "-c", script)
        api.start_and_wait(theirs)
        docker = peers_ms(lambda: api.ask("POST", f"/commit?container={theirs}&repo={api_mark()}", {}), 2)
        api.remove([theirs])
    yield Row(f"`commit` of {CHANGED:,} changed files", ours, docker=docker)


def api_mark() -> str:
    """The name of docker's images that :meth:`Docker.clean` removes."""
    from tests.bench.peer import MARK

    return MARK


def events(engine: Engine, _peers: Peers, _directory: Path) -> Iterator[Row]:
    """From the write of a file in a container to the event that tells of it."""
    box = engine.containers.run(BASE, ["sleep", "1000"], detach=True)
    heard = threading.Event()
    late: list[float] = []
    with box.watch_storage(lambda _event: heard.set()):
        for number in range(10):
            heard.clear()
            # The program says when it is about to write: the clock is the machine's, and the same inside.
            clock = f"cut -d' ' -f1 /proc/uptime; : > /noticed-{number}"
            said = box.exec_run(["sh", "-c", clock])
            if not heard.wait(5):
                late.append(5000)
            else:
                late.append(_since_boot_ms() - float(said[1]) * 1000)
    box.remove(force=True)
    yield Row("a file written in a container, to its event", min(late), aim=200)


def _since_boot_ms() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME) * 1000


def memory(engine: Engine, peers: Peers, _directory: Path) -> Iterator[Row | Skipped]:
    """What stands beside an idle container: its monitor, and what serves its network."""
    before = set(named("mrt:")) | set(named("minirt-"))
    boxes = [engine.containers.run(BASE, ["sleep", "1000"], detach=True) for _ in range(IDLE)]
    time.sleep(0.5)
    ours = pss_mib((set(named("mrt:")) | set(named("minirt-"))) - before) / IDLE
    for box in boxes:
        box.remove(force=True)
    docker = None
    if peers.docker and os.geteuid() == 0:
        before = set(named("containerd-shim"))
        theirs = [peers.docker.create("sleep", "1000") for _ in range(IDLE)]
        started = peers_ms(lambda: [_start(peers.docker, one) for one in theirs], 1)
        docker = pss_mib(set(named("containerd-shim")) - before) / IDLE if started else None
        peers.docker.remove(theirs)
    yield Row("memory held beside an idle container", ours, "MiB", aim=15, docker=docker)


def logs(engine: Engine, peers: Peers, _directory: Path) -> Iterator[Row | Skipped]:
    """A container that writes as fast as its log is taken: a million lines of two bytes."""
    script = "yes | head -n 1000000"
    try:
        engine.containers.run(BASE, ["sh", "-c", "yes | head -n 1"], remove=True)
    except ContainerFailed:
        yield Skipped("lines into the log", "this machine's minirt/base has no yes or no head")
        return
    ours = best_ms(lambda: engine.containers.run(BASE, ["sh", "-c", script], detach=True).wait(), 2)
    engine.containers.prune()
    docker = None
    if peers.docker:
        api = peers.docker
        docker = peers_ms(lambda: api.start_and_wait(api.create("sh", "-c", script)), 2)
    yield Row("a million lines of 2 bytes into the log", ours, docker=docker)


ALL: tuple[Callable[[Engine, Peers, Path], Iterator[Row | Skipped]], ...] = (
    start_to_exit,
    whole_life,
    execute,
    many_detached,
    commit,
    events,
    memory,
    logs,
)
