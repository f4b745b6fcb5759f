"""The same cases built by Docker's BuildKit from the same base: path by path and field by field the same."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cases
import pytest
import unpacked

from minirt.errors import MinirtError

if TYPE_CHECKING:
    from minirt.engine import Engine

pytestmark = pytest.mark.peer

# Debian's docker.io has BuildKit built in; newer clients need a plugin for it.
DOCKERS = ("/usr/bin/docker", "docker")


def _docker(*words: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "DOCKER_BUILDKIT": "1"}
    return subprocess.run([_client(), *words], env=environment, capture_output=True, **options)


@functools.cache
def _client() -> str:
    for name in DOCKERS:
        path = shutil.which(name)
        if path and subprocess.run([path, "info"], capture_output=True).returncode == 0:
            help_text = subprocess.run(
                [path, "build", "--help"], env={**os.environ, "DOCKER_BUILDKIT": "1"}, capture_output=True
            )
            if b"--secret" in help_text.stdout:
                return path
    pytest.skip("no docker with BuildKit runs here")


@pytest.fixture(scope="module")
def _base(shared_engine: Engine) -> Iterator[None]:
    client = _client()
    archive = b"".join(shared_engine.images.get("minirt/base").save())
    subprocess.run([client, "load"], input=archive, check=True, capture_output=True)
    yield
    _docker("rmi", "-f", "minirt/base")


@pytest.mark.usefixtures("_base")
@pytest.mark.parametrize("name", [name for name in cases.names() if cases.load(name).get("peer", True)])
def test_docker_makes_the_same_image(name: str, build: Any, engine: Engine, tmp_path: Path) -> None:
    """Files, owners, modes, config and history agree, or both refuse."""
    said = cases.load(name)
    context = cases.stage(name, tmp_path)
    theirs = _build_by_docker(name, said, context)
    text = (cases.ROOT / name / "Dockerfile").read_text()
    try:
        result = build(text, context, target=said.get("target", ""), build_args=said.get("build_args", {}))
    except MinirtError:
        assert theirs is None
        return
    assert theirs is not None, "docker refused it"
    ours = unpacked.unpack(engine.images.get(str(result.image_id)).save(named=False))
    assert ours.files == theirs.files
    config = {key: value for key, value in theirs.config["config"].items() if value not in (None, [], {}, "")}
    assert ours.config["config"] == config
    if said.get("peer", True) != "files":
        assert ours.history() == theirs.history()


def _build_by_docker(name: str, said: dict[str, Any], context: Path) -> unpacked.Unpacked | None:
    words = [f"--build-arg={key}={value}" for key, value in said.get("build_args", {}).items()]
    words += ["--target", said["target"]] if "target" in said else []
    done = _docker("build", "-q", "-f", str(cases.ROOT / name / "Dockerfile"), *words, str(context))
    if done.returncode:
        return None
    image = done.stdout.decode().strip()
    try:
        return unpacked.unpack([_docker("save", image, check=True).stdout])
    finally:
        _docker("rmi", "-f", image)
