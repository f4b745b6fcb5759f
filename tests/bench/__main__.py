"""``make bench``: what the things that learners wait for cost here, beside docker where it runs.

Figures are medians of several runs on this machine at this moment. What counts is the ratio, not the number.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from minirt.engine import Engine
from tests.bench import measures
from tests.bench.peer import Docker
from tests.bench.table import Table


def main() -> int:
    """Print the table, a line as soon as it is known."""
    with tempfile.TemporaryDirectory(prefix="minirt-bench-") as directory:
        with Engine(Path(directory) / "home") as engine:
            measures.prepare(engine)
            docker = Docker.find(engine, Path(directory))
            table = Table(docker is not None)
            for measure in measures.ALL:
                for row in measure(engine, docker, Path(directory)):
                    table.print(row)
            if docker is not None:
                docker.clean()
    return 0


if __name__ == "__main__":
    sys.exit(main())
