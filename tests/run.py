"""Run every test in each mode this machine allows, then the notebooks: what ``make test`` does.

An ordinary user has one mode, rootless. Root has two: root, and rootless once more as a user without any privilege, for
the rooms where it may make a difference. Everybody has the pod: no privilege, no namespaces (tests/pod.py). The last
lines say how many ran in each.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NOBODY = 65534
# The rooms whose behaviour may depend on who runs them. Left out are those that touch neither the machine nor a file of
# somebody's: values (model), texts (dockerfile), pictures (views), the project's own files and rows (test_project,
# machines), the program where there is no Linux (elsewhere); and browsers, which see the same page from either kernel.
# In a pod, what it cannot have is skipped with its reason, or its refusal is looked at.
BY_MODE = (
    "store", "layers", "linux", "sandbox", "snapshots", "volumes", "networks", "registry", "images", "containers",
    "build", "engine", "cli", "kernel", "faults",
)  # fmt: skip
NOTEBOOKS = [
    "-p",
    "tests.notebooks.fresh_home",
    "-p",
    "tests.notebooks.pictures",
    "--nbval",
    "--nbval-sanitize-with",
    "tests/notebooks/sanitize.cfg",
    "-p",
    "no:cacheprovider",
    "notebooks",
]


@dataclass(frozen=True)
class Pass:
    """One run of pytest: as whom, with which Python, and over what."""

    name: str
    words: tuple[str, ...]
    python: str = sys.executable
    user: int | None = None
    pod: bool = False


def passes(words: list[str]) -> list[Pass]:
    """What there is to run here; ``words`` from the command line narrow it to one plain run."""
    mode = "root" if os.geteuid() == 0 else "rootless"
    if words:
        return [Pass(mode, tuple(words))]
    plan = [Pass(mode, ("tests",)), Pass(f"notebooks, {mode}", tuple(NOTEBOOKS))]
    python = _python_for_everybody() if mode == "root" else None
    if python is not None:
        plan.append(Pass("rootless", ("-p", "no:cacheprovider", *_rooms()), python, NOBODY))
        plan.append(Pass("notebooks, rootless", tuple(NOTEBOOKS), python, NOBODY))
    plan += _pods(python if mode == "root" else sys.executable)
    if python is None and mode == "root":
        print("rootless: no Python of this version that other users may run, so this mode is left out", flush=True)
    return plan


def _rooms() -> tuple[str, ...]:
    return tuple(f"tests/{room}" for room in BY_MODE if (ROOT / "tests" / room).is_dir())


def _pods(python: str | None) -> list[Pass]:
    if python is None:
        return []
    if shutil.which("proot") is None:
        print("pod: proot is not installed, so this mode is left out", flush=True)
        return []
    user = NOBODY if os.geteuid() == 0 else None
    return [
        Pass("pod", ("-p", "no:cacheprovider", *_rooms()), python, user, pod=True),
        Pass("notebooks, pod", tuple(NOTEBOOKS), python, user, pod=True),
    ]


def _python_for_everybody() -> str | None:
    """A Python of our version that a user without privilege can run, and that may read this checkout and .venv.

    The one of .venv may lie in root's home, where nobody else may look.
    """
    readable = (str(ROOT / "Makefile"), pytest.__file__)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for path in (os.path.realpath(sys.executable), f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        try:
            command = [path, "-c", "import sys; [open(name) for name in sys.argv[1:]]", *readable]
            subprocess.run(
                command, user=NOBODY, group=NOBODY, extra_groups=[], check=True, capture_output=True, cwd="/"
            )
        except (OSError, subprocess.SubprocessError):
            continue
        return path
    return None


def run(one: Pass) -> tuple[int, str]:
    """The exit code and pytest's last line."""
    print(f"\n=== {one.name} ===", flush=True)
    with tempfile.TemporaryDirectory(prefix="minirt-tests-") as directory:
        identity = {} if one.user is None else {"user": one.user, "group": one.user, "extra_groups": []}
        if one.user is not None:
            os.chown(directory, one.user, one.user)
        command = [one.python, "-m", "pytest", "--basetemp", f"{directory}/pytest", *one.words]
        if one.pod:
            command = [one.python, "tests/pod.py", "--user", str(one.user or os.geteuid()), *command]
        process = subprocess.Popen(
            command, cwd=ROOT, env=_environment(one, directory), stdout=subprocess.PIPE, text=True, **identity
        )
        assert process.stdout is not None
        last = ""
        for line in process.stdout:
            print(line, end="", flush=True)
            last = line.strip() if re.search(r"\d+ (passed|failed|error|skipped)", line) else last
        return process.wait(), last


def attempt(one: Pass) -> tuple[int, str]:
    """Like :func:`run`; a pass with failures is tried once more, to tell a fault from a busy machine. Both are told."""
    code, last = run(one)
    if code != pytest.ExitCode.TESTS_FAILED:
        return code, last
    print(f"=== {one.name}: {last}; once more ===", flush=True)
    again, second = run(one)
    return again, f"{second} (the second try; the first: {last})"


def _environment(one: Pass, directory: str) -> dict[str, str]:
    env = {**os.environ, "MINIRT_LIVE": "0", "MINIRT_HOME": f"{directory}/home"}
    if one.user is None:
        return env
    purelib = next(path for path in sys.path if path.endswith("site-packages"))
    env |= {
        "HOME": directory,
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "kernel"), purelib)),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HYPOTHESIS_STORAGE_DIRECTORY": f"{directory}/hypothesis",
        "JUPYTER_PATH": _kernels(one, directory),
        "JUPYTER_CONFIG_PATH": str(Path(sys.prefix, "etc/jupyter")),
        "PATH": os.pathsep.join((_commands(one, directory), os.environ["PATH"])),
    }
    return {name: value for name, value in env.items() if not name.startswith(("XDG_", "SUDO_"))}


def _kernels(one: Pass, directory: str) -> str:
    """A kernelspec that starts the kernel with this user's Python."""
    source, target = ROOT / "kernel/share/jupyter", Path(directory) / "jupyter"
    shutil.copytree(source, target)
    spec = target / "kernels/minirt/kernel.json"
    text = re.sub(r'"argv":\s*\[\s*"[^"]+"', f'"argv": ["{one.python}"', spec.read_text())
    spec.write_text(text)
    return str(target)


def _commands(one: Pass, directory: str) -> str:
    """A directory with the command minirt, run by this user's Python."""
    place = Path(directory) / "bin"
    place.mkdir()
    (place / "minirt").write_text(f'#!/bin/sh\nexec {one.python} -m minirt "$@"\n')
    (place / "minirt").chmod(0o755)
    return str(place)


def main() -> int:
    """The exit code: 0 when everything passed, in every mode."""
    results = [(one.name, *attempt(one)) for one in passes(sys.argv[1:])]
    print()
    for name, code, last in results:
        print(f"{name + ':':22} {last or f'exit code {code}'}")
    return next((code for _, code, _ in results if code), 0)


if __name__ == "__main__":
    sys.exit(main())
