"""What it costs to find out what the machine allows: for root, for an ordinary user, and in a pod.

Once per boot and home; later processes read what was found (``minirt/linux/probe.py``).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from minirt.engine import Engine
from minirt.linux.probe import probe
from tests.bench.peer import Peers
from tests.bench.table import Row, Skipped
from tests.bench.timing import best_ms
from tests.run import NOBODY, ROOT, _python_for_everybody

__all__ = ["ALL"]

_TIMES = 15


def probes(_engine: Engine, _peers: Peers, _directory: Path) -> Iterator[Row | Skipped]:
    """The first look at the machine, in homes with nothing in them."""
    become = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
    root = os.geteuid() == 0
    python = _python_for_everybody() if root else sys.executable
    if root:
        yield Row("what the machine allows, found out: root", _asked([sys.executable]), aim=100)
    if python is None:
        yield Skipped("the same as others", "no Python of this version that users without privilege may run")
        return
    yield Row("the same: an ordinary user", _asked([*(become if root else []), python]), aim=100)
    pod = [python, str(ROOT / "tests/pod.py"), "--user", str(NOBODY if root else os.geteuid()), python]
    yield Row("the same: in a pod", _asked(pod), aim=100)


def _asked(python: list[str]) -> float:
    """The figure of this file as a program, run so."""
    purelib = next(path for path in sys.path if path.endswith("site-packages"))
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join((str(ROOT), purelib)),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    said = subprocess.check_output([*python, "-m", "tests.bench.probes"], env=env, cwd=ROOT, text=True)
    return float(said)


def _first_look() -> None:
    with tempfile.TemporaryDirectory(prefix="minirt-bench-") as directory:
        homes = (Path(directory) / str(number) for number in range(_TIMES))
        print(best_ms(lambda: probe(next(homes)), _TIMES))


ALL: tuple[Callable[[Engine, Peers, Path], Iterator[Row | Skipped]], ...] = (probes,)

if __name__ == "__main__":
    _first_look()
