"""``make bench``: what the things that learners wait for cost here, beside docker, podman and runc where they run.

Figures are the best of several runs on this machine at this moment; docs/performance.md says what each means. What
counts is the ratio, not the number: the machine may be busy. ``make bench ONLY=many_files`` measures one thing.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from minirt.engine import Engine
from minirt.errors import MinirtError
from tests.bench import builds, containers, pods, probes
from tests.bench.peer import BASE, Peers
from tests.bench.table import Table

PARTS = {
    "Builds": builds.ALL,
    "Containers": containers.ALL,
    "Without any privilege, as on Binder": pods.ALL,
    "The first look at a machine": probes.ALL,
}


def main(words: list[str]) -> int:
    """Print the table, a line as soon as it is known. ``words`` choose measures by their names."""
    chosen = {
        part: [one for one in measures if not words or any(word in one.__name__ for word in words)]
        for part, measures in PARTS.items()
    }
    with tempfile.TemporaryDirectory(prefix="minirt-bench-", ignore_cleanup_errors=True) as directory:
        os.chmod(directory, 0o755)
        with Engine(Path(directory) / "home") as engine:
            prepare(engine)
            peers = Peers.find(engine, Path(directory))
            try:
                return 0 if measure(engine, peers, Path(directory), chosen) else 1
            finally:
                peers.clean()
                engine.containers.prune()


def measure(engine: Engine, peers: Peers, directory: Path, chosen: dict[str, list[pods.Measure]]) -> bool:
    """Whether every aim was met."""
    load = os.getloadavg()[0]
    busy = " (others work here too: trust the ratios)" if load > (os.cpu_count() or 1) else ""
    print(
        f"{os.cpu_count()} processors, Linux {platform.release()}, Python {platform.python_version()}, "
        f"{engine.machine.snapshotter} + {engine.machine.isolation}, load {load:.1f}{busy}\n{peers.describe()}\n"
    )
    table = Table(peers.docker is not None)
    for part, measures in chosen.items():
        if measures:
            table.heading(part)
        for one in measures:
            try:
                for row in one(engine, peers, directory):
                    table.print(row)
            except (MinirtError, OSError, RuntimeError, subprocess.SubprocessError) as error:
                table.fail(one.__name__, error)  # the other figures are wanted all the same
    return table.close()


def prepare(engine: Engine) -> None:
    """Start what starts once: helper process, base image, the layout of graphs."""
    from minirt.views import warm

    warm()
    engine.containers.run(BASE, ["true"], remove=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
