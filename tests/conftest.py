"""What all rooms' tests share: an engine over a home of its own, and the line that says in which mode they ran."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from minirt.engine import Engine


def _mode() -> str:
    """Told by the process's own status: a pod may gain no privileges and is filtered."""
    status = Path("/proc/self/status").read_text(errors="replace") if Path("/proc/self/status").exists() else ""
    if "NoNewPrivs:\t1" in status and "Seccomp:\t2" in status:
        return "pod"
    return "root" if os.geteuid() == 0 else "rootless"


MODE = _mode()


@pytest.fixture(scope="session")
def shared_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One engine for tests that leave nothing behind in it; ``minirt/base`` is ready."""
    from minirt.engine import Engine
    from minirt.errors import Unsupported

    with Engine(tmp_path_factory.mktemp("shared-home")) as engine:
        machine = engine.machine
        if machine.isolation == "none":
            pytest.skip(f"no containers here: {machine.namespaces.why}; {machine.proot.why}")
        try:
            engine.image_store.base()
        except Unsupported as reason:
            pytest.skip(str(reason))
        yield engine


@pytest.fixture
def engine(shared_engine: Engine) -> Iterator[Engine]:
    """The shared engine; what a test leaves running or lying about is removed after it."""
    images = {image.id for image in shared_engine.images.list(all=True)}
    volumes = {volume.name for volume in shared_engine.volumes.list()}
    yield shared_engine
    for container in shared_engine.containers.list(all=True):
        container.remove(force=True, v=True)
    for image in shared_engine.images.list(all=True):
        if image.id not in images:
            shared_engine.images.remove(image.id, force=True)
    for volume in shared_engine.volumes.list():
        if volume.name not in volumes:
            volume.remove()


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine without namespaces: proot, and copied roots."""
    if shutil.which("proot") is None:
        pytest.skip("proot is not installed")
    from minirt.engine import Engine

    with Engine(tmp_path_factory.mktemp("pod"), isolation="proot", snapshotter="copy") as engine:
        engine.image_store.base()
        yield engine
        for container in engine.containers.list(all=True):
            container.remove(force=True)


@pytest.fixture
def isolated(shared_engine: Engine) -> bool:
    """Whether containers have namespaces; those of a pod share the machine's processes, network and host name."""
    return bool(shared_engine.machine.isolation == "namespaces")


@pytest.fixture
def mounts_before(shared_engine: Engine) -> Iterator[None]:
    """No mount of this home is there after the test. (Other programs of the machine may mount what they like.)"""
    yield
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    assert [line for line in mounts if str(shared_engine.home) in line] == []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many ran in this mode: as root, or rootless."""
    passed = len(terminalreporter.stats.get("passed", ()))
    skipped = len(terminalreporter.stats.get("skipped", ()))
    terminalreporter.write_line(f"mode {MODE}: {passed} ran, {skipped} could not run here")
