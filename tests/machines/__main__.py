"""Boot a machine of a kind that this one is not, and try minirt in it: ``python -m tests.machines ROW [COMMAND…]``.

Without a row, the rows are listed; ``all`` tries each. See README.md beside this file.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.machines.image import build, cache
from tests.machines.rows import ROWS, Row

ROOT = Path(__file__).resolve().parent.parent.parent
_MEMORY = "2048"
_TIMEOUT = 3600  # seconds; without KVM everything takes ten times as long
_DONE = "machine: "


def main() -> int:
    """Exit code 0 if every row that was asked for is as it should be."""
    words = sys.argv[1:]
    if not words:
        for name, row in ROWS.items():
            print(
                f"{name:24} Linux of {row.suite}, {row.user}: {row.chosen}, limits {'no' if not row.limits else 'yes'}"
            )
        return 0
    if words[0] == "build":
        build(again=True)
        return 0
    names = list(ROWS) if words[0] == "all" else words[:1]
    if unknown := [name for name in names if name not in ROWS]:
        print(f"there is no row {unknown[0]}: `python -m tests.machines` lists them")
        return 2
    build()
    failed = [name for name in names if not boot(name, ROWS[name], words[1:])]
    print(f"\n{len(names) - len(failed)} passed, {len(failed)} failed{': ' if failed else ''}{' '.join(failed)}")
    return 1 if failed else 0


def boot(name: str, row: Row, command: list[str]) -> bool:
    """Whether the trial (or ``command``, run as the row's user) ended well; what it says is shown as it says it."""
    print(f"\n=== {name} ===", flush=True)
    with tempfile.TemporaryDirectory(prefix="minirt-machine-") as scratch:
        source = Path(scratch) / "source"
        _pack(source, Path(scratch), name, row, command)
        qemu = subprocess.Popen(_qemu(row, source), stdout=subprocess.PIPE, text=True, errors="replace")
        assert qemu.stdout is not None
        verdict = False
        try:
            for line in qemu.stdout:
                print(line, end="", flush=True)
                verdict = verdict or line.startswith(f"{_DONE}well")
            qemu.wait(timeout=60)
        finally:
            qemu.kill()
    return verdict


def _qemu(row: Row, source: Path) -> list[str]:
    accel = os.environ.get("ACCEL") or ("kvm" if os.access("/dev/kvm", os.W_OK) else "tcg")
    kernel, initramfs = cache() / f"{row.suite}.vmlinuz", cache() / f"{row.suite}.initramfs"
    words = f"console=ttyS0 root=/dev/vda rw quiet loglevel=1 panic=-1 init=/machine {row.boot}"
    return [
        "timeout", str(_TIMEOUT), "qemu-system-x86_64", "-accel", accel, "-cpu", "max", "-smp", "2", "-m", _MEMORY,
        "-display", "none", "-serial", "stdio", "-monitor", "none", "-nic", "none", "-snapshot",
        "-kernel", str(kernel), "-initrd", str(initramfs), "-append", words,
        "-drive", f"file={cache() / 'root.img'},format=raw,if=virtio",
        "-drive", f"file={source},format=raw,if=virtio",
        *(() if row.resets else ("-no-reboot",)),
    ]  # fmt: skip


def _pack(source: Path, scratch: Path, name: str, row: Row, command: list[str]) -> None:
    """The checkout and the row's script as one tar file; the machine reads it as its second disk."""
    (scratch / "row.sh").write_text(_script(name, row, command))
    parts = [
        name
        for name in ("minirt", "kernel", "tests", "notebooks", "pyproject.toml", "Makefile")
        if (ROOT / name).exists()
    ]
    tar = ["tar", "-cf", str(source), "--exclude=__pycache__", "-C", str(scratch), "row.sh", "-C", str(ROOT), *parts]
    subprocess.run(tar, check=True)
    with source.open("ab") as file:
        file.truncate((source.stat().st_size + 511) // 512 * 512)


def _script(name: str, row: Row, command: list[str]) -> str:
    words = shlex.join(command or ["python3", "-m", "tests.machines.trial", name])
    home = row.home or ("/root/home" if row.user == "root" else "/home/learner/home")
    env = f"export MINIRT_HOME={home} PYTHONPATH=/source:/opt/site PYTHONDONTWRITEBYTECODE=1; cd /source"
    if row.user == "root":
        run = f"{env}; {words}"
    else:
        become = "setpriv --reuid learner --regid learner --init-groups env HOME=/home/learner USER=learner"
        scope = "systemd-run --user --scope --quiet " if row.delegated else ""
        if row.delegated:
            become += " XDG_RUNTIME_DIR=/run/user/1000"
        run = f"{env}; {become} {scope}{words}"
    linger = "loginctl enable-linger learner; until test -S /run/user/1000/bus; do sleep 1; done" * row.delegated
    return f"{linger}\n{row.setup}\n{run}\ncode=$?\ntest $code = 0 && echo {_DONE}well || echo {_DONE}exit code $code\n"


if __name__ == "__main__":
    sys.exit(main())
