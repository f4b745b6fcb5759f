"""A tiny root file system made from the machine's own programs, and a sandbox over it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from minirt.linux.machine import Machine
from minirt.linux.probe import probe
from minirt.model.spec import Detached, OverlayRoot, Process, SandboxSpec
from minirt.sandbox import Exit, Running, Sandbox

PROGRAMS = (
    "sh",
    "cat",
    "sleep",
    "true",
    "ls",
    "id",
    "mkdir",
    "rm",
    "touch",
    "stat",
    "head",
    "env",
    "stty",
    "chown",
    "chmod",
    "mknod",
)


def _copy_program(program: str, root: Path) -> None:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"this machine has no {program} to build a root file system from")
    shutil.copy(os.path.realpath(found), root / "bin" / program)
    listing = subprocess.run(["ldd", found], capture_output=True, text=True, check=False).stdout
    for library in re.findall(r"(/\S+) \(", listing):
        target = root / library.lstrip("/")
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(os.path.realpath(library), target)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that serves as the only layer: a shell and a few programs."""
    root = tmp_path_factory.mktemp("base")
    root.chmod(0o755)
    for name in ("bin", "etc", "tmp", "data"):
        (root / name).mkdir()
    for program in PROGRAMS:
        _copy_program(program, root)
    (root / "etc" / "passwd").write_text("root:x:0:0:root:/:/bin/sh\n")
    (root / "etc" / "motd").write_text("hello\n")
    (root / "data" / "note").write_text("from the layer\n")
    return root


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def machine(home: Path) -> Machine:
    """The machine as probed; what cannot run here is skipped with the probe's own reason."""
    single = os.environ.get("MINIRT_TEST_SINGLE_ID") == "1"
    found = probe(home, subordinate_ids=not single)
    if not found.namespaces.ok:
        pytest.skip(f"no namespaces: {found.namespaces.why}")
    if not found.overlay.ok:
        pytest.skip(f"no overlay: {found.overlay.why}")
    return found


@pytest.fixture(scope="session")
def shared_sandbox(machine: Machine, home: Path) -> Iterator[Sandbox]:
    sandbox = Sandbox(machine, home)
    yield sandbox
    sandbox.close()


def processes_named(text: str) -> list[int]:
    """Processes of the machine with ``text`` in their short name or command line."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/comm", "rb") as comm, open(f"/proc/{entry}/cmdline", "rb") as command:
                if text.encode() in comm.read() + b"\0" + command.read():
                    found.append(int(entry))
        except OSError:
            continue
    return found


def eventually(condition: Callable[[], Any], seconds: float = 5) -> bool:
    """Whether ``condition`` comes true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return bool(condition())


@dataclass
class Result:
    exit: Exit
    out: str
    upper: Path


@dataclass
class Bench:
    """One test's sandbox: makes specs with a fresh upper directory each, and runs them to their end."""

    sandbox: Sandbox
    base: Path
    directory: Path
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    count: int = 0

    def root(self, *lowers: Path) -> OverlayRoot:
        self.count += 1
        where = self.directory / f"c{self.count}"
        (where / "upper").mkdir(parents=True)
        (where / "work").mkdir()
        return OverlayRoot((str(self.base), *map(str, lowers)), str(where / "upper"), str(where / "work"))

    def spec(self, *argv: str, process: dict[str, Any] | None = None, **fields: Any) -> SandboxSpec:
        environment = {"env": {"PATH": "/bin"}, **(process or {})}
        fields = {"root": self.root(), **fields} if "root" not in fields else fields
        return SandboxSpec(id=self.id, process=Process(argv, **environment), **fields)

    def shell(self, script: str, **fields: Any) -> SandboxSpec:
        return self.spec("/bin/sh", "-c", script, **fields)

    def detached(self, script: str, **fields: Any) -> tuple[SandboxSpec, Path]:
        state_dir = self.directory / f"state{self.count}"
        state_dir.mkdir()
        return replace(self.shell(script, **fields), lifetime=Detached(str(state_dir))), state_dir

    def start(self, spec: SandboxSpec, **stdio: int | None) -> Running:
        return self.sandbox.start(spec, **stdio)

    def run(self, spec: SandboxSpec, stdin: int | None = None) -> Result:
        read_end, write_end = os.pipe()
        try:
            running = self.sandbox.start(spec, stdin=stdin, stdout=write_end, stderr=write_end)
        except BaseException:
            os.close(read_end)
            raise
        finally:
            os.close(write_end)
        with open(read_end, "rb") as output:
            text = output.read().decode()
        return Result(running.wait(timeout=20), text, Path(getattr(spec.root, "upper", "") or "/nonexistent"))

    def sh(self, script: str, **fields: Any) -> str:
        """What a shell script in a fresh container writes; it must end well."""
        result = self.run(self.shell(script, **fields))
        assert result.exit == Exit(0), result.out
        return result.out


@pytest.fixture
def bench(shared_sandbox: Sandbox, base: Path, tmp_path: Path) -> Iterator[Bench]:
    """Checks afterwards that no mount and no process of this test is left on the machine."""
    bench = Bench(shared_sandbox, base, tmp_path)
    yield bench
    mark = f"mrt:{bench.id[:11]}"
    clean = eventually(lambda: not processes_named(mark))
    for pid in processes_named(mark):
        os.kill(pid, signal.SIGKILL)
    assert clean, "a monitor or a container is left"
    with open("/proc/self/mountinfo") as mounts:
        assert str(tmp_path) not in mounts.read(), "a mount is left"
    staging = bench.sandbox.home / "cache" / "mount"
    assert not staging.exists() or not os.listdir(staging), "the staging directory is not empty"
