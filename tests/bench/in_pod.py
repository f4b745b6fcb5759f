"""The pod's part of the bench: a kernel and a client of it, both without any privilege. Prints JSON.

``python tests/pod.py python -m tests.bench.in_pod IMAGE`` with ``MINIRT_HOME`` and ``TMPDIR`` set.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from jupyter_client import BlockingKernelClient, KernelManager
from jupyter_client.kernelspec import KernelSpec

from tests.bench.timing import best_ms, pss_mib

PROGRAMS = {
    "sh": "sh -c 'ls / | wc -l'",
    "apt": "apt list --installed",
    "python3": "python3 -c 'import json, ssl; print(json.dumps(1))'",
    "perl": "perl -MPOSIX -e 'print floor(1.5)'",
}


class Watch(threading.Thread):
    """Looks a few times a second at what the kernel and its helpers hold, and what lies in the temporary directory."""

    def __init__(self, kernel: int) -> None:
        super().__init__(daemon=True)
        self._kernel = kernel
        self.most = 0.0
        self.tmp = 0.0
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.1):
            self.most = max(self.most, pss_mib(_family(self._kernel)))
            self.tmp = max(self.tmp, _held(Path(os.environ["TMPDIR"])))


def _family(root: int) -> set[int]:
    """A process and all below it: the spawner, monitors, workers, and what runs in containers too."""
    parents: dict[int, int] = {}
    for entry in os.listdir("/proc"):
        try:
            with open(f"/proc/{entry}/stat") as file:
                parents[int(entry)] = int(file.read().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
    found, grown = {root}, True
    while grown:
        new = {pid for pid, parent in parents.items() if parent in found} - found
        found, grown = found | new, bool(new)
    return found


def _held(directory: Path) -> float:
    total = 0
    for path in directory.rglob("*"):
        try:
            total += path.lstat().st_blocks * 512
        except OSError:
            continue
    return total / 2**20


def _peak_mib(pid: int) -> float:
    """The most that the process itself ever held (proc(5), VmHWM)."""
    with open(f"/proc/{pid}/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def _cell(client: BlockingKernelClient, code: str) -> None:
    """Run a cell to its end. Raises :class:`RuntimeError` with what it says if it fails."""
    said: list[str] = []

    def hear(message: dict[str, Any]) -> None:
        said.append(str(message["content"]))

    reply = client.execute_interactive(code, timeout=600, output_hook=hear)
    if reply["content"]["status"] != "ok":
        raise RuntimeError(f"{code!r} failed: {reply['content']}\n{' '.join(said)[-4000:]}")


def main() -> None:
    """One kernel, from its start to its end."""
    image = sys.argv[1]
    manager = KernelManager()
    argv = [sys.executable, "-m", "minirt_kernel", "-f", "{connection_file}"]
    manager._kernel_spec = KernelSpec(argv=argv, display_name="minirt", language="python")  # type: ignore[attr-defined]
    start = time.perf_counter()
    manager.start_kernel(cwd=os.environ["HOME"])
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=120)
    found: dict[str, Any] = {"ready": (time.perf_counter() - start) * 1000}
    pid = manager.provisioner.process.pid  # type: ignore[union-attr]
    watch = Watch(pid)
    watch.start()
    try:
        found |= _use(client, image)
        watch.over.set()
        watch.join()
        found |= {"kernel": _peak_mib(pid), "all": watch.most, "tmp": watch.tmp}
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=False)
    print(json.dumps(found))


def _use(client: BlockingKernelClient, image: str) -> dict[str, Any]:
    found: dict[str, Any] = {"programs": {}}
    found["base"] = best_ms(lambda: _cell(client, "%%dockerfile\nFROM minirt/base\n"), 1)
    run = "%%run minirt/base\ntrue"
    _cell(client, run)
    found["run"] = best_ms(lambda: _cell(client, run), 15)
    if os.environ.get("BENCH_DEBIAN") == "":
        return found
    found["pull"] = best_ms(lambda: _cell(client, f"docker pull -q {image}"), 1)
    found["first"] = best_ms(lambda: _cell(client, f"docker run --name box {image} true"), 1)
    _cell(client, f"docker run -d --name busy {image} sleep 1000")
    for name, command in PROGRAMS.items():
        found["programs"][name] = best_ms(lambda command=command: _cell(client, f"docker exec busy {command}"), 2)
    _cell(client, "docker rm -f busy box")
    return found


if __name__ == "__main__":
    main()
