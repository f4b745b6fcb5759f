"""Registering the kernel with Jupyter."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from jupyter_client.kernelspec import KernelSpecManager
from minirt_kernel.install import install


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The kernelspec's directory under a prefix of its own."""
    return install(str(tmp_path))


def test_jupyter_finds_the_kernel_with_this_interpreter(installed: Path, tmp_path: Path) -> None:
    """The spec starts our module with the Python that registered it."""
    manager = KernelSpecManager(kernel_dirs=[str(installed.parent)])
    spec = manager.get_kernel_spec("minirt")
    assert spec.argv == [sys.executable, "-m", "minirt_kernel", "-f", "{connection_file}"]
    assert spec.display_name == "minirt"
    assert installed == tmp_path / "share" / "jupyter" / "kernels" / "minirt"


def test_the_logos_are_what_jupyter_asks_for(installed: Path) -> None:
    """An SVG, and PNGs of 32 and 64 pixels with transparency."""
    assert ElementTree.parse(installed / "logo-svg.svg").getroot().get("viewBox") == "0 0 64 64"
    for pixels in (32, 64):
        data = (installed / f"logo-{pixels}x{pixels}.png").read_bytes()
        assert data[:8] == b"\x89PNG\r\n\x1a\n"
        assert int.from_bytes(data[16:20], "big") == int.from_bytes(data[20:24], "big") == pixels
        assert data[25] == 6, "colour type 6 is RGB with alpha"


def test_installing_again_replaces_the_first(installed: Path, tmp_path: Path) -> None:
    """A stale spec does not survive."""
    (installed / "kernel.json").write_text("{}")
    install(str(tmp_path))
    assert json.loads((installed / "kernel.json").read_text())["display_name"] == "minirt"


def test_labextensions_of_a_checkout_are_linked(installed: Path, tmp_path: Path) -> None:
    """What stands in the checkout is what JupyterLab loads."""
    shipped = Path(__file__).parents[2] / "kernel" / "share" / "jupyter" / "labextensions"
    for source in shipped.glob("*/package.json"):
        linked = tmp_path / "share" / "jupyter" / "labextensions" / source.parent.name
        assert linked.resolve() == source.parent.resolve()


def test_the_command_says_what_it_did_and_what_went_wrong(tmp_path: Path) -> None:
    """Quiet when asked to be; a place that cannot be written is an error with a hint."""
    command = [sys.executable, "-m", "minirt_kernel.install", "--prefix"]
    good = subprocess.run([*command, str(tmp_path), "--quiet"], capture_output=True, text=True)
    assert (good.returncode, good.stdout, good.stderr) == (0, "", "")
    (tmp_path / "file").touch()
    bad = subprocess.run([*command, str(tmp_path / "file")], capture_output=True, text=True)
    assert bad.returncode == 1
    assert "Traceback" not in bad.stderr
    assert "--user" in bad.stderr
