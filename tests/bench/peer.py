"""docker, podman and runc, where they run on this machine: the same work with the same base image.

docker is asked twice: by its command, and by its engine's API without a command's start, as our engine is asked from
a kernel that runs already.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from minirt.engine import Engine
from tests.bench.timing import peers_ms

__all__ = ["BASE", "Docker", "Peers", "Podman", "Runc"]

BASE = "minirt/base"
MARK = f"minirt-bench-{os.getpid()}"


@dataclass(frozen=True, slots=True)
class Peers:
    """Those that were found; what is missing is None."""

    docker: Docker | None
    podman: Podman | None
    runc: Runc | None

    @classmethod
    def find(cls, engine: Engine, directory: Path) -> Self:
        """Look for them. ``directory`` is scratch space."""
        archive = directory / "base.tar"
        with archive.open("wb") as file:
            file.writelines(engine.images.save([BASE]))
        return cls(Docker.find(archive), Podman.find(archive, directory), Runc.find(engine, directory))

    def describe(self) -> str:
        """One line: who is here, and who is not."""
        return " · ".join(
            [
                f"docker engine {self.docker.version}" if self.docker else "no docker engine answers here",
                self.podman.describe() if self.podman else "no podman here",
                self.runc.version if self.runc else "no runc that runs here",
            ]
        )

    def clean(self) -> None:
        if self.podman:
            self.podman.clean()
        if self.docker:
            with suppress(subprocess.SubprocessError):  # its engine may be gone
                self.docker.clean()


@dataclass(frozen=True, slots=True)
class Docker:
    """The command and the engine behind it, with our base image loaded. ``had_base``: it was there before and stays."""

    program: str
    version: str
    address: str
    had_base: bool

    @classmethod
    def find(cls, archive: Path) -> Docker | None:
        """None where there is no engine to talk to."""
        program = shutil.which("docker")
        address = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")
        if program is None:
            return None
        info = [program, "version", "--format", "{{.Server.Version}}"]
        asked = subprocess.run(info, capture_output=True, text=True, timeout=20)
        if asked.returncode:
            return None
        had = not subprocess.run([program, "image", "inspect", BASE], capture_output=True).returncode
        if not had and subprocess.run([program, "load", "-i", archive], capture_output=True).returncode:
            return None
        return cls(program, asked.stdout.strip(), address, had)

    def run(self, *words: str, sent: bytes | None = None) -> str:
        """One docker command; what it says."""
        done = subprocess.run([self.program, *words], input=sent, check=True, capture_output=True)
        return done.stdout.decode().strip()

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """One request to the engine's API; only for an engine on a Unix socket."""
        connection = _Local(self.address)
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, f"/v1.41{path}", data, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
            if answer.status >= 400:
                raise OSError(content.decode())
            return json.loads(content) if content.startswith(b"{") else content
        finally:
            connection.close()

    def create(self, *command: str, network: str = "bridge", remove: bool = False) -> str:
        """The id of a new container."""
        host = {"NetworkMode": network, "AutoRemove": remove}
        body = {"Image": BASE, "Cmd": command, "HostConfig": host, "Labels": {MARK: ""}}
        return str(self.ask("POST", "/containers/create", body)["Id"])

    def start_and_wait(self, container: str) -> None:
        """As a client does that wants the exit code: wait first, then start."""
        waiting = _Local(self.address)
        waiting.request("POST", f"/v1.41/containers/{container}/wait?condition=next-exit")
        self.ask("POST", f"/containers/{container}/start")
        waiting.getresponse().read()
        waiting.close()

    def exec(self, container: str, *command: str) -> None:
        """A command in a running container, to its end."""
        made = self.ask("POST", f"/containers/{container}/exec", {"Cmd": command, "AttachStdout": True})
        self.ask("POST", f"/exec/{made['Id']}/start", {"Detach": False, "Tty": False})

    def remove(self, containers: Iterable[str]) -> None:
        for one in containers:
            with suppress(OSError):
                self.ask("DELETE", f"/containers/{one}?force=1")

    def build_ms(self, text: str, *words: str, times: int = 1) -> float | None:
        """``docker build`` of a Dockerfile without a context, or with ``words``."""
        place = words or ("-",)
        sent = text.encode() if not words else None
        return peers_ms(lambda: self.run("build", "-q", "-t", MARK, *place, sent=sent), times)

    def clean(self) -> None:
        """Leave docker as it was."""
        boxes = self.run("ps", "-aq", "--filter", f"label={MARK}").split()
        if boxes:
            subprocess.run([self.program, "rm", "-fv", *boxes], capture_output=True)
        subprocess.run([self.program, "rmi", "-f", MARK], capture_output=True)
        if not self.had_base:
            subprocess.run([self.program, "rmi", "-f", BASE], capture_output=True)


