"""What holds without any privilege: a real kernel in a simulated pod (tests/pod.py), driven as a notebook would.

The big image is a Debian's root file system of the usual size. It is put together from this machine's own packages, and
lies in a registry on this machine: nothing comes from a network.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from minirt.engine import Engine
from tests.bench import debian
from tests.bench.peer import Peers
from tests.bench.table import Row, Skipped
from tests.run import NOBODY, ROOT, _python_for_everybody

__all__ = ["ALL", "Measure"]

Measure = Callable[[Engine, Peers, Path], Iterator[Row | Skipped]]
IMAGE = "bench/debian"


def pod(engine: Engine, _peers: Peers, directory: Path) -> Iterator[Row | Skipped]:
    """A kernel, its first cells, and a Debian's root file system pulled and used."""
    python = _python_for_everybody() if os.geteuid() == 0 else sys.executable
    if shutil.which("proot") is None:
        yield Skipped("a pod", "proot is not installed")
        return
    if python is None:
        yield Skipped("a pod", "no Python of this version that users without privilege may run")
        return
    packed = debian.pack(directory / "debian.tar")
    with _registry(engine, directory, packed) as address:
        found = _ask(python, directory, address)
    yield Row("kernel started, until it takes a cell", found["ready"])
    yield Row("`FROM minirt/base` in a home with nothing in it", found["base"], aim=1000)
    yield Row("a `%%run … true` cell, from a warm kernel", found["run"], aim=60)
    if packed is None:
        yield Skipped("a Debian's root file system", "this machine is no Debian whose files could be taken")
        return
    size = f"{packed.files:,} files, {packed.size / 1e6:.0f} MB"
    yield Row(f"`docker pull` of a Debian, {size}", found["pull"])
    yield Row("its first `docker run`: laid out and started", found["first"])
    for name, ms in found["programs"].items():
        yield Row(f"`{name}` in it", ms)
    yield Row("most memory of the kernel meanwhile", found["kernel"], "MiB", aim=300)
    yield Row("most memory of the kernel and all its helpers", found["all"], "MiB", aim=300)
    yield Row("most room taken in /tmp meanwhile", found["tmp"], "MiB", aim=10)


class _registry:  # noqa: N801 - used like a function
    """A registry on this machine that has the image, as long as the block lasts."""

    def __init__(self, engine: Engine, directory: Path, packed: debian.Packed | None) -> None:
        from minirt.registry.server import RegistryServer

        self._engine, self._packed = engine, packed
        self._server = RegistryServer(directory / "registry", "127.0.0.1", 0)

    def __enter__(self) -> str:
        self._server.start()
        address = self._server.address.removeprefix("http://")
        if self._packed is not None:
            name = f"{address}/{IMAGE}"
            with self._packed.path.open("rb") as tar:
                self._engine.images.import_image(tar, repository=name, changes=['CMD ["sh"]'])
            self._engine.images.push(name)
            self._engine.images.remove(name, force=True)
            self._packed.path.unlink()
        return address

    def __exit__(self, *_: object) -> None:
        self._server.close()


def _ask(python: str, directory: Path, address: str) -> dict[str, Any]:
    """Run tests/bench/in_pod.py in the pod; what it found, as JSON."""
    user = NOBODY if os.geteuid() == 0 else os.geteuid()
    place = directory / "pod"
    (place / "tmp").mkdir(parents=True)
    for path in (place, place / "tmp"):
        os.chown(path, user, user)
    purelib = next(path for path in sys.path if path.endswith("site-packages"))
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(place),
        "TMPDIR": str(place / "tmp"),
        "MINIRT_HOME": str(place / "home"),
        "MINIRT_LIVE": "0",
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "kernel"), purelib)),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [python, ROOT / "tests/pod.py", "--user", str(user)]
    command += [python, "-m", "tests.bench.in_pod", f"{address}/{IMAGE}"]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"the pod failed:\n{done.stdout}\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


ALL: tuple[Measure, ...] = (pod,)
