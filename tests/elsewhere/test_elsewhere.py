"""On macOS and Windows: what needs no Linux works, and the rest says how to go on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from minirt.engine import Engine

HERE = Path(__file__).resolve().parent


@pytest.fixture
def archive(engine: Engine, tmp_path: Path) -> Path:
    """An image archive made here, to be looked at elsewhere."""
    engine.images.build(text="FROM minirt/base\nRUN echo hello > /greeting\n", tag="elsewhere:1")
    path = tmp_path / "image.tar"
    path.write_bytes(b"".join(engine.images.get("elsewhere:1").save()))
    return path


def _said(system: str, archive: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, HERE / "elsewhere.py", system, "everywhere", archive], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split("rehearsed\n")[1].splitlines()


def test_on_macos_everything_but_containers_works(archive: Path) -> None:
    """Dockerfiles are checked, pictures drawn, archives loaded and read; running one is refused with a way to go on."""
    said = _said("darwin", archive)
    assert said[0].startswith("checked: ")
    assert said[1:5] == ["read: etc/secret True", "drawn: image/svg+xml", "explained: build", "loaded: elsewhere:1 3"]
    assert "this is macOS" in said[5]
    assert "dev container or in Binder" in said[5]
    assert said[6:] == ["done on darwin"]


def test_on_windows_dockerfiles_layers_and_pictures_work(archive: Path) -> None:
    """Without a store (Windows has no such locks) it is still possible to learn from Dockerfiles, layers, pictures."""
    said = _said("win32", archive)
    assert said[0].startswith("checked: ")
    assert said[1:4] == ["read: etc/secret True", "drawn: image/svg+xml", "explained: build"]
    assert "this is Windows" in said[4]
    assert "inside WSL" in said[4]
    assert said[5:] == ["done on win32"]