class _Local(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=120)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(120)
        self.sock.connect(self._path)


# Its own limits are above what some machines allow.
_LIMITS = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024")
_RUN = ("run", "--rm", "--network", "host", *_LIMITS, BASE, "true")


@dataclass(frozen=True, slots=True)
class Podman:
    """podman with a storage of its own in our scratch space. It builds with buildah's code; ``runs``: it runs, too."""

    words: tuple[str, ...]
    version: str
    runs: bool

    @classmethod
    def find(cls, archive: Path, directory: Path) -> Podman | None:
        """None where it does not take our base image."""
        program = shutil.which("podman")
        if program is None:
            return None
        words = (program, "--root", f"{directory}/podman", "--runroot", f"{directory}/podman-run")
        if subprocess.run([*words, "load", "-i", archive], capture_output=True, timeout=120).returncode:
            return None
        runs = not subprocess.run([*words, *_RUN], capture_output=True, timeout=120).returncode
        version = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
        return cls(words, version.strip().replace(" version", ""), runs)

    def run(self, *words: str) -> None:
        subprocess.run([*self.words, *words], check=True, capture_output=True)

    def describe(self) -> str:
        return self.version if self.runs else f"{self.version} (builds here, but runs no container)"

    def once(self) -> None:
        """A container of ``true``, from nothing to nothing."""
        self.run(*_RUN)

    def clean(self) -> None:
        """An ordinary user's storage holds files of other owners, which only it can remove."""
        if os.geteuid() != 0:
            places = [self.words[2], self.words[4]]
            subprocess.run([self.words[0], "unshare", "rm", "-rf", *places], capture_output=True)
        else:
            # It leaves a mount of its own storage over itself.
            subprocess.run(["umount", "-R", f"{self.words[2]}/overlay"], capture_output=True)


@dataclass(frozen=True, slots=True)
class Runc:
    """runc on a bundle made of our base image's files: the low-level runtime alone, which docker starts too."""

    program: str
    version: str
    bundle: Path

    @classmethod
    def find(cls, engine: Engine, directory: Path) -> Runc | None:
        """None where it does not run our bundle (it wants root, or a configured user namespace)."""
        program = shutil.which("runc")
        if program is None or os.geteuid() != 0:
            return None
        bundle = directory / "bundle"
        (bundle / "rootfs").mkdir(parents=True)
        box = engine.containers.create(BASE, ["true"])
        with subprocess.Popen(["tar", "-xC", bundle / "rootfs"], stdin=subprocess.PIPE) as tar:
            assert tar.stdin is not None
            for chunk in box.export():
                tar.stdin.write(chunk)
        box.remove()
        subprocess.run([program, "spec"], cwd=bundle, check=True)
        spec = json.loads((bundle / "config.json").read_text())
        spec["process"] |= {"terminal": False, "args": ["true"]}
        (bundle / "config.json").write_text(json.dumps(spec))
        version = subprocess.run([program, "--version"], capture_output=True, text=True).stdout.splitlines()[0]
        found = cls(program, version.replace(" version", ""), bundle)
        try:
            found.run()
        except subprocess.CalledProcessError:
            return None
        return found

    def run(self) -> None:
        """From start to exit of ``true``."""
        words = [self.program, "run", f"{MARK}-{uuid.uuid4().hex}"]
        subprocess.run(words, cwd=self.bundle, check=True, capture_output=True, stdin=subprocess.DEVNULL)


@contextmanager
def sleeping(docker: Docker) -> Iterator[str]:
    """A container of docker's that runs."""
    container = docker.create("sleep", "1000")
    docker.ask("POST", f"/containers/{container}/start")
    try:
        yield container
    finally:
        docker.remove([container])
