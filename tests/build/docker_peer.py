"""Docker with today's BuildKit, where one runs: it builds a case and gives back the image as plain values.

The engine is the one that ``DOCKER_HOST`` names. Older ones read an older language (no symbolic modes, no
``--exclude``, less detail in the history): only an engine from :data:`OLDEST` on with the buildx plugin is asked.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import unpacked

__all__ = ["OLDEST", "Refused", "build", "docker", "need_docker", "remove_images"]

OLDEST = 28
"""The first major version of the engine whose BuildKit reads today's language by itself."""


_images: set[str] = set()


@dataclass(frozen=True)
class Refused:
    """What docker said instead of building."""

    message: str


def docker(*words: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["docker", *words], env={**os.environ, "DOCKER_BUILDKIT": "1"}, capture_output=True, **options
    )


@functools.cache
def _missing() -> str:
    """Why docker cannot be asked; "" if it can."""
    try:
        asked = docker("version", "--format", "{{.Server.Version}}")
        plugin = docker("buildx", "version")
    except FileNotFoundError:
        return "no docker is installed"
    version = asked.stdout.decode().strip()
    if asked.returncode or not version:
        return "no docker engine answers here"
    if int(version.partition(".")[0]) < OLDEST:
        return f"the docker engine here is {version}; {OLDEST} is the first that reads today's language"
    return "docker has no buildx here" if plugin.returncode else ""


def need_docker() -> None:
    """Skip the test, with the reason, where there is no such docker."""
    if why := _missing():
        pytest.skip(why)


def build(dockerfile: Path, context: Path, said: dict[str, Any]) -> unpacked.Unpacked | Refused:
    """Build as ``case.json`` says."""
    words = [f"--build-arg={key}={value}" for key, value in said.get("build_args", {}).items()]
    words += [f"--label={key}={value}" for key, value in said.get("labels", {}).items()]
    words += [f"--build-context={key}={context / value}" for key, value in said.get("contexts", {}).items()]
    words += ["--target", said["target"]] if "target" in said else []
    return built(["-f", str(dockerfile), *words, str(context / said.get("below", ""))])


def built(words: Sequence[str]) -> unpacked.Unpacked | Refused:
    """``docker buildx build`` with these words; without the cache, whose files have the times of older contexts."""
    done = docker("buildx", "build", "--load", "-q", "--no-cache", "--provenance=false", *words)
    if done.returncode:
        return Refused(done.stderr.decode(errors="replace"))
    image = done.stdout.decode().strip()
    _images.add(image)
    saved = docker("save", image)
    return _inspected(image) if saved.returncode else unpacked.unpack([saved.stdout])


def remove_images() -> None:
    """At the end, and not one by one: two cases may make the same image."""
    docker("rmi", "-f", *_images)
    _images.clear()


def _inspected(image: str) -> unpacked.Unpacked:
    """An image without any layer, which ``docker save`` refuses."""
    (about,) = json.loads(docker("image", "inspect", image, check=True).stdout)
    told = docker("image", "history", "--no-trunc", "--format", "{{json .}}", image, check=True).stdout
    assert not about["RootFS"].get("Layers")
    shown = [json.loads(line) for line in reversed(told.splitlines())]
    history = [
        {"created_by": one["CreatedBy"], "comment": one["Comment"], "empty_layer": True, "created": ""} for one in shown
    ]
    config = {"architecture": about["Architecture"], "os": about["Os"], "config": about["Config"], "history": history}
    return unpacked.Unpacked(config, {}, {})
