"""Several who do something with one container at the same moment."""

from __future__ import annotations

import threading

import pytest

from minirt.engine import Engine
from minirt.engine.containers import Container
from minirt.errors import ContainerIsRunning, ContainerNotFound

pytestmark = pytest.mark.usefixtures("mounts_before")
BASE = "minirt/base"


def test_looking_leaves_a_container_alone_that_is_being_started_again(engine: Engine) -> None:
    """However often somebody lists the containers meanwhile, one that is stopped and started again runs."""
    container = engine.containers.create(BASE, ["sleep", "600"])
    over = threading.Event()

    def look() -> None:
        with Engine(engine.home) as other:
            while not over.is_set():
                other.containers.list(all=True)

    lookers = [threading.Thread(target=look) for _ in range(2)]
    for looker in lookers:
        looker.start()
    try:
        for _ in range(25):
            container.start()
            assert container.exec_run(["true"]).exit_code == 0
            container.stop(timeout=0)
    finally:
        over.set()
        for looker in lookers:
            looker.join()
    container.remove()


def test_a_container_started_while_it_is_removed_is_not_lost(engine: Engine) -> None:
    """Starts and removals without force at the same time: it runs and is there, or it is gone; never half of it."""
    for _ in range(10):
        container = engine.containers.create(BASE, ["sleep", "600"])
        refused: list[BaseException] = []

        def remove(one: Container = container, refused: list[BaseException] = refused) -> None:
            try:
                one.remove()
            except ContainerIsRunning as error:
                refused.append(error)

        remover = threading.Thread(target=remove)
        remover.start()
        try:
            container.start()
        except ContainerNotFound:
            remover.join()
            assert not refused
            assert not (engine.home / "containers" / container.id).exists()
            continue
        remover.join()
        assert refused
        assert container.exec_run(["true"]).exit_code == 0
        container.remove(force=True)
